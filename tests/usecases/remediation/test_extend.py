"""Mode `extend`, from the plan to the rollback: a TTL that is shorter than the rule's is raised, and nothing else happens to any key."""

from __future__ import annotations

import datetime as dt
import re
import time
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.remediation.restoring import expiries, restore_tools, roll_back
from lab.servers.server import Server
from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.cli.policy_summary import policy_summary
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.plan.caution import CautionKind
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.actions import Action, Mode
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.domain.remediation.remediation import RuleAccount
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.domain.rollback.rollback import RestoreAccount, refuse_unfinished
from redis_ttl.messages.pages.plan_page import plan_page
from redis_ttl.messages.pages.rollback_page import rollback_page
from redis_ttl.usecases.plan.build_plan import build_plan
from redis_ttl.usecases.rollback.restore_journal import look_again
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.adapters.keyspaces import send
from tests.usecases.auditing import Auditing
from tests.usecases.drifting import Nights, found
from tests.usecases.verifying import Remediation, figures

TTL_S = 30 * DAY_S
POLICY = policy_of(rule("cart:{id}", ttl_s=TTL_S, mode=Mode.EXTEND), canary_keys=5)
#: By the name of a key what is left of its TTL, None for a key without one.
KEYS: dict[bytes, int | None] = {
    **{b"cart:short%d" % number: 3_600 + 7_000 * number for number in range(300)},
    **{b"cart:long%d" % number: TTL_S + DAY_S + number for number in range(40)},
    **{b"cart:bare%d" % number: None for number in range(30)},
    **{b"other:%d" % number: 5_000 for number in range(600)},
}
#: In the unit of `expiries`, which is a tenth of a second before 7.0, and read from two clocks of one machine.
_INEXACT = 2
SHORT = {key for key in KEYS if key.startswith(b"cart:short")}


def fill(server: Server) -> None:
    """The keys above."""
    send(server, (("SET", key, "x", *(() if ttl is None else ("EX", ttl))) for key, ttl in KEYS.items()))


def changed(before: dict[tuple[int, bytes], int], after: dict[tuple[int, bytes], int]) -> set[bytes]:
    """The names of keys whose expiry isn't what it was; before 7.0 two tenths of a second are nothing, and elsewhere two milliseconds."""
    assert before.keys() == after.keys()
    return {key for (db, key), instant in before.items() if abs(after[db, key] - instant) > _INEXACT}


def plan_of(server: Server, folder: Path, policy: Policy, *, audited_by: Policy | None = None) -> Plan:
    """An audit, and the plan made of it."""
    auditing = Auditing(server.url, folder, policy=audited_by or policy)
    now = dt.datetime.now(dt.UTC)
    return build_plan(auditing.redis, auditing.run(), policy, plan_id="20260220T190000Z-0a1b2c", run="d/r", now=now)


def test_a_plan_counts_them_and_says_what_that_means(any_server: Server, tmp_path: Path) -> None:
    """The exact number, what is left alone, that nothing is freed and no new TTL is stored; and a warning of what can't be taken back."""
    fill(any_server)
    plan = plan_of(any_server, tmp_path, POLICY)
    (planned,) = plan.rules
    assert (planned.changes, planned.size_bytes) == ({Action.EXTEND: 300}, 0)
    assert [(each.keys, each.why) for each in planned.skipped] == [(70, "have a TTL that is long enough, or none")]
    assert (plan.forecast.ttl_bytes, plan.forecast.table_bytes) == (0, 0)
    assert CautionKind.EXTENDED in {each.kind for each in planned.cautions}
    page = plan_page(plan, POLICY)
    assert "This will lengthen the TTL of 300 keys" in page
    assert re.search(r"\| `cart:\{id\}` +\| extend +\| +300 \|", page)
    assert "all of it can be rolled back; a lengthened TTL only as long as the old one hasn't run out." in page
    assert "a rollback gives each its old TTL back only as long as that hasn't run out" in page
    assert Plan.from_json(plan.to_json()).digest == plan.digest


def test_a_policy_file_asks_for_it(tmp_path: Path) -> None:
    """The word is a mode, and the summary of the policy says which keys it means."""
    file = tmp_path / "test.yaml"
    file.write_text(
        "cluster: test\nconnection: r\nowner: {team: shop}\n"
        'rules:\n  - {pattern: "cart:{id}", ttl: 30d, mode: extend, sign_off: {by: Ann, on: 2026-02-20}}\n'
    )
    policy = load_policy(file)
    assert policy.rules[0].mode is Mode.EXTEND
    assert "extend: keys with less than 30d left get 30d plus up to 3d" in policy_summary("test.yaml", policy).plain


@pytest.mark.parametrize("other", [rule("cart:{id}", ttl_s=TTL_S), rule("cart:{id}", ttl_s=DAY_S, mode=Mode.EXTEND)])
def test_keys_that_were_counted_by_another_rule_are_not_extended(valkey: Server, tmp_path: Path, other: object) -> None:
    """An audit by another mode or TTL doesn't know which keys have a shorter one."""
    fill(valkey)
    with pytest.raises(BadInput, match="its mode or TTL was changed since the audit"):
        plan_of(valkey, tmp_path, POLICY, audited_by=policy_of(other))  # type: ignore[arg-type]


def test_only_shorter_ttls_are_raised_and_only_once(any_server: Server, tmp_path: Path) -> None:
    """Each gets its instant; longer ones, keys without a TTL and those of no rule keep theirs to the millisecond; so does everything
    when the plan is applied again.
    """
    fill(any_server)
    before = expiries([any_server])
    run = Remediation(any_server.url, tmp_path, POLICY)
    run.apply()
    after = expiries([any_server])
    assert changed(before, after) == SHORT
    with any_server.client() as client:
        left = {key: client.pttl(key) for key in SHORT}
    assert all(TTL_S * 1000 <= each <= (TTL_S * 1.1 + 1_800) * 1000 for each in left.values())
    journal = run.applying.journal()
    assert set(journal["key"]) == SHORT
    assert journal["action"].unique().to_list() == ["extend"]
    again = run.applying.run()
    assert sum(part.changed for part in again) == 0
    assert (changed(after, expiries([any_server])), run.applying.journal().height) == (set(), 300)
    verification = run.verify()
    counted = figures(verification.rules[0])
    assert (counted["kept"], verification.missed, verification.rules[0].shorter) == (300, 0, 0)
    assert (counted["met"], counted["no_ttl_keys"], counted["had_ttl"]) == (370, 30, 70)


def test_what_the_application_does_between_decision_and_write_wins(any_server: Server, tmp_path: Path) -> None:
    """A longer TTL, or none, that appears after the journal was written is left; another shorter one is journalled and raised."""
    fill(any_server)
    run = Remediation(
        any_server.url, tmp_path, policy_of(rule("cart:{id}", ttl_s=TTL_S, mode=Mode.EXTEND), canary_keys=0)
    )
    documents, write = run.applying.documents, PlanDocuments.write_journal
    written: list[JournalName] = []

    def write_and_change(name: JournalName, data: bytes) -> JournalName:
        kept = write(documents, name, data)
        if not written:
            with any_server.client() as client:
                client.expire("cart:short1", TTL_S * 2)
                client.persist("cart:short2")
                client.expire("cart:short3", 99)
                client.delete("cart:short4")
        written.append(kept)
        return kept

    documents.write_journal = write_and_change  # type: ignore[method-assign]
    run.applying.pass_canary()
    account = run.applying.shard(documents=documents).accounts[0]
    # The canary has written some of them.
    ours = account.already_ours
    assert account == RuleAccount(met=370, already_ours=ours, had_ttl=70, raced=2, vanished=1, extended=297 - ours)
    with any_server.client() as client:
        assert client.ttl("cart:short1") > TTL_S * 2 - 60
        assert client.ttl("cart:short2") == -1
        assert client.ttl("cart:short3") >= TTL_S
        assert not client.exists("cart:short4")


def test_a_rollback_gives_each_its_old_ttl_back(any_server: Server, tmp_path: Path) -> None:
    """Key by key, but for those that the application has changed since."""
    fill(any_server)
    before = expiries([any_server])
    run = Remediation(any_server.url, tmp_path, POLICY)
    run.apply()
    with any_server.client() as client:
        client.expire("cart:short7", 5 * DAY_S)
    assert roll_back(run.applying, dry_run=True) == RestoreAccount(keys=300, put_back=299, changed=1)
    assert roll_back(run.applying) == RestoreAccount(keys=300, put_back=299, changed=1)
    assert changed(before, expiries([any_server])) == {b"cart:short7"}
    assert roll_back(run.applying) == RestoreAccount(keys=300, restored_before=299, changed=1)


def test_a_rollback_deletes_no_key_whose_old_ttl_has_run_out(any_server: Server, tmp_path: Path) -> None:
    """It keeps the plan's TTL, is counted as that and told, and doesn't count as left behind."""
    send(any_server, [("SET", "cart:1", "x", "PX", 9_000), ("SET", "cart:2", "x", "EX", 5_000)])
    run = Remediation(any_server.url, tmp_path, POLICY)
    run.apply()
    time.sleep(9)
    result = RestoreAccount(keys=2, put_back=1, outlived=1)
    assert roll_back(run.applying, dry_run=True) == result
    assert roll_back(run.applying) == result
    with any_server.client() as client:
        assert client.ttl("cart:1") >= TTL_S - 60
        assert 0 < client.ttl("cart:2") <= 5_000
    after, moving = look_again(run.applying.plan, RestoreOptions(dry_run=False), restore_tools(run.applying))
    assert after.all_still_ours == 0
    refuse_unfinished(after, after, moving=moving)
    page = rollback_page(run.applying.plan, after)
    assert "1 keys keep the plan's TTL: their old TTL has run out" in page


def test_a_drift_check_finds_what_lost_its_ttl_and_nothing_else(redis7: Server, tmp_path: Path) -> None:
    """Extended keys are no drift; keys of the rule without a TTL are found as ever, and an extended one that was written anew as wiped."""
    fill(redis7)
    nights = Nights(redis7.url, tmp_path, POLICY)
    nights.night()
    Applying(redis7.url, tmp_path, POLICY).run()
    assert found(nights.night()) == {}
    send(redis7, [("SET", "cart:short1", "again"), ("SET", "cart:bareX", "new")])
    assert found(nights.night()) == {("ttl_wiped", "cart:short{n}"): 1, ("new_writer", "cart:bareX"): 1}
