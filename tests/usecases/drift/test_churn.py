"""Short-lived keys without TTL, over several nights on a real server: they come and go, and what piles up among them is found."""

from __future__ import annotations

from dataclasses import replace
from hashlib import md5
from typing import TYPE_CHECKING

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.servers.kinds import REDIS_7
from lab.servers.server import run_server
from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.drift.drift import DriftKind, DriftReport, Verdict
from redis_ttl.domain.policy.policy import DriftSettings, DriftTolerance
from redis_ttl.messages.pages.drift_page import drift_page
from tests.usecases.auditing import FAST
from tests.usecases.drifting import Nights

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lab.servers.server import Server

CHURN = 3_000


def locks(night: int, number: int = CHURN) -> list[str]:
    """Names of one night's locks."""
    return [f"uniquejobs:{md5(f'{night}-{each}'.encode()).hexdigest()}:GRABBED" for each in range(number)]


def put(server: Server, names: Iterable[str]) -> None:
    """Write these keys without TTL."""
    with server.client() as client, client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.set(name, "x")
        pipeline.execute()


def drop(server: Server, names: list[str]) -> None:
    """Delete these keys."""
    with server.client() as client:
        if names:
            client.delete(*names)


class Jobs:
    """A server whose jobs take ``lives`` nights to release their locks."""

    def __init__(self, server: Server, nights: Nights, *, lives: int = 1) -> None:
        self.server, self.nights, self.lives = server, nights, lives
        self.held: list[list[str]] = []
        self.number = 0

    def night(self, keys: int = CHURN, leak: Iterable[str] = ()) -> DriftReport:
        """New locks, the oldest released, some keys that leak; then an audit and its check."""
        self.number += 1
        while len(self.held) >= self.lives:
            drop(self.server, self.held.pop(0))
        self.held.append(locks(self.number, keys))
        put(self.server, [*self.held[-1], *leak])
        return self.nights.night()


@pytest.fixture
def nights(redis7: Server, tmp_path: Path) -> Nights:
    """A server with a few keys without TTL, and its first check done; no rule speaks of the locks."""
    put(redis7, [f"cart:{number}" for number in range(20)])
    nights = Nights(redis7.url, tmp_path, policy_of())
    assert nights.night().verdict is Verdict.FIRST
    return nights


def leaked(night: int, number: int = 200) -> list[str]:
    """Names of locks that nobody releases."""
    return [f"uniquejobs:{md5(f'leak-{night}-{each}'.encode()).hexdigest()}:GRABBED" for each in range(number)]


def test_what_comes_and_goes_fails_once_and_is_churn_then(nights: Nights, redis7: Server) -> None:
    """The first night can't tell and says what would fit; from the second on yesterday's keys are gone, and nothing fails."""
    jobs = Jobs(redis7, nights)
    first = jobs.night()
    assert (first.verdict, first.churn_keys) == (Verdict.DRIFT, 0)
    assert "`drift: {ungoverned: {keys: 3800}}`" in drift_page(first)
    for _ in range(4):
        report = jobs.night()
        assert (report.verdict, report.new_keys, report.churn_keys) == (Verdict.CHURN, CHURN, CHURN)
        (finding,) = report.findings
        assert (finding.stayed_keys, finding.seen_keys, finding.gone_keys, finding.fails) == (0, CHURN, CHURN, False)
        page = drift_page(report)
        assert "churn" in page.lower()
        assert "3,000 of the 3,000 keys that were new in the previous audit are gone" in page
    assert from_plain(DriftReport, to_plain(report)) == report


def test_with_a_budget_a_day_nothing_ever_fails(nights: Nights, redis7: Server) -> None:
    """Whoever tolerates so many a day isn't told of drift by them."""
    nights.change_policy(drift=DriftSettings(ungoverned=DriftTolerance(keys_per_day=CHURN)))
    jobs = Jobs(redis7, nights)
    assert [jobs.night().verdict for _ in range(5)] == [Verdict.TOLERATED, *[Verdict.CHURN] * 4]


def test_a_leak_among_them_is_found_within_two_nights(nights: Nights, redis7: Server) -> None:
    """200 keys a night that stay, among 3,000 that don't, fail the check at the night after the first, by their own number and names."""
    jobs = Jobs(redis7, nights)
    for _ in range(3):
        jobs.night()
    begun = jobs.night(leak=leaked(1))
    found = jobs.night(leak=leaked(2))
    assert Verdict.DRIFT in (begun.verdict, found.verdict)
    (finding,) = found.failing
    assert finding.stayed_keys == 200
    assert 200 <= finding.counted_keys <= 400
    assert set(finding.examples) <= set(leaked(1))
    assert jobs.night(leak=leaked(3)).failing[0].stayed_keys == 400


def test_a_leak_that_renames_its_keys_grows_and_is_found(nights: Nights, redis7: Server) -> None:
    """Keys that are written anew under other names each night never stay, but they become more and more."""
    jobs = Jobs(redis7, nights)
    verdicts = [jobs.night(200 * number).verdict for number in range(1, 6)]
    assert verdicts == [Verdict.DRIFT] * 5


def test_keys_that_live_for_more_than_a_night_are_churn_when_all_have_gone(nights: Nights, redis7: Server) -> None:
    """What stays for one more audit and is gone at the next doesn't pile up; what outlives that does."""
    jobs = Jobs(redis7, nights, lives=2)
    verdicts = [jobs.night(1_000).verdict for _ in range(6)]
    assert verdicts[:2] == [Verdict.DRIFT] * 2
    assert verdicts[-2:] == [Verdict.CHURN] * 2
    jobs.night(1_000, leak=leaked(1))
    jobs.night(1_000)
    (finding,) = jobs.night(1_000).failing
    assert finding.counted_keys >= 200


def test_a_night_without_them_is_forgotten_by_nobody(nights: Nights, redis7: Server) -> None:
    """After a weekend without jobs their keys are churn at once, and somebody who accepts begins anew."""
    jobs = Jobs(redis7, nights)
    jobs.night()
    jobs.night()
    assert jobs.night(0).verdict is Verdict.CLEAN
    assert jobs.night(0).verdict is Verdict.CLEAN
    assert jobs.night().verdict is Verdict.CHURN
    assert nights.accept().verdict is Verdict.ACCEPTED
    assert jobs.night().verdict is Verdict.DRIFT
    assert jobs.night().verdict is Verdict.CHURN


def test_a_missing_audit_in_between_changes_nothing(nights: Nights, redis7: Server) -> None:
    """The comparison is with the last audit that there is, however long ago it was."""
    jobs = Jobs(redis7, nights)
    jobs.night()
    for night in (50, 51):
        put(redis7, locks(night))
        drop(redis7, locks(night))
    assert jobs.night().verdict is Verdict.CHURN


def test_an_audit_of_another_server_is_no_audit_before(nights: Nights, redis7: Server) -> None:
    """Keys that are only elsewhere aren't gone: nothing is set aside by an audit of other data, and the one before it counts."""
    jobs = Jobs(redis7, nights)
    jobs.night(500)
    with run_server(REDIS_7) as other:
        put(other, locks(99, 500))
        strange = replace(nights, url=other.url)
        strange.audit()
    put(redis7, leaked(1))
    report = nights.night()
    assert report.verdict is Verdict.DRIFT
    (finding,) = report.failing
    assert (finding.stayed_keys, finding.gone_keys) == (500, 0)


def test_a_damaged_audit_before_sets_nothing_aside(nights: Nights, redis7: Server) -> None:
    """Without the hashes of the audit before the check goes on, and counts what is new in full."""
    jobs = Jobs(redis7, nights)
    jobs.night(500)
    for path in nights.store.glob("test/audits/*/no_ttl/*"):
        path.write_bytes(b"not columns")
    report = jobs.night(500)
    assert (report.verdict, report.churn_keys, report.findings[0].stayed_keys) == (Verdict.DRIFT, 0, None)
    assert nights.warnings


def test_what_a_remediation_took_is_not_gone_by_itself(redis7: Server, tmp_path: Path) -> None:
    """A writer that leaks every day, and is cleaned up after every day, is drift every night."""
    put(redis7, ["cart:1"])
    nights = Nights(redis7.url, tmp_path, policy_of(rule("cart:{id}"), rule("sess:{id}")))
    nights.night()
    put(redis7, [f"sess:{number}" for number in range(300)])
    assert nights.night().verdict is Verdict.DRIFT
    run = Applying(redis7.url, nights.store, nights.policy)
    run.documents.write_plan(run.plan)
    run.run()
    put(redis7, [f"sess:{number}" for number in range(300, 600)])
    report = nights.night()
    assert (report.verdict, report.churn_keys) == (Verdict.DRIFT, 0)
    assert {each.kind for each in report.failing} == {DriftKind.NEW_WRITER}


def test_new_keys_that_end_by_themselves_are_no_drift(valkey: Server, tmp_path: Path) -> None:
    """Hashes whose every field has a TTL are told apart from a leak of the same pattern, by asking the new ones."""
    nights = Nights(valkey.url, tmp_path, policy_of(), options=FAST)
    with valkey.client() as client:
        client.set("cart:1", "x")
        nights.night()
        for number in range(300):
            client.hset(f"sess:{number}", "a", "1")
            client.execute_command("HEXPIRE", f"sess:{number}", 3_600, "FIELDS", 1, "a")
        report = nights.night()
        assert (report.verdict, report.new_keys, report.ending_keys) == (Verdict.TOLERATED, 300, 300)
        assert "self-expiring" in drift_page(report)
        for number in range(300, 900):
            client.hset(f"sess:{number}", "a", "1")
    (finding,) = nights.night().failing
    assert finding.new_keys == 900
    assert 500 <= finding.counted_keys <= 700
