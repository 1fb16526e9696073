"""What a verification reads, in which order it looks, whom it asks about which keys, and what it makes of the answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.domain.audit.shards import SlotClaims, SplitRule
from redis_ttl.domain.errors import BadInput, NotVerified, OtherServer, SlotsMoved
from redis_ttl.domain.remediation.remediation import Outcome, PartBegun
from redis_ttl.domain.remediation.verification import Verification, VerifiedRule
from redis_ttl.usecases.remediation import verify_plan as verifying
from redis_ttl.usecases.remediation.verify_plan import VerifyTools, refuse_unverified, verify_plan
from tests.usecases.stand_in_verify import (
    ATTEMPT,
    LATER,
    NOW,
    NOW_MS,
    PLAN,
    POLICY,
    StoppedClock,
    Verifying,
)


@pytest.fixture
def verify(tmp_path: Path) -> Verifying:
    """A plan that nothing was written by yet."""
    return Verifying(tmp_path)


def test_a_policy_that_was_changed_is_refused(verify: Verifying) -> None:
    """Rules of another policy mean other keys: neither is read, and both are named."""
    plan = replace(PLAN, policy_hash="0123456789abcdef")
    tools = VerifyTools(verify.redis, verify.store, POLICY, lambda *_: verify.ledger, lambda *_: None, StoppedClock())  # type: ignore[arg-type]
    with pytest.raises(BadInput) as refused:
        verify_plan(plan, tools)
    assert f"found {POLICY.hash[:12]}; expected 0123456789ab." in str(refused.value)
    assert verify.ledger.filled == []


def test_the_ledger_is_filled_from_audit_and_journal(verify: Verifying) -> None:
    """Approvals, fingerprints with the audit's seed, and each object that isn't a rollback's, with whether its part came to its end."""
    verify.documents.write_begun(PartBegun(PLAN.plan_id, "shard-0", ATTEMPT, 4_000, "x"))
    verify.part("shard-0", ATTEMPT, objects=1)
    verify.part("shard-1", ATTEMPT, outcome=Outcome.ABORTED, objects=1)
    verify.journal("shard-0", b"done")
    verify.journal("shard-1", b"not done")
    verify.journal("rollback-0", b"undone", LATER)
    verify.run()
    assert verify.ledger.filled == [
        ("approvals", [4_000]),
        ("fingerprints", b"f0", 77),
        ("fingerprints", b"f1", 77),
        ("journal", b"done", True),
        ("journal", b"not done", False),
    ]
    assert verify.ledger.resulted == [NOW_MS]


def test_a_run_is_complete_when_each_shard_was_written_to_its_end(verify: Verifying) -> None:
    """As long as one shard has only an attempt that ended before, the run is incomplete, and a note says what that means."""
    verify.part("canary")
    verify.part("shard-0")
    verify.part("shard-2")
    verify.part("shard-1", outcome=Outcome.STOPPED)
    found = verify.run()
    assert not found.complete
    assert found.notes == (
        "the run ended before every shard was written to its end: keys that it didn't reach are counted as left",
    )
    verify.part("shard-1", LATER)
    found = verify.run()
    assert found.complete
    assert found.notes == ()


def test_what_cannot_be_read_is_named_and_the_rest_is_verified(verify: Verifying) -> None:
    """Missing and damaged objects are named in order, and asked for in no second look; the others are."""
    verify.all_done()
    verify.part("shard-0", LATER, objects=2)
    verify.documents.write_begun(PartBegun(PLAN.plan_id, "shard-0", LATER, 4_000, "x"))
    verify.journal("shard-0", b"fine", LATER, 0)
    damaged = verify.journal("shard-2", b"no journal", LATER)
    verify.redis.claims = [{"n1:1": SlotClaims(frozenset({1}), frozenset())}] * 2
    verify.ledger.hidden = {b"fine": [(0, b"k1"), (3, b"k2")], b"no journal": [(0, b"k3")]}
    found = verify.run()
    missing = f"{LATER}_shard-0_000001"
    assert found.unreadable == (missing, damaged)
    assert found.notes == (
        f"objects of the journal are damaged or missing, and what they said is unknown: {missing}, {damaged}",
    )
    assert verify.ledger.heard == [
        ("unseen fine", "expire", (0, (b"k1",), None)),
        ("unseen fine", "expire", (3, (b"k2",), None)),
    ]
    assert verify.documents.verifications() == [found]


def test_outside_a_cluster_nobody_hides(verify: Verifying) -> None:
    """Without slots there is one look, and no key is asked for that it didn't meet."""
    verify.all_done()
    verify.journal("shard-0", b"fine")
    verify.ledger.hidden = {b"fine": [(0, b"k1")]}
    verify.run()
    assert (verify.ledger.begun, verify.ledger.heard) == ([False], [])


def test_every_database_of_every_primary_is_read_whole(verify: Verifying) -> None:
    """Each once, in one piece, at the full load, and without samples; progress is told after each batch, and memory once a node."""
    verify.redis.addresses = ("n1:1", "n2:1")
    verify.redis.batches = {
        ("n1:1", 0): [{"name": "x", "no_ttl_keys": 4}],
        ("n1:1", 3): [{"name": "y", "no_ttl_keys": 2}],
        ("n2:1", 3): [{"name": "z"}],
    }
    verify.redis.used_bytes = {"n1:1": 1_000, "n2:1": 30}
    found = verify.run()
    places = [("n1:1", 0), ("n1:1", 3), ("n2:1", 0), ("n2:1", 3)]
    assert verify.redis.read == [(*place, SplitRule.SEQUENTIAL, 1, 1, ()) for place in places]
    assert verify.ledger.judged == [(0, "x", NOW_MS), (3, "y", NOW_MS), (3, "z", NOW_MS)]
    assert verify.progress == [(10, 7), (20, 7), (30, 7)]
    assert (found.scanned, found.no_ttl_keys, found.used_bytes) == (30, 6, 1_030)
    assert (found.began_at, found.ended_at) == (NOW.isoformat(), NOW.isoformat())


@pytest.mark.parametrize(
    ("ahead_s", "note"),
    [
        (None, None),
        (60.0, None),
        (-60.0, None),
        (61.0, "the clock of n1:1 is +61 s off ours: what has expired is judged by the server's"),
        (-7_200.0, "the clock of n1:1 is -7,200 s off ours: what has expired is judged by the server's"),
    ],
)
def test_the_servers_clock_decides_what_has_expired(verify: Verifying, ahead_s: float | None, note: str | None) -> None:
    """Keys are judged by its time, batch by batch and in the end; a clock that is more than a minute off is noted."""
    verify.all_done()
    verify.redis.ahead_s = ahead_s
    verify.redis.batches = {("n1:1", 0): [{"name": "x"}]}
    assert verify.run().notes == (() if note is None else (note,))
    now_ms = NOW_MS + int((ahead_s or 0) * 1000)
    assert verify.ledger.judged == [(0, "x", now_ms)]
    assert verify.ledger.resulted == [now_ms]


def test_memory_that_a_server_does_not_tell_is_unknown(verify: Verifying) -> None:
    """Where one server doesn't say how much it uses, nobody adds up what the others do."""
    verify.redis.addresses = ("n1:1", "n2:1")
    for silent, other in (("n1:1", "n2:1"), ("n2:1", "n1:1")):
        verify.redis.used_bytes = {silent: None, other: 1_000}
        assert verify.run().used_bytes is None


def test_each_node_is_judged_by_its_own_clock_and_the_end_by_the_slowest(verify: Verifying) -> None:
    """A node that tells no time is judged by ours, whoever was looked at before; no key counts as expired before all clocks say so."""
    verify.redis.addresses = ("n1:1", "n2:1", "n3:1")
    verify.redis.aheads_s = {"n1:1": 40.0, "n2:1": -30.0, "n3:1": None}
    verify.redis.batches = {(address, 3): [{"name": address}] for address in verify.redis.addresses}
    verify.run()
    assert verify.ledger.judged == [(3, "n1:1", NOW_MS + 40_000), (3, "n2:1", NOW_MS - 30_000), (3, "n3:1", NOW_MS)]
    assert verify.ledger.resulted == [NOW_MS - 30_000]


def test_memory_is_a_servers_and_no_databases(verify: Verifying) -> None:
    """However many databases a plan has, the memory of each server counts once."""
    for databases in (1, 2, 3):
        shards = tuple(replace(PLAN.shards[0], number=db, db=db) for db in range(databases))
        verify.plan = replace(PLAN, shards=shards)
        assert verify.run().used_bytes == 100
    verify.redis.used_bytes = {"n1:1": 0}
    assert verify.run().used_bytes == 0


def test_expiries_are_asked_where_their_keys_were_met(verify: Verifying) -> None:
    """The batch hears the expiries of what it asks, of its database and its node; one that asks nothing hears nothing."""
    verify.redis.addresses = ("n2:1",)
    verify.redis.batches = {("n2:1", 3): [{"name": "x", "asked": [b"k"]}, {"name": "y"}]}
    verify.run()
    assert verify.ledger.heard == [("x", "expire", (3, (b"k",), "n2:1"))]


def test_suspects_are_asked_about_since_the_first_shard_began(verify: Verifying) -> None:
    """Their use counts since the first shard's writing began, not since the canary's; what is answered goes to its batch."""
    verify.part("canary", began=NOW - dt.timedelta(hours=9))
    verify.part("shard-0", began=NOW - dt.timedelta(seconds=50))
    verify.part("shard-1", began=NOW - dt.timedelta(seconds=80))
    verify.part("shard-2", began=NOW - dt.timedelta(seconds=20))
    verify.redis.batches = {("n1:1", 0): [{"name": "x", "suspects": [b"k"]}, {"name": "y", "suspects": [b"l", b"m"]}]}
    verify.run()
    assert verify.ledger.heard == [("x", "use", ((b"k",), 80.0)), ("y", "use", ((b"l", b"m"), 80.0))]


def test_of_an_incomplete_run_suspects_are_left(verify: Verifying) -> None:
    """Keys that the run perhaps never reached are asked nothing, and are counted as left."""
    verify.part("shard-0")
    verify.redis.batches = {("n1:1", 0): [{"name": "x", "suspects": [b"k"]}]}
    verify.run()
    assert verify.ledger.heard == [("x", "settle", True)]
    assert verify.redis.asked == []


def test_too_many_suspects_are_missed_without_a_question(verify: Verifying, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many are asked as may be, over all batches of a look; a batch with more is counted as missed, and each look counts anew."""
    monkeypatch.setattr(verifying, "_ASKED_AT_MOST", 3)
    verify.all_done()
    sizes = {"two": [b"a", b"b"], "also two": [b"c", b"d"], "one": [b"e"], "another": [b"f"]}
    verify.redis.batches = {("n1:1", 0): [{"name": name, "suspects": keys} for name, keys in sizes.items()]}
    moving = {"n1:1": SlotClaims(frozenset({1, 2}), frozenset({2}))}
    at_rest = {"n1:1": SlotClaims(frozenset({1, 2}), frozenset())}
    verify.redis.claims = [moving, at_rest, at_rest, at_rest]
    verify.run()
    look = [("two", "use"), ("also two", "settle"), ("one", "use"), ("another", "settle")]
    assert [(name, what) for name, what, _ in verify.ledger.heard] == look * 2
    assert {how for _, what, how in verify.ledger.heard if what == "settle"} == {False}


def test_while_slots_move_everything_is_looked_at_again(verify: Verifying) -> None:
    """Three times at most; then the slots that moved during the last look are counted, and a note says so."""
    moving = {"n1:1": SlotClaims(frozenset({1, 2, 3}), frozenset({2, 3}))}
    verify.redis.claims = [moving] * 6
    verify.all_done()
    verify.redis.batches = {("n1:1", 0): [{"name": "x", "no_ttl_keys": 1}]}
    found = verify.run()
    assert verify.ledger.begun == [True, True, True]
    assert verify.redis.claims == []
    assert found.moving_slots == 2
    assert found.notes == (
        "2 slots were moving between nodes during this look: keys in them may be counted twice or not at all",
    )
    assert (found.scanned, found.no_ttl_keys, found.used_bytes) == (10, 1, 100), "the last look alone counts"


def test_each_rule_has_its_figures_and_what_the_writers_left_alone(verify: Verifying) -> None:
    """Figures of the ledger, and of each shard's last attempt; the canary met the same keys, and counts only by itself."""
    verify.ledger.figures = {0: {"met": 9, "kept": 5, "missed": 1}}
    verify.part("canary", had_ttl=100, met=100)
    found = verify.run().rules
    assert [each.had_ttl for each in found] == [100, 0, 0]
    verify.part("shard-0", ATTEMPT, had_ttl=1, hot=7)
    verify.part("shard-0", LATER, had_ttl=2, raced=3)
    verify.part("shard-1", ATTEMPT, had_ttl=10, vanished=4, hot=5)
    found = verify.run().rules
    assert found[0] == VerifiedRule(
        0, "a:{n}", "set", 1_000, met=9, kept=5, missed=1, had_ttl=12, raced=3, vanished=4, hot=5
    )
    assert found[1:] == (
        VerifiedRule(1, "b:{n}", "set", 1_000),
        VerifiedRule(2, "c:{n}", "set", 0, refusal="not signed off"),
    )


@pytest.mark.parametrize("in_cluster", [False, True])
def test_servers_of_another_data_set_are_named(verify: Verifying, in_cluster: bool) -> None:  # noqa: FBT001
    """Those that don't continue the plan's by their replication ids; in a cluster nodes that have joined since are none of them."""
    verify.redis.addresses = ("n1:1", "n2:1")
    verify.redis.in_cluster = in_cluster
    assert verify.run().strangers == ()
    verify.redis.lineages = {"n2:1": "0" * 40}
    assert verify.run().strangers == (() if in_cluster else ("n2:1",))
    verify.redis.lineages = {"n1:1": "1" * 40, "n2:1": "0" * 40}
    assert verify.run().strangers == ("n1:1", "n2:1")


def test_keys_of_which_the_server_tells_too_little_are_noted(verify: Verifying) -> None:
    """How many of which rule, once; and nothing where there are none."""
    verify.all_done()
    verify.ledger.figures = {0: {"untold": 1_200}, 1: {"untold": 0}, 2: {"untold": 3}}
    [note] = verify.run().notes
    assert note.startswith(
        "keys of the audit still have no TTL and weren't written since (1,200 of a:{n}, 3 of c:{n}): under its eviction policy"
    )


@pytest.mark.parametrize(("gone", "is_noted"), [(1_000, False), (1_001, True)])
def test_when_most_keys_are_gone_that_is_noted(verify: Verifying, gone: int, *, is_noted: bool) -> None:
    """More than half of what was journalled, over all rules; with the servers that are another data set's, if there are any."""
    verify.all_done()
    verify.ledger.figures = {0: {"gone": gone - 1, "kept": 999}, 1: {"gone": 1, "expired": 1}}
    notes = verify.run().notes
    text = f"{gone:,} of {1_000 + gone:,} keys that were written are gone before their time: deleted, evicted, or the data set was emptied"
    assert notes == ((text,) if is_noted else ())
    verify.redis.lineages = {"n1:1": "1" * 40}
    found = verify.run()
    strange = "; n1:1 doesn't continue the data set of the plan (replaced, restarted, or filled anew)"
    assert found.notes == ((text + strange,) if is_noted else ())
    if is_noted:
        with pytest.raises(OtherServer, match="found n1:1"):
            refuse_unverified(found)
    else:
        refuse_unverified(found)


def verified(**more: Any) -> Verification:
    """A verification of a rule with these figures."""
    own = {name: more.pop(name) for name in ("moving_slots", "unreadable") if name in more}
    rules = (VerifiedRule(0, "a:{n}", "set", 10, **more),)
    return Verification("p1", "d", "x", "x", 10, 0, None, complete=True, rules=rules, **own)


@pytest.mark.parametrize(
    ("figures", "kind", "text"),
    [
        ({"moving_slots": 1_200, "missed": 1}, SlotsMoved, "found 1,200 slots"),
        ({"missed": 1_001}, NotVerified, "1,001 keys were missed"),
        ({"unjournalled": 1_002}, NotVerified, "1,002 keys have our expiry and no row in the journal"),
        ({"unreadable": ("x", "y")}, NotVerified, "objects of the journal are damaged or missing: x, y"),
    ],
)
def test_each_fault_of_a_verification_is_told(figures: Mapping[str, Any], kind: type[Exception], text: str) -> None:
    """What keeps a verification from being a good one is said with its figure, and without any there is no refusal."""
    refuse_unverified(verified(kept=10, changed=3, wiped=2, new=4))
    with pytest.raises(kind, match=text) as refused:
        refuse_unverified(verified(**figures))
    assert "plan p1" in str(refused.value)


@pytest.mark.parametrize(
    ("figures", "todo"),
    [
        ({"missed": 1}, "Clear apply_shard with its downstream tasks"),
        ({"missed": 1, "unjournalled": 1}, "Put the journal back from a copy"),
        ({"missed": 1, "unreadable": ("x",)}, "Put the journal back from a copy"),
        ({"unjournalled": 1}, "Put the journal back from a copy"),
    ],
)
def test_what_to_do_depends_on_the_journal(figures: Mapping[str, Any], todo: str) -> None:
    """Missed keys alone are written by another attempt; where the journal isn't whole, it must be put back first."""
    with pytest.raises(NotVerified, match=todo):
        refuse_unverified(verified(**figures))
