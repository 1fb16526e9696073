"""No family of names falls apart into many patterns, and none swallows another, alone, mixed or in shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.domain.keys.fold_by_count import AUDIT_LIMITS, SHARD_LIMITS, FoldingLimits, fold_by_count
from redis_ttl.domain.keys.folding import fold_shapes
from redis_ttl.domain.keys.pattern import KeyPattern
from tests.domain.name_families import FAMILIES

_NAMES_EACH = 2_000
_MOST_PATTERNS = 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_alone_is_one_pattern(family: str) -> None:
    """Thousands of names of one family come to its pattern, and to two others at most for the few that look unlike it."""
    found = _folded(_table(family), AUDIT_LIMITS)

    assert found[family] >= 0.95 * sum(found.values())
    assert len(found) <= _MOST_PATTERNS


def test_families_in_one_keyspace_stay_apart() -> None:
    """In one keyspace each family has the pattern that it has alone, and no two have one in common."""
    folding = fold_by_count(_sum(map(_table, FAMILIES)), AUDIT_LIMITS)
    owners: dict[str, set[str]] = {}
    for family in FAMILIES:
        for pattern in _table(family):
            owners.setdefault(folding[pattern], set()).add(family)

    assert {pattern: families for pattern, families in owners.items() if len(families) > 1} == {}
    assert owners.keys() >= FAMILIES.keys()
    assert len(owners) <= len(FAMILIES) + 5


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 6))
def test_shards_merge_to_the_same_patterns_in_any_order(seed: int, shards: int) -> None:
    """Families that are dealt out to shards, folded there and added up in any order come to their own patterns again."""
    rng = Random(seed)
    tables: list[Counter[str]] = [Counter() for _ in range(shards)]
    for pattern, keys in _sum(map(_table, FAMILIES)).items():
        for _ in range(min(keys, 5)):
            rng.choice(tables)[pattern] += max(1, keys // 5)
    # Some shards outgrow their bound and fold, others don't.
    folded = [_folded(table, SHARD_LIMITS) if rng.random() < 0.7 else table for table in tables]
    rng.shuffle(folded)

    patterns = _folded(_sum(folded), AUDIT_LIMITS)

    assert patterns.keys() >= FAMILIES.keys()
    assert len(patterns) <= len(FAMILIES) + 8


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reported_pattern_is_a_rule_for_its_keys(family: str) -> None:
    """A line of the report, pasted into a policy, matches every name that was counted under it."""
    rule = KeyPattern(family)
    folding = fold_by_count(_table(family), AUDIT_LIMITS)

    for name in _names(family):
        if folding[fold_shapes(name)] == family:
            assert rule.matches(name), name


@cache
def _names(family: str) -> frozenset[str]:
    rng = Random(family)
    return frozenset(FAMILIES[family](rng) for _ in range(_NAMES_EACH))


@cache
def _table(family: str) -> Counter[str]:
    return Counter(map(fold_shapes, _names(family)))


def _folded(table: Mapping[str, int], limits: FoldingLimits) -> Counter[str]:
    folding = fold_by_count(table, limits)
    patterns: Counter[str] = Counter()
    for pattern, keys in table.items():
        patterns[folding[pattern]] += keys
    return patterns


def _sum(tables: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for table in tables:
        total.update(table)
    return total
