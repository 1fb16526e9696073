"""What one attempt at a part may write, by the survey, the shares and the journal that are in the store; without any server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from redis_ttl.adapters.columns.decisions import CHANGE_TYPES, Decided
from redis_ttl.adapters.journal.earlier_changes import EarlierChanges
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import Aborted, StoreProblem
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.remediation.quota import RUN_POT, Grant, Reserve, Survey
from redis_ttl.domain.remediation.remediation import Outcome, PartBegun, RuleAccount
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.remediation.write_gate import Ended
from redis_ttl.usecases.remediation.write_limits import WriteLimits, latest_survey
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.journal_objects import journal_bytes
from tests.plans import PLAN

CANARY = "20261128T010101000Z-aaaaaa"
EARLIER = "20261128T020202000Z-bbbbbb"
NOW = "20261128T030303000Z-cccccc"
LATER = "20261128T040404000Z-dddddd"
RUN_ID = "a" * 40

#: Rules 0 and 1 of it are included, rule 2 is refused.
MADE = replace(
    PLAN,
    rules=tuple(replace(each, limit_keys=limit) for each, limit in zip(PLAN.rules, (100, 50, 0), strict=True)),
    limit_keys=None,
)


def survey(plan: Plan = MADE, attempt: str = CANARY, **more: object) -> Survey:
    """The canary counted 60 keys of rule 0 and 40 of rule 1 in shard 0, and 20 of rule 0 in shard 1."""
    return replace(Survey(plan.plan_id, plan.digest, attempt, {0: {0: 60, 1: 40}, 1: {0: 20}}), **more)  # type: ignore[arg-type]


class Limited:
    """Attempts at parts of a plan whose canary has counted."""

    def __init__(self, folder: Path, plan: Plan = MADE, counted: Survey | None = None) -> None:
        self.plan = plan
        self.documents = PlanDocuments(Store(folder), plan.cluster, plan.plan_id)
        self.documents.write_survey(counted or survey(plan))

    def begin(self, attempt: str = NOW, part: str = "shard-0", run_id: str = RUN_ID) -> None:
        """An attempt begins."""
        self.documents.write_begun(PartBegun(self.plan.plan_id, part, attempt, 1, "2026-11-28T03:03:03+00:00", run_id))

    def journal(self, keys: list[str], *, part: str = "shard-0", attempt: str = EARLIER, rule: int = 0) -> None:
        """What an attempt has made durable."""
        data = journal_bytes(rows(keys, rule))
        number = sum((each.part, each.attempt) == (part, attempt) for each in self.documents.journal_names())
        self.documents.write_journal(JournalName(attempt, part, number), data)

    def grant(self, number: int, *, part: str = "shard-0", pot: str = "rule-0", attempt: str = EARLIER) -> None:
        """A share that is taken already."""
        self.documents.write_grant(Grant(self.plan.plan_id, CANARY, pot, number, part, attempt))

    def limits(self, number: int = 0, shards: list[int] | None = None, run_id: str | None = RUN_ID) -> WriteLimits:
        """Those of an attempt at that shard."""

        def at_once(action: Callable[[], Grant | None]) -> Grant | None:
            return action()

        return WriteLimits(
            self.plan,
            self.documents,
            part=f"shard-{number}",
            attempt=NOW,
            shards=[number] if shards is None else shards,
            run_id=run_id,
            insist=at_once,
            earlier=EarlierChanges(),
        )


def names(first: int, last: int, family: str = "a") -> list[str]:
    """The names of some keys."""
    return [f"{family}:{number}" for number in range(first, last)]


def rows(keys: list[str], rule: int = 0) -> pl.DataFrame:
    """Changes of these keys."""
    data = {"key": [key.encode() for key in keys], "db": 0, "rule": rule, "was_ms": None, "set_ms": 1, "action": "set"}
    return pl.DataFrame(data, schema=CHANGE_TYPES)


def batch(change: list[str], ours: list[str] | None = None, rule: int = 0) -> Decided:
    """A batch of one rule's keys."""
    ours = ours or []
    account = RuleAccount(met=len(change) + len(ours), already_ours=len(ours))
    return Decided(len(change) + len(ours), {rule: account}, rows(change, rule), rows(ours, rule))


def room(limits: WriteLimits, *, rule: int = 0, family: str = "n") -> int:
    """How many keys of a rule that nobody has met are reserved, one at a time, before the limit ends the attempt."""
    for number in range(10_000):
        try:
            limits.reserve(batch(names(number, number + 1, family), rule=rule))
        except Ended:
            return number
    raise AssertionError("there is no limit")


def test_a_shard_has_what_was_counted_in_it_and_all_that_the_limit_leaves(tmp_path: Path) -> None:
    """80 of 100 keys are counted: one shard has its own 60 and the other 20 of the limit, and the other its own 20, and no more."""
    limited = Limited(tmp_path)
    assert room(limited.limits(0)) == 60 + 20
    assert room(limited.limits(1)) == 20


def test_a_limit_tells_what_it_is_made_of(tmp_path: Path) -> None:
    """Whose limit, how much of it was counted and how much taken, what the part would have and what it may have."""
    limits = Limited(tmp_path).limits()
    with pytest.raises(Ended) as ended:
        limits.reserve(batch(names(0, 90)))
    assert ended.value.outcome is Outcome.ABORTED
    assert ended.value.reason == (
        f"the rule {MADE.rules[0].pattern} matches more keys than the plan allows: 100 at most, of which 80 were counted before "
        "the canary, and the other 20 are taken; shard-0 would have 90, and may have 80"
    )
    assert "Clearing the task changes nothing" in (ended.value.todo or "")


def test_each_rule_has_its_own_limit(tmp_path: Path) -> None:
    """What one rule uses up is no other rule's loss, and the other's limit is its own."""
    limits = Limited(tmp_path).limits()
    assert room(limits, rule=0) == 80
    assert room(limits, rule=1) == 50
    with pytest.raises(Ended, match=re.escape(f"the rule {MADE.rules[1].pattern} matches")):
        limits.reserve(batch(names(0, 1, "m"), rule=1))


def test_the_limit_of_the_run_holds_over_all_rules(tmp_path: Path) -> None:
    """Under a limit for the whole run, keys of all rules count together, however much room each rule has of its own."""
    plan = replace(MADE, limit_keys=125)
    limits = Limited(tmp_path, plan, survey(plan)).limits()
    limits.reserve(batch(names(0, 80)))
    assert room(limits, rule=1, family="m") == 25
    with pytest.raises(Ended) as ended:
        limits.reserve(batch(names(0, 20, "o"), rule=1))
    assert ended.value.reason.startswith(
        "the rules together match more keys than the plan allows: 125 at most, of which 120 "
    )


def test_keys_that_are_ours_end_nothing(tmp_path: Path) -> None:
    """A batch in which nothing would change passes, however many keys of it have an expiry of ours; the next change doesn't."""
    limits = Limited(tmp_path).limits()
    limits.reserve(batch([], names(0, 300)))
    with pytest.raises(Ended, match="would have 301, and may have 80"):
        limits.reserve(batch(names(300, 301)))


def test_what_is_ours_counts_before_it_is_met(tmp_path: Path) -> None:
    """50 of the 60 keys of the shard stood when the canary had counted: only 30 more may be written, before or after they are met."""
    counted = survey(standing={0: {0: 50}, 1: {0: 15}})
    limited = Limited(tmp_path / "before", counted=counted)
    assert room(limited.limits()) == 30
    limited = Limited(tmp_path / "after", counted=counted)
    limits = limited.limits()
    limits.reserve(batch([], names(0, 50)))
    assert room(limits) == 30
    limited = Limited(tmp_path / "more", counted=counted)
    limits = limited.limits()
    limits.reserve(batch([], names(0, 55)))
    assert room(limits) == 25


def test_a_whole_database_has_what_was_counted_in_all_of_its_shards(tmp_path: Path) -> None:
    """A part that reads all shards has the room of all of them, with what stands in each and the shares that each has taken."""
    limited = Limited(tmp_path, counted=survey(standing={0: {0: 5}, 1: {0: 7}}))
    limited.grant(0, part="shard-1", attempt=EARLIER)
    assert room(limited.limits(0, [0, 1], None)) == 100 - 5 - 7


def test_shares_of_earlier_attempts_at_the_part_are_its_own(tmp_path: Path) -> None:
    """What an earlier attempt drew counts for the next one, of this rule and this part alone."""
    limited = Limited(tmp_path)
    for number in range(15):
        limited.grant(number)
    for number in range(15, 20):
        limited.grant(number, part="shard-1")
    limits = limited.limits()
    assert room(limits) == 60 + 15
    assert room(limited.limits(1)) == 20 + 5
    assert room(limited.limits(0), rule=1) == 50, "another rule's shares aren't this one's"


def test_a_share_of_a_limit_that_the_plan_has_not_is_nothing(tmp_path: Path) -> None:
    """Shares of the run's limit, where the plan has none, and those of another count are left where they are."""
    limited = Limited(tmp_path)
    limited.grant(0, pot=RUN_POT)
    limited.documents.write_grant(Grant(MADE.plan_id, EARLIER, "rule-0", 0, "shard-0", EARLIER))
    assert room(limited.limits()) == 80


def test_a_share_is_as_large_as_its_number_says(tmp_path: Path) -> None:
    """Where shares aren't of one size, each counts with its own."""
    plan = replace(MADE, rules=(replace(MADE.rules[0], limit_keys=80 + 100), *MADE.rules[1:]))
    limited = Limited(tmp_path, plan, survey(plan))
    sizes = [Reserve(100, 2).keys(number) for number in range(64)]
    assert (sizes[0], sizes[-1]) == (2, 1)
    limited.grant(0, part="shard-1")
    limited.grant(63)
    assert room(limited.limits()) == 60 + 100 - 2


def test_what_was_journalled_before_counts_before_it_is_met(tmp_path: Path) -> None:
    """Keys that an earlier attempt at the part has journalled are among the part's, once, also when they are met again."""
    limited = Limited(tmp_path)
    limited.begin(EARLIER)
    limited.begin()
    limited.journal(names(0, 30))
    limited.journal(names(20, 40))
    assert room(limited.limits()) == 80 - 40
    limits = limited.limits()
    limits.reserve(batch(names(0, 30), names(30, 40)))
    assert room(limits) == 80 - 40


@pytest.mark.parametrize(
    ("part", "attempt", "run_id", "counts"),
    [
        ("shard-0", EARLIER, RUN_ID, True),
        ("shard-1", EARLIER, RUN_ID, False),
        ("canary", EARLIER, RUN_ID, False),
        ("shard-0", EARLIER, "f" * 40, False),
        ("shard-0", "20261127T000000000Z-ffffff", RUN_ID, False),
    ],
)
def test_only_what_this_part_wrote_on_this_server_since_the_count_is_added(
    tmp_path: Path, part: str, attempt: str, run_id: str, *, counts: bool
) -> None:
    """Another part's journal, one of another server process, and one from before the count stay out."""
    limited = Limited(tmp_path, counted=survey(before=("20261127T000000000Z-ffffff",)))
    limited.begin(attempt, part, run_id)
    limited.begin()
    limited.journal(names(0, 10), part=part, attempt=attempt)
    assert room(limited.limits()) == (70 if counts else 80)


def test_a_whole_database_is_the_same_for_every_process(tmp_path: Path) -> None:
    """Who reads all of a database counts the journals of all its shards, whichever process answered them."""
    limited = Limited(tmp_path)
    limited.begin(EARLIER, "shard-1", "f" * 40)
    limited.begin()
    limited.journal(names(0, 10), part="shard-1")
    assert room(limited.limits(0, [0, 1], None)) == 90


def test_a_share_that_another_took_first_is_passed_over(tmp_path: Path) -> None:
    """Of two who draw at the same moment one has the share; the other takes the next."""
    limited = Limited(tmp_path)
    limits = limited.limits()
    listed = limited.documents.grant_names

    def stale(survey: str) -> set[str]:
        found = listed(survey)
        if not found:
            limited.grant(0, part="shard-1")
        return found

    limited.documents.grant_names = stale  # type: ignore[method-assign]
    assert room(limits) == 60 + 19


def test_a_store_that_takes_no_share_ends_the_drawing(tmp_path: Path) -> None:
    """A share that isn't there after its writing failed is nobody's: the store's trouble is told, and no key passes by it."""

    class Full(Store):
        def write(self, path: str, data: bytes) -> None:
            if "/grant-" in path:
                raise StoreProblem("no space", where=path)
            super().write(path, data)

    limited = Limited(tmp_path)
    limited.documents = PlanDocuments(Full(tmp_path), MADE.cluster, MADE.plan_id)
    limits = limited.limits()
    limits.reserve(batch(names(0, 60)))
    with pytest.raises(StoreProblem, match="no space"):
        limits.reserve(batch(names(60, 61)))


def test_nobody_draws_by_an_old_count(tmp_path: Path) -> None:
    """Once the canary has counted anew, an attempt that began before it draws nothing any more."""
    limited = Limited(tmp_path)
    limits = limited.limits()
    limits.reserve(batch(names(0, 60)))
    limited.documents.write_survey(survey(attempt=LATER))
    with pytest.raises(Ended, match="has counted the keys anew") as ended:
        limits.reserve(batch(names(60, 61)))
    assert ended.value.outcome is Outcome.ABORTED
    assert not limited.documents.grants(CANARY)


@pytest.mark.parametrize(
    ("part", "attempt", "ends"), [("shard-0", LATER, True), ("shard-1", LATER, False), ("shard-0", EARLIER, False)]
)
def test_an_attempt_that_was_overtaken_draws_nothing(tmp_path: Path, part: str, attempt: str, *, ends: bool) -> None:
    """A later attempt at the same part ends this one's drawing; one at another part, or an earlier one, doesn't."""
    limited = Limited(tmp_path)
    limited.begin()
    limits = limited.limits()
    limited.begin(attempt, part)
    if ends:
        with pytest.raises(Ended, match="another attempt at this part has begun"):
            limits.reserve(batch(names(0, 61)))
    else:
        limits.reserve(batch(names(0, 61)))


def test_the_last_count_of_this_very_plan_holds(tmp_path: Path) -> None:
    """Counts of another digest are no counts of this plan; of several the latest one holds; without one the canary is asked for."""
    documents = PlanDocuments(Store(tmp_path), MADE.cluster, MADE.plan_id)
    documents.write_survey(survey(attempt=LATER, digest="another"))
    with pytest.raises(Aborted, match="left no count"):
        latest_survey(MADE, documents)
    documents.write_survey(survey(attempt=CANARY))
    documents.write_survey(survey(attempt=NOW))
    assert latest_survey(MADE, documents).attempt == NOW
