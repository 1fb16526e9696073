from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.audit.ttl_histogram import TTL_BOUNDS_S, TTL_CLASSES
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import (
    FULL_KEYS,
    FULL_MAXMEMORY_BYTES,
    FULL_NO_TTL_KEYS,
    INCIDENT_MEMORY_RATIO,
    Kind,
    PatternCount,
    estimated_bytes,
    expected_patterns,
    scaled,
)


def test_the_full_size_has_the_recorded_figures_to_the_key() -> None:
    """At full size every recorded figure is met exactly."""
    shares = scaled(FAMILIES, FULL_KEYS)
    found = expected_patterns(shares)

    assert [share.keys for share in shares] == [family.keys for family in FAMILIES]
    assert sum(count.keys for count in found.values()) == 6_693_836
    assert sum(count.no_ttl_keys for count in found.values()) == 2_623_984
    assert found["MARKETING:COUPON:UNREAD:{n}"] == PatternCount(147_111, 147_111)
    assert found["contact:userGroupLabel:set:{n}"] == PatternCount(177_450, 177_450)
    assert found["exchange:coupon:high:commodity:price:{n}"] == PatternCount(473, 473)
    assert found["contact:last:activity:{n}"] == PatternCount(374_639, 0)
    assert 2_190_000 < found["{n}"].keys < 2_210_000
    assert found["{n}"].no_ttl_keys == 0


def test_a_tenth_has_a_tenth_of_every_recorded_figure() -> None:
    """At a tenth, the recorded families and the keys without TTL are a tenth, rounded."""
    found = expected_patterns(scaled(FAMILIES, FULL_KEYS // 10))

    assert sum(count.keys for count in found.values()) == 669_383
    assert sum(count.no_ttl_keys for count in found.values()) == 262_398
    assert found["MARKETING:COUPON:UNREAD:{n}"].keys == 14_711
    assert found["contact:userGroupLabel:set:{n}"].keys == 17_745
    assert found["exchange:coupon:high:commodity:price:{n}"].keys == 47
    assert found["contact:last:activity:{n}"].keys == 37_464


@given(st.integers(min_value=4 * len(FAMILIES), max_value=3 * FULL_KEYS))
def test_every_size_adds_up_and_leaves_no_family_empty(keys: int) -> None:
    """Whatever the size: the sum is exact, each family has a key, and the keys without TTL are in proportion."""
    shares = scaled(FAMILIES, keys)

    assert sum(share.keys for share in shares) == keys
    assert min(share.keys for share in shares) >= 1
    lasting = sum(share.keys for share in shares if share.family.ttl_s is None)
    assert lasting == round(FULL_NO_TTL_KEYS * keys / FULL_KEYS)


def test_a_size_without_room_for_every_family_is_refused() -> None:
    """Too few keys for the families is an error that names the option and the smallest size."""
    with pytest.raises(InvalidOption) as caught:
        scaled(FAMILIES, 10)

    assert caught.value.where == "--keys"
    assert caught.value.found == "10"
    assert str(4 * len(FAMILIES)) in str(caught.value.allowed)


def test_every_type_and_every_class_of_ttl_occurs() -> None:
    """The families cover all six types and each class of the TTL histogram."""
    assert {family.kind for family in FAMILIES} == set(Kind)
    lives = [family.ttl_s for family in FAMILIES if family.ttl_s is not None]
    classes = {bisect_left(TTL_BOUNDS_S, life.high) for life in lives}
    assert classes == set(range(len(TTL_CLASSES)))


def test_no_key_expires_while_somebody_looks_around() -> None:
    """The shortest TTL of all is three quarters of an hour, and that of the burst two hours."""
    assert min(family.ttl_s.low for family in FAMILIES if family.ttl_s) >= 45 * 60
    burst = next(family for family in FAMILIES if family.pattern == "{n}")
    assert burst.ttl_s is not None
    assert burst.ttl_s.low >= 2 * 3600


def test_the_full_size_fills_the_incidents_server_as_the_incident_did() -> None:
    """The estimate for the full size is within three points of 87.5% of the incident's maxmemory."""
    ratio = estimated_bytes(scaled(FAMILIES, FULL_KEYS)) / FULL_MAXMEMORY_BYTES

    assert abs(ratio - INCIDENT_MEMORY_RATIO) < 0.03
