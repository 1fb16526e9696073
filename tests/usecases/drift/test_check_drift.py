"""Drift checks over several nights on a real server."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import roll_back
from lab.servers.cluster import run_cluster
from lab.servers.kinds import VALKEY
from redis_ttl.adapters.store.store import Store
from redis_ttl.cli.drift import app
from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.drift.drift import DriftKind, DriftReport, Verdict
from redis_ttl.domain.errors import BadInput, InvalidOption, NotApproved
from redis_ttl.domain.policy.policy import DriftSettings, DriftTolerance
from redis_ttl.usecases.drift.check_drift import check_drift
from redis_ttl.usecases.drift.drift_request import Acceptance, DriftRequest
from tests.conftest import require
from tests.usecases.auditing import FAST
from tests.usecases.drifting import Nights, found

if TYPE_CHECKING:
    from pathlib import Path

    from lab.servers.cluster import Cluster
    from lab.servers.server import Server

CART = rule("cart:{id}")
POLICY = policy_of(CART, exempt=["config:{name}"])


def put(server: Server, *names: str, db: int = 0, ex: int | None = None) -> None:
    """Write these keys, without TTL unless told otherwise."""
    with server.client(db) as client:
        for name in names:
            client.set(name, "x", ex=ex)


def carts(first: int, last: int) -> list[str]:
    """Names of carts."""
    return [f"cart:{number}" for number in range(first, last)]


@pytest.fixture
def nights(redis7: Server, tmp_path: Path) -> Nights:
    """A server with 300 carts without TTL, and its first check done."""
    put(redis7, *carts(0, 300))
    nights = Nights(redis7.url, tmp_path, POLICY)
    first = nights.night()
    assert (first.verdict, first.no_ttl_keys, first.next_baseline, first.findings) == (Verdict.FIRST, 300, 1, ())
    return nights


def test_a_hundred_deleted_and_a_hundred_new_are_a_hundred_new(nights: Nights, redis7: Server) -> None:
    """New keys are counted one by one, not by a difference, and named, whatever bytes they have."""
    with redis7.client() as client:
        client.delete(*carts(0, 100))
        client.mset({b"cart:\xff\x00%d" % number: "" for number in range(100)})
    report = nights.night()
    assert report.verdict is Verdict.DRIFT
    assert (report.new_keys, report.left_keys, report.no_ttl_keys) == (100, 100, 300)
    (finding,) = report.findings
    assert (finding.kind, finding.rule, finding.owner, finding.fails) == (
        DriftKind.NEW_WRITER,
        "cart:{id}",
        "test",
        True,
    )
    assert len(finding.examples) == 10
    assert all(name.startswith("cart:\\xff\x00") for name in finding.examples)
    assert nights.documents.last_report() == report == from_plain(DriftReport, to_plain(report))


def test_it_fails_every_night_until_the_keys_are_gone(nights: Nights, redis7: Server) -> None:
    """The baseline doesn't slide: the same keys are found again, since the night that found them first."""
    put(redis7, *carts(900, 903))
    first, second = nights.night(), nights.night()
    assert found(first) == found(second) == {("new_writer", "cart:{n}"): 3}
    assert second.findings[0].since == first.findings[0].since == first.audited_at
    assert set(second.findings[0].examples) == set(carts(900, 903))
    with redis7.client() as client:
        client.delete(*carts(900, 903))
    assert nights.night().verdict is Verdict.CLEAN


def test_what_somebody_accepts_is_the_next_baseline(nights: Nights, redis7: Server) -> None:
    """Who and why are kept, and the next night is clean; another new key is not."""
    put(redis7, *carts(900, 903))
    nights.night()
    accepted = nights.accept()
    assert (accepted.verdict, accepted.by, accepted.why, accepted.new_keys) == (
        Verdict.ACCEPTED,
        "bob",
        "agreed in SRE-7",
        3,
    )
    clean = nights.night()
    assert (clean.verdict, clean.accepted_by) == (Verdict.CLEAN, "bob")
    put(redis7, "cart:999")
    again = nights.night()
    assert found(again) == {("new_writer", "cart:{n}"): 1}
    assert again.findings[0].since == again.audited_at
    holding = next(nights.documents.baselines())
    assert (holding.by, holding.why) == ("bob", "agreed in SRE-7")


@pytest.mark.parametrize(("by", "why"), [("bob", "  "), (None, "because"), ("Anonymous", "because"), ("", "because")])
def test_nothing_is_accepted_without_a_name_and_a_reason(nights: Nights, by: str | None, why: str) -> None:
    """An acceptance that nobody could be asked about later is refused, and the baseline stays."""
    with pytest.raises(NotApproved):
        nights.accept(by, why)
    assert next(nights.documents.baselines()).number == 1


def test_accepting_twice_in_one_run_makes_one_baseline(nights: Nights, redis7: Server) -> None:
    """A run that was killed after it had written its baseline finds it when it is tried again."""
    put(redis7, "cart:900")
    audit = nights.audit()
    once = nights.check(audit, Acceptance("bob", "why"), "run")
    for report in (nights.store / "test/drift").glob(f"{audit.audit_id}*"):
        report.unlink()
    again = nights.check(audit, Acceptance("bob", "why"), "run")
    assert replace(again, checked_at=once.checked_at) == once
    assert next(nights.documents.baselines()).number == 2


def test_keys_that_were_remediated_leave_and_are_wiped_when_they_come_back(nights: Nights, redis7: Server) -> None:
    """A key that got a TTL from us and lost it is told apart from one that nobody has seen before."""
    run = Applying(redis7.url, nights.store, nights.policy)
    run.documents.write_plan(run.plan)
    run.run()
    after = nights.night()
    assert (after.verdict, after.left_keys, after.no_ttl_keys) == (Verdict.CLEAN, 300, 0)
    put(redis7, *carts(0, 20), *carts(900, 905))
    report = nights.night()
    assert found(report) == {("ttl_wiped", "cart:{n}"): 20, ("new_writer", "cart:{n}"): 5}
    examples = {each.kind: each.examples for each in report.findings}
    assert set(examples[DriftKind.NEW_WRITER]) == set(carts(900, 905))
    assert set(examples[DriftKind.TTL_WIPED]) < set(carts(0, 20))


def test_a_key_that_was_wiped_before_any_audit_saw_its_ttl_is_found(nights: Nights, redis7: Server) -> None:
    """Between two audits a key got a TTL and lost it: it never left the baseline, and the journal tells."""
    run = Applying(redis7.url, nights.store, nights.policy)
    run.documents.write_plan(run.plan)
    run.run()
    put(redis7, *carts(0, 20))
    report = nights.night()
    assert found(report) == {("ttl_wiped", "cart:{n}"): 20}
    assert report.left_keys == 300
    assert found(nights.night()) == {("ttl_wiped", "cart:{n}"): 20}
    nights.accept()
    assert nights.night().verdict is Verdict.CLEAN


def test_what_a_rollback_took_back_is_not_new(nights: Nights, redis7: Server) -> None:
    """Keys whose TTL we took off ourselves are in the baseline again."""
    run = Applying(redis7.url, nights.store, nights.policy)
    run.documents.write_plan(run.plan)
    run.run()
    assert nights.night().left_keys == 300
    roll_back(run)
    report = nights.night()
    assert (report.verdict, report.no_ttl_keys) == (Verdict.CLEAN, 300)
    assert nights.night().baseline_keys == 300


def test_checking_an_audit_again_gives_the_same_report(nights: Nights, redis7: Server) -> None:
    """Two checks of one audit agree, also when the first was killed after its baseline, and also after a later one."""
    put(redis7, *carts(900, 903))
    with redis7.client() as client:
        client.delete(*carts(0, 10))
    audit = nights.audit()
    report = nights.check(audit)
    assert nights.check(audit) == report
    (nights.store / f"test/drift/{audit.audit_id}.json").unlink()
    again = nights.check(audit)
    assert replace(again, checked_at=report.checked_at, run=report.run) == report
    nights.night()
    assert nights.check(audit) == again


def test_each_database_has_its_own_keys(redis7: Server, tmp_path: Path) -> None:
    """The same name in two databases is two keys; a database that tonight's audit didn't read keeps its baseline, and one that no
    audit had read before joins it.
    """
    both = replace(FAST, databases=(0, 1))
    put(redis7, *carts(0, 20))
    put(redis7, *carts(0, 20), db=1)
    nights = Nights(redis7.url, tmp_path, POLICY)
    assert nights.night().no_ttl_keys == 20
    nights.options = both
    joined = nights.night()
    assert (joined.verdict, joined.no_ttl_keys) == (Verdict.CLEAN, 40)
    assert "database 1: their keys joined" in joined.notes[0]
    nights.options = FAST
    assert nights.night().verdict is Verdict.CLEAN
    nights.options = both
    put(redis7, "cart:900", db=1)
    report = nights.night()
    assert [(each.db, each.new_keys, each.examples) for each in report.findings] == [(1, 1, ("cart:900",))]


def test_another_server_with_the_same_keys_has_nothing_new(
    nights: Nights, redis7: Server, valkey: Server, tmp_path: Path
) -> None:
    """A failover, a restart or a move changes cursors and hash seeds, not names: nothing is new."""
    put(redis7, "other:1", ex=1000)
    put(valkey, *carts(0, 300))
    moved = Nights(valkey.url, tmp_path, POLICY, _numbers=nights._numbers)
    report = moved.night()
    assert (report.verdict, report.left_keys) == (Verdict.CLEAN, 0)


def test_a_table_that_grew_and_shrank_has_nothing_new(nights: Nights, redis7: Server) -> None:
    """Rehashing moves keys to other places of the server's table, and none of them is new or gone."""
    with redis7.client() as client:
        passing = [f"pass:{number}" for number in range(20_000)]
        with client.pipeline(transaction=False) as pipeline:
            for name in passing:
                pipeline.set(name, "", ex=10_000)
            pipeline.execute()
        assert nights.night().verdict is Verdict.CLEAN
        client.delete(*passing)
        audit = nights.audit()
    report = nights.check(audit)
    assert (report.verdict, report.left_keys, report.no_ttl_keys) == (Verdict.CLEAN, 0, 300)


def test_keys_that_moved_to_another_node_are_the_same_keys(tmp_path: Path) -> None:
    """Resharding between two audits makes nothing new, and new keys of any node are found and named."""
    with run_cluster(require(VALKEY)) as cluster:
        client = cluster.client()
        client.mset_nonatomic(dict.fromkeys(carts(0, 2_000), ""))
        nights = Nights(cluster.url, tmp_path, POLICY)
        assert nights.night().no_ttl_keys == 2_000
        moved = _move_slots(cluster, 40)
        assert moved > 0
        report = nights.night()
        assert (report.verdict, report.left_keys, report.no_ttl_keys) == (Verdict.CLEAN, 0, 2_000)
        cluster.client().mset_nonatomic(dict.fromkeys(carts(5_000, 5_009), ""))
        assert set(nights.night().findings[0].examples) == set(carts(5_000, 5_009))


def _move_slots(cluster: Cluster, count: int) -> int:
    """Move slots with all of their keys from the first primary to the second; the keys."""
    source, target = cluster.primaries[:2]
    moved = 0
    with source.client() as left, target.client() as right, cluster.primaries[2].client() as third:
        left_id, right_id = (each.execute_command("CLUSTER", "MYID") for each in (left, right))
        held = [slot for slot in range(5461) if left.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)]
        for slot in held[:count]:
            right.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", left_id)
            left.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", right_id)
            for key in left.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
                left.execute_command("MIGRATE", target.host, target.port, key, 0, 5000)
                moved += 1
            for each in (right, left, third):
                each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", right_id)
    return moved


def test_a_policy_that_was_edited_makes_nothing_new(nights: Nights, redis7: Server) -> None:
    """Rules may come and go between two audits, and between an audit and its check: old keys stay old, new ones are judged
    by today's rules.
    """
    nights.change_policy(rules=())
    assert nights.night().verdict is Verdict.CLEAN
    put(redis7, "cart:900", "cart:901")
    audit = nights.audit()
    tolerated = nights.check(audit)
    assert (tolerated.verdict, tolerated.findings[0].kind) == (Verdict.TOLERATED, DriftKind.RULE_MISSING)
    nights.change_policy(rules=(CART,))
    judged = nights.check(audit)
    assert (judged.verdict, judged.findings[0].rule) == (Verdict.DRIFT, "cart:{id}")
    assert "policy was changed" in judged.notes[-1]


def test_tolerances_are_for_a_rule_for_what_nothing_governs_and_never_for_exempt_keys(
    nights: Nights, redis7: Server
) -> None:
    """Each scope has its own measure; exempt keys are told and don't fail."""
    put(redis7, *carts(900, 905), *(f"stray:{number}" for number in range(30)), "config:a", "config:b")
    nights.change_policy(drift=DriftSettings(DriftTolerance(keys=4), DriftTolerance(keys=30)))
    report = nights.night()
    assert {(each.pattern, each.fails) for each in report.findings} == {
        ("cart:{n}", True),
        ("stray:{n}", False),
        ("config:a", False),
        ("config:b", False),
    }
    nights.change_policy(drift=DriftSettings(DriftTolerance(ratio=0.05), DriftTolerance(keys=30)))
    assert nights.night().verdict is Verdict.TOLERATED
    nights.change_policy(rules=(replace(CART, drift=DriftTolerance(keys_per_day=4)),))
    assert nights.night().verdict is Verdict.DRIFT


def test_an_overdue_rule_fails_without_new_keys(nights: Nights) -> None:
    """After its date a rule that still has keys without TTL fails, accepted or not."""
    nights.change_policy(rules=(replace(CART, due=dt.date(2020, 1, 1)),))
    report = nights.night()
    (finding,) = report.findings
    assert (report.verdict, finding.kind, finding.no_ttl_keys, finding.new_keys) == (
        Verdict.DRIFT,
        DriftKind.OVERDUE,
        300,
        0,
    )
    nights.accept()
    assert nights.night().findings[0].since == report.audited_at
    nights.change_policy(rules=(replace(CART, due=dt.date(2999, 1, 1)),))
    assert nights.night().verdict is Verdict.CLEAN


def test_an_audit_that_did_not_end_is_refused(nights: Nights) -> None:
    """An interrupted audit never becomes a report, and changes no baseline."""
    audit = nights.audit()
    (nights.store / f"test/audits/{audit.audit_id}/audit.json").unlink()
    with pytest.raises(BadInput, match="didn't come to its end"):
        nights.check(audit)


def test_names_that_only_their_number_folds_are_found_under_the_name_of_the_report(
    nights: Nights, redis7: Server
) -> None:
    """Shards may know a pattern by a longer name than the report does: the finding has the report's."""
    names = ["".join(chr(97 + (number // 26**place) % 26) for place in range(3)) for number in range(1000)]
    put(redis7, *(f"profile:{name}:seen" for name in names))
    report = nights.night()
    assert found(report) == {("rule_missing", "profile:{text}:seen"): 1000}
    assert len(report.findings[0].examples) == 10


def test_an_audit_older_than_every_baseline_makes_none(nights: Nights, redis7: Server, tmp_path: Path) -> None:
    """Checking an audit from before the first check is refused instead of starting all over with it."""
    late = Nights(redis7.url, tmp_path / "late", POLICY)
    early = late.audit()
    late.night()
    with pytest.raises(BadInput, match="older than every baseline"):
        late.check(early)
    assert next(nights.documents.baselines()).number == 1


def test_slots_on_the_move_let_no_key_leave(nights: Nights, redis7: Server) -> None:
    """Keys that an audit may have missed stay in the baseline, and don't come back as new ones."""
    with redis7.client() as client:
        client.rename("cart:1", "elsewhere")
        audit = nights.audit()
        document = nights.store / f"test/audits/{audit.audit_id}/audit.json"
        data = json.loads(document.read_text())
        document.write_text(json.dumps({**data, "warnings": ["slots moved between nodes during the scan"]}))
        report = nights.check(audit)
        assert (report.left_keys, report.next_baseline) == (0, 1)
        assert "none left the baseline" in report.notes[0]
        client.rename("elsewhere", "cart:1")
    assert nights.night().verdict is Verdict.CLEAN


def test_the_last_report_is_shown_in_a_terminal(nights: Nights) -> None:
    """``redis-ttl drift show`` prints the page, or the report as JSON, from the store alone."""
    arguments = ["show", "test", "--store", str(nights.store)]
    shown = CliRunner().invoke(app, arguments)
    assert "First check: the 300 keys" in shown.output
    shown = CliRunner().invoke(app, [*arguments, "--json"])
    assert from_plain(DriftReport, json.loads(shown.output)) == nights.documents.last_report()
    missing = CliRunner().invoke(app, ["show", "other", "--store", str(nights.store)])
    assert isinstance(missing.exception, InvalidOption)


@pytest.mark.parametrize("databases", [(0,), "all"])
def test_a_database_that_was_empty_was_read_all_the_same(redis7: Server, tmp_path: Path, databases: Any) -> None:
    """Keys that come where there were none are new, also in the first night, and also after a flush."""
    nights = Nights(redis7.url, tmp_path, POLICY, replace(FAST, databases=databases))
    assert nights.night().verdict is Verdict.FIRST
    put(redis7, *carts(0, 3))
    assert found(nights.night()) == {("new_writer", "cart:{n}"): 3}
    nights.accept()
    with redis7.client() as client:
        client.flushdb()
    assert nights.night().left_keys == 3
    put(redis7, *carts(0, 3), db=0 if databases == (0,) else 5)
    report = nights.night()
    assert found(report) == {("new_writer", "cart:{n}"): 3}
    assert report.notes == ()


class Dying(Store):
    """A store whose worker is killed before its n-th write."""

    def __init__(self, root: Path, writes: int) -> None:
        super().__init__(root)
        self.left = writes

    def write(self, path: str, data: bytes) -> None:
        """Write, as long as there is life."""
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        super().write(path, data)


@pytest.mark.parametrize("accept", [None, Acceptance("bob", "why")])
def test_a_check_that_is_killed_anywhere_is_done_again(
    nights: Nights, redis7: Server, tmp_path: Path, accept: Acceptance | None
) -> None:
    """Wherever a check dies, the next attempt comes to what an uninterrupted one would have, and so does the night after."""
    with redis7.client() as client:
        client.delete(*carts(0, 10))
    put(redis7, *carts(900, 903))
    audit, again = nights.audit(), []
    for deaths in range(10):
        nights.store = tmp_path.parent / f"{tmp_path.name}-{deaths}"
        shutil.copytree(tmp_path, nights.store)
        tools = replace(nights.tools(audit), documents=Dying(nights.store, deaths))
        with suppress(KeyboardInterrupt):
            uninterrupted = check_drift(DriftRequest(audit.audit_id, "run", accept), tools)
            break
        again.append(replace(nights.check(audit, accept, "run"), checked_at=""))
        assert [each.number for each in nights.documents.baselines()] == [2, 1]
    assert len(again) == 4
    assert again == [replace(uninterrupted, checked_at="")] * 4
