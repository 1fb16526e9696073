"""Which figure each key of a plan is counted in, by what a verification hears about it; without any server."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import polars as pl
import pytest

from lab.remediation.policies import policy_of, rule
from redis_ttl.adapters.columns.instants import PlanInstants, most_steps
from redis_ttl.adapters.columns.key_places import key_places
from redis_ttl.adapters.writing.verify_ledger import JudgedBatch, VerifyLedger
from redis_ttl.domain.audit.key_facts import KeyFacts
from redis_ttl.domain.errors import DamagedDocument
from redis_ttl.domain.plan.expiry import ANCHOR_STEP_MS, MOVES_SHIFT_MS
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import Cold
from tests.journal_objects import journal_bytes
from tests.plans import DAY_S, plan_of

NOW_MS = 1_770_000_000_000
DAY_MS = DAY_S * 1000
SET_MS = NOW_MS + 60 * DAY_MS
#: Rule 0 sets, rule 1 caps cold keys, rule 2 isn't in the plan.
POLICY = policy_of(
    rule("a:{n}"),
    rule("b:{n}", ttl_s=DAY_S, mode=Mode.CAP, cold=Cold(idle_s=600, freq_at_most=5)),
    rule("c:{n}", sign_off=None),
    exempt=["a:keep:{n}"],
)
PLAN = plan_of(POLICY)
STEPS = most_steps(POLICY.remediation.approval_valid_s)


def ledger_of(rows: Mapping[bytes, int] | None = None, *, finished: bool = True, db: int = 0) -> VerifyLedger:
    """A ledger whose journal says that these keys got these instants."""
    ledger = VerifyLedger(PLAN, POLICY)
    if rows:
        ledger.add_journal(journal(rows, db), finished=finished)
    return ledger


def journal(rows: Mapping[bytes, int], db: int = 0) -> bytes:
    """A journal object of rule 0 (keys of a) and rule 1."""
    data = {
        "key": list(rows),
        "db": db,
        "rule": [int(not key.startswith(b"a")) for key in rows],
        "was_ms": None,
        "set_ms": list(rows.values()),
    }
    return journal_bytes(pl.DataFrame(data, schema_overrides={"key": pl.Binary}))


def fingerprints(keys: Sequence[bytes], db: int = 0, seed: int = 0) -> bytes:
    """What an audit keeps of keys without TTL."""
    buffer = io.BytesIO()
    hashes = key_places(pl.Series(keys, dtype=pl.Binary), 0, seed)
    pl.DataFrame({"key_hash": hashes, "db": db}, schema_overrides={"db": pl.Int32}).write_parquet(buffer)
    return buffer.getvalue()


def judge(ledger: VerifyLedger, keys: Mapping[bytes, int | None], db: int = 0) -> JudgedBatch:
    """A batch of keys with what is left of their lives, in milliseconds."""
    frame = pl.DataFrame(
        {"key": list(keys), "ttl_ms": list(keys.values())}, schema={"key": pl.Binary, "ttl_ms": pl.Int64}
    )
    return ledger.judge(db, frame, now_ms=NOW_MS)


def hear(batch: JudgedBatch, expiries: Mapping[bytes, int | tuple[int, int] | None]) -> None:
    """Tell the batch the expiries of what it asks: an instant, two limits, None without TTL; what isn't there is gone."""
    found = [expiries.get(key, (0, 0)) for key in batch.asked]
    limits = [each if isinstance(each, tuple) else (each, each) for each in found]
    table = {
        "low_ms": [low for low, _ in limits],
        "high_ms": [high for _, high in limits],
        "gone": [key not in expiries for key in batch.asked],
    }
    batch.expire(pl.DataFrame(table, schema={"low_ms": pl.Int64, "high_ms": pl.Int64, "gone": pl.Boolean}))


def figures(ledger: VerifyLedger, number: int = 0, now_ms: int = NOW_MS) -> dict[str, int]:
    """The figures of a rule that aren't 0."""
    return {name: keys for name, keys in ledger.result(now_ms)[number].items() if keys}


def test_each_journalled_key_is_in_one_figure() -> None:
    """One has our expiry, one another, one none; one that nobody met is gone, or expired from its very instant on."""
    ledger = ledger_of({b"a:1": SET_MS, b"a:2": SET_MS, b"a:3": SET_MS, b"a:4": SET_MS, b"a:5": SET_MS + 1})
    batch = judge(ledger, {b"a:1": 5, b"a:2": 5, b"a:3": None})
    assert batch.asked == [b"a:1", b"a:2"]
    assert batch.no_ttl_keys == 1
    hear(batch, {b"a:1": SET_MS, b"a:2": SET_MS + 1})
    met = {"met": 3, "no_ttl_keys": 1, "kept": 1, "changed": 1, "wiped": 1}
    assert figures(ledger) == {**met, "gone": 2}
    assert figures(ledger, now_ms=SET_MS - 1) == {**met, "gone": 2}
    assert figures(ledger, now_ms=SET_MS) == {**met, "gone": 1, "expired": 1}


def test_where_nothing_was_met_every_journalled_key_is_gone() -> None:
    """A keyspace without keys is judged, too."""
    assert figures(ledger_of({b"a:1": SET_MS, b"a:2": SET_MS})) == {"gone": 2}


def test_what_a_batch_no_longer_finds_stays_unmet() -> None:
    """A key that has gone between the scan and the question is gone, and one that lost its TTL since was wiped."""
    ledger = ledger_of({b"a:1": SET_MS, b"a:2": SET_MS})
    hear(judge(ledger, {b"a:1": 5, b"a:2": 5}), {b"a:2": None})
    assert figures(ledger) == {"met": 2, "gone": 1, "wiped": 1}


def test_an_attempt_that_was_cut_off_accuses_nobody() -> None:
    """Where the part didn't end, a key without our expiry may never have been written; one that has it is kept."""
    rows = {b"a:1": SET_MS, b"a:2": SET_MS, b"a:3": SET_MS, b"a:4": SET_MS}
    ledger = ledger_of(rows, finished=False)
    hear(judge(ledger, {b"a:1": 5, b"a:2": 5, b"a:3": None, b"a:4": 5}), {b"a:1": SET_MS, b"a:2": 7, b"a:4": None})
    assert figures(ledger) == {"met": 4, "no_ttl_keys": 1, "kept": 1, "unfinished": 3}


@pytest.mark.parametrize(
    ("off_ms", "figure"),
    [
        (0, "kept"),
        (STEPS * ANCHOR_STEP_MS, "kept"),
        (-STEPS * ANCHOR_STEP_MS, "kept"),
        ((STEPS + 1) * ANCHOR_STEP_MS, "changed"),
        (-(STEPS + 1) * ANCHOR_STEP_MS, "changed"),
        (1, "changed"),
        (-1, "changed"),
        (ANCHOR_STEP_MS // 2, "changed"),
    ],
)
def test_an_instant_of_another_step_is_ours_too(off_ms: int, figure: str) -> None:
    """As many whole steps from the journalled instant as an approval's life allows; a millisecond beside it isn't ours."""
    ledger = ledger_of({b"a:1": SET_MS})
    hear(judge(ledger, {b"a:1": 5}), {b"a:1": SET_MS + off_ms})
    assert figures(ledger) == {"met": 1, figure: 1}


@pytest.mark.parametrize("in_cluster", [False, True])
@pytest.mark.parametrize("edge", [0, 1])
def test_only_in_a_cluster_an_expiry_may_have_shifted(in_cluster: bool, edge: int) -> None:  # noqa: FBT001
    """A move of the key shifts its expiry, by so much and no more; elsewhere nothing does."""
    early_ms, late_ms = MOVES_SHIFT_MS
    for off_ms in (-early_ms - edge, late_ms + edge):
        ledger = ledger_of({b"a:1": SET_MS})
        ledger.begin_again(in_cluster=in_cluster)
        hear(judge(ledger, {b"a:1": 5}), {b"a:1": SET_MS + off_ms})
        assert ("kept" in figures(ledger)) == (in_cluster and not edge)
    ledger.begin_again()
    hear(judge(ledger, {b"a:1": 5}), {b"a:1": SET_MS + off_ms})
    assert figures(ledger) == {"met": 1, "changed": 1}, "another look begins anew"


@pytest.mark.parametrize(("off_ms", "figure"), [(0, "kept"), (1, "changed"), (-1, "changed")])
def test_outside_a_cluster_another_look_is_as_strict(off_ms: int, figure: str) -> None:
    """Looking once more forgives no millisecond where keys don't move, and takes our instant for ours."""
    ledger = ledger_of({b"a:1": SET_MS})
    ledger.begin_again()
    hear(judge(ledger, {b"a:1": 5}), {b"a:1": SET_MS + off_ms})
    assert figures(ledger) == {"met": 1, figure: 1}


def test_two_limits_that_enclose_our_instant_are_ours() -> None:
    """Where a server tells an expiry within limits, ours is any that lies between them."""
    ledger = ledger_of({b"a:1": SET_MS, b"a:2": SET_MS})
    hear(judge(ledger, {b"a:1": 5, b"a:2": 5}), {b"a:1": (SET_MS - 2, SET_MS), b"a:2": (SET_MS + 1, SET_MS + 3)})
    assert figures(ledger) == {"met": 2, "kept": 1, "changed": 1}


def test_the_latest_row_about_a_key_counts_and_any_finished_one() -> None:
    """Of several rows about a key the last instant counts, and that one of its attempts came to its end."""
    ledger = ledger_of({b"a:1": SET_MS, b"a:2": SET_MS})
    ledger.add_journal(journal({b"a:1": SET_MS + 7}), finished=False)
    hear(judge(ledger, {b"a:1": 5, b"a:2": 5}), {b"a:1": SET_MS, b"a:2": SET_MS})
    assert figures(ledger) == {"met": 2, "kept": 1, "changed": 1}


def test_a_database_is_not_another_one() -> None:
    """Keys of the same name in two databases are two keys, for the journal and for the audit."""
    ledger = ledger_of({b"a:1": SET_MS}, db=3)
    ledger.add_fingerprints(fingerprints([b"a:2"], db=3))
    batch = judge(ledger, {b"a:1": None, b"a:2": None}, db=0)
    assert batch.suspects == []
    assert figures(ledger) == {"met": 2, "no_ttl_keys": 2, "new": 2, "gone": 1}
    batch = judge(ledger, {b"a:1": None, b"a:2": None}, db=3)
    assert batch.suspects == [b"a:2"]
    batch.settle(left=False)
    assert figures(ledger) == {"met": 4, "no_ttl_keys": 4, "new": 2, "wiped": 1, "missed": 1}


def test_keys_that_no_rule_of_the_plan_governs_are_nobodys() -> None:
    """Exempt keys and those without a rule are in no figure; those of a rule that isn't in the plan are met, and that is all."""
    ledger = ledger_of()
    ledger.add_fingerprints(fingerprints([b"a:keep:1", b"x", b"c:1"]))
    batch = judge(ledger, {b"a:keep:1": None, b"x": None, b"c:1": None, b"c:2": 7})
    assert (batch.no_ttl_keys, batch.suspects, batch.asked) == (3, [], [])
    assert [figures(ledger, number) for number in range(3)] == [{}, {}, {"met": 2, "no_ttl_keys": 1}]


def test_a_key_of_the_audit_is_a_suspect_and_a_new_one_is_not() -> None:
    """Of keys without TTL and journal those that the audit saw are asked about, by the seed of its fingerprints."""
    ledger = ledger_of()
    ledger.add_fingerprints(fingerprints([b"a:1", b"a:2"], seed=7), seed=7)
    batch = judge(ledger, {b"a:1": None, b"a:3": None})
    assert batch.suspects == [b"a:1"]
    assert figures(ledger) == {"met": 2, "no_ttl_keys": 2, "new": 1}
    batch.settle(left=True)
    assert figures(ledger) == {"met": 2, "no_ttl_keys": 2, "new": 1, "left": 1}
    batch.settle(left=False)
    assert figures(ledger) == {"met": 2, "no_ttl_keys": 2, "new": 1, "missed": 1}


@pytest.mark.parametrize(
    ("key", "facts", "figure"),
    [
        (b"a:1", {"idle_s": 99}, "rewritten"),
        (b"a:1", {"idle_s": 100}, "missed"),
        (b"a:1", {"freq": 1}, "rewritten"),
        (b"a:1", {"freq": 0}, "missed"),
        (b"a:1", {}, "missed"),
        (b"a:1", {"idle_s": 100, "freq": 9}, "missed"),
        (b"a:1", {"unwritten_s": 99}, "rewritten"),
        (b"a:1", {"unwritten_s": 100}, "untold"),
        (b"b:1", {"idle_s": 599}, "in_use"),
        (b"b:1", {"idle_s": 600}, "missed"),
        (b"b:1", {"freq": 6}, "in_use"),
        (b"b:1", {"freq": 5}, "rewritten"),
        (b"b:1", {"idle_s": 600, "freq": 6}, "in_use"),
        (b"b:1", {}, "missed"),
    ],
)
def test_a_suspect_is_judged_by_its_use(key: bytes, facts: dict[str, int], figure: str) -> None:
    """In use beyond what a rule for cold keys takes, used since the writing began 100 s ago, or there all along."""
    ledger = ledger_of()
    ledger.add_fingerprints(fingerprints([key]))
    batch = judge(ledger, {key: None})
    batch.use([KeyFacts(key, **facts)], since_s=100)  # type: ignore[arg-type]
    assert figures(ledger, int(key[:1] == b"b")) == {"met": 1, "no_ttl_keys": 1, figure: 1}


def test_of_a_suspect_without_facts_nothing_is_said() -> None:
    """A suspect that had gone when it was asked about is in no figure."""
    ledger = ledger_of()
    ledger.add_fingerprints(fingerprints([b"a:1", b"a:2"]))
    batch = judge(ledger, {b"a:1": None, b"a:2": None})
    batch.use([], since_s=100)
    batch.use([KeyFacts(b"a:2", idle_s=500)], since_s=100)
    assert figures(ledger) == {"met": 2, "no_ttl_keys": 2, "missed": 1}


def test_only_a_capping_rule_has_keys_that_live_too_long() -> None:
    """A key outside the journal whose TTL is longer than its capping rule allows, by a millisecond; no key of another rule."""
    longest_ms = (DAY_S + PLAN.rules[1].window_s) * 1000
    ledger = ledger_of({b"b:9": SET_MS})
    judge(
        ledger,
        {
            b"b:1": longest_ms,
            b"b:2": longest_ms + 1,
            b"b:4": 10**15,
            b"b:3": None,
            b"b:9": longest_ms + 1,
            b"a:1": 10**15,
        },
    )
    assert figures(ledger, 1) == {"met": 5, "no_ttl_keys": 1, "longer": 2, "new": 1, "gone": 1}
    assert figures(ledger, 0) == {"met": 1}


def instants(approved_at_ms: int, key: bytes) -> int:
    """The first instant that the plan sets on that key of rule 0 after that approval."""
    columns = PlanInstants(PLAN, [approved_at_ms], STEPS)
    lifetimes = columns.lifetimes_ms(pl.Series([key], dtype=pl.Binary), pl.Series([0], dtype=pl.Int32))
    return int(approved_at_ms + ANCHOR_STEP_MS + lifetimes[0])


def test_a_key_with_our_instant_and_no_row_is_unjournalled() -> None:
    """Keys outside the journal that expire about when one of ours would are asked for, and told when they do exactly."""
    ledger = ledger_of()
    ledger.add_approvals([NOW_MS])
    at = {key: instants(NOW_MS, key) for key in (b"a:1", b"a:2", b"a:3", b"a:4")}
    at[b"a:4"] += 10 * DAY_MS
    batch = judge(ledger, {key: expires - NOW_MS for key, expires in at.items()} | {b"c:1": at[b"a:1"] - NOW_MS})
    assert batch.asked == [b"a:1", b"a:2", b"a:3"]
    hear(batch, {b"a:1": at[b"a:1"], b"a:2": at[b"a:2"] + 1})
    assert figures(ledger) == {"met": 4, "unjournalled": 1}


@pytest.mark.parametrize(
    ("off_ms", "asked"), [(0, True), (600_000, True), (600_001, False), (-600_000, True), (-600_001, False)]
)
def test_clocks_may_differ_by_ten_minutes(off_ms: int, *, asked: bool) -> None:
    """A key is asked for whose expiry, as the scan tells it, is so near to the first or last instant of the plan."""
    ledger = ledger_of()
    ledger.add_approvals([NOW_MS])
    first_ms = instants(NOW_MS, b"a:1") - ANCHOR_STEP_MS
    edge_ms = first_ms if off_ms < 0 else first_ms + STEPS * ANCHOR_STEP_MS
    assert judge(ledger, {b"a:1": edge_ms + off_ms - NOW_MS}).asked == ([b"a:1"] if asked else [])


def test_without_an_approval_no_key_outside_the_journal_is_asked_for() -> None:
    """A plan that nothing could be written by has no instants."""
    assert judge(ledger_of(), {b"a:1": instants(NOW_MS, b"a:1") - NOW_MS}).asked == []


def test_a_journalled_key_that_the_scan_missed_is_asked_for_once() -> None:
    """Keys of a journal object that no batch has had are asked for by database; those that were met, or heard of, aren't again."""
    rows = {b"a:1": SET_MS, b"a:2": SET_MS, b"b:3": SET_MS, b"a:4": SET_MS}
    ledger = ledger_of(rows)
    ledger.add_journal(journal({b"a:5": SET_MS}, db=2), finished=True)
    hear(judge(ledger, {b"a:1": 5}), {b"a:1": SET_MS})
    [(db, batch)] = ledger.unseen(journal(rows))
    assert (db, sorted(batch.asked), batch.no_ttl_keys, batch.suspects) == (0, [b"a:2", b"a:4", b"b:3"], 0, [])
    hear(batch, {b"a:2": SET_MS, b"b:3": None})
    assert figures(ledger) == {"met": 2, "kept": 2, "gone": 2}
    assert figures(ledger, 1) == {"met": 1, "no_ttl_keys": 1, "wiped": 1}
    [(db, batch)] = ledger.unseen(journal(rows))
    assert batch.asked == [b"a:4"]
    [(db, batch)] = ledger.unseen(journal({b"a:5": SET_MS}, db=2))
    assert (db, batch.asked) == (2, [b"a:5"])
    assert list(ledger.unseen(journal({b"a:6": SET_MS}))) == []


def test_another_look_forgets_what_was_met() -> None:
    """Looking once more begins with nothing met and nothing new, and with the whole journal."""
    ledger = ledger_of({b"a:1": SET_MS})
    ledger.add_fingerprints(fingerprints([b"a:2"]))
    for _ in range(2):
        ledger.begin_again()
        batch = judge(ledger, {b"a:1": None, b"a:2": None, b"a:3": None})
        batch.settle(left=False)
        assert figures(ledger) == {"met": 3, "no_ttl_keys": 3, "wiped": 1, "missed": 1, "new": 1}


def test_documents_that_are_none_are_damaged() -> None:
    """Neither a journal nor fingerprints that can't be read are taken for empty ones."""
    ledger = ledger_of()
    with pytest.raises(DamagedDocument, match="journal"):
        ledger.add_journal(b"no parquet", finished=True)
    with pytest.raises(DamagedDocument, match="fingerprints"):
        ledger.add_fingerprints(b"no parquet")
