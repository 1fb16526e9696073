from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.errors import NewerDocument
from redis_ttl.domain.remediation.quota import RUN_POT, Grant, Reserve, Survey, limit_of, pot_of_rule
from tests.plans import PLAN

SURVEY = Survey(
    "plan",
    "digest",
    "20261128T010101000Z-abcdef",
    {0: {0: 5, 2: 7}, 3: {0: 11}},
    {0: {0: 2}, 3: {0: 3}},
    ("20261128T000000000Z-abcdef",),
)


@given(st.integers(0, 10**9), st.integers(1, 500))
def test_the_shares_of_a_reserve_are_all_of_it_and_no_more(slack: int, shards: int) -> None:
    """All shares of a reserve together are what the limit leaves, each is at least a key, and no shard needs to wait for one."""
    reserve = Reserve(slack, shards)
    keys = [reserve.keys(number) for number in range(reserve.shares)]
    assert sum(keys) == slack
    assert all(each >= 1 for each in keys)
    assert max(keys, default=0) - min(keys, default=0) <= 1
    assert reserve.shares >= min(slack, 16 * shards)


@pytest.mark.parametrize(("shards", "shares"), [(1, 64), (4, 64), (5, 80), (500, 8_000)])
def test_a_reserve_has_sixteen_shares_for_each_shard(shards: int, shares: int) -> None:
    """Sixteen for each shard, and 64 at least, so that what a shard leaves of its last one is little."""
    assert Reserve(10**9, shards).shares == shares


def test_the_limits_of_a_plan_have_names() -> None:
    """The run's limit is the plan's, where it has one; a rule's limit is that rule's and no other's."""
    plan = replace(PLAN, limit_keys=480_000)
    assert limit_of(plan, RUN_POT) == 480_000
    assert limit_of(replace(plan, limit_keys=None), RUN_POT) is None
    assert [limit_of(plan, pot_of_rule(rule.number)) for rule in plan.rules] == [161_923, 413_304, 0]


@pytest.mark.parametrize("kept", [SURVEY, Grant("plan", SURVEY.attempt, RUN_POT, 7, "shard-1", "a")])
def test_surveys_and_grants_of_a_newer_version_are_refused(kept: Survey | Grant) -> None:
    """What a later version has written is refused by name, never read by halves."""
    data = to_plain(kept)
    with pytest.raises(NewerDocument):
        from_plain(type(kept), {**data, "schema": data["schema"].replace("/1", "/2")})


def test_a_limit_that_is_passed_already_has_no_reserve() -> None:
    """A limit below what was counted has no shares, rather than negative ones."""
    assert Reserve(-5, 2).shares == 0


def test_a_survey_counts_by_limit_and_by_shard() -> None:
    """A rule's limit counts that rule's keys, the run's limit all of them; of chosen shards or of all."""
    assert SURVEY.keys(pot_of_rule(0)) == 16
    assert SURVEY.keys(pot_of_rule(0), [3]) == 11
    assert SURVEY.keys(RUN_POT) == 23
    assert SURVEY.keys(RUN_POT, [0]) == 12
    assert SURVEY.keys(pot_of_rule(1)) == 0
    assert SURVEY.standing_keys(RUN_POT, [3]) == 3
    assert SURVEY.standing_keys(pot_of_rule(0), [0, 3]) == 5
    assert SURVEY.standing_keys(pot_of_rule(2), [0, 3]) == 0


def test_surveys_and_grants_come_back_from_the_store_as_they_were() -> None:
    """What is written as JSON is read as the same thing."""
    assert from_plain(Survey, to_plain(SURVEY)) == SURVEY
    grant = Grant("plan", SURVEY.attempt, RUN_POT, 7, "shard-1", "20261128T010101000Z-bbbbbb")
    assert from_plain(Grant, to_plain(grant)) == grant
