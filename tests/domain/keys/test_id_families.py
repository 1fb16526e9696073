"""A family of ids is one pattern, with few keys or many, tonight and tomorrow; and real words stay apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.domain.keys.fold_by_count import AUDIT_LIMITS, SHARD_LIMITS, FoldingLimits, fold_by_count
from redis_ttl.domain.keys.folding import fold_shapes
from redis_ttl.domain.keys.pattern import KeyPattern
from tests.domain.id_kin import KIN

_NIGHTS = (60, 61, 400, 1_500)
"""How many keys a family has, from night to night."""


@pytest.mark.parametrize("kind", KIN)
def test_a_family_is_one_pattern_every_night(kind: str) -> None:
    """Whatever its keys are, and how many, they are one row, under the same name; and that name is a rule for each of them."""
    pattern, make = KIN[kind]
    rule = KeyPattern(pattern)
    for keys in _NIGHTS:
        rng = Random(f"{kind} {keys}")
        names = {make(rng) for _ in range(keys)}

        assert _folded(Counter(map(fold_shapes, names)), AUDIT_LIMITS) == {pattern: len(names)}
        assert [name for name in names if not rule.matches(name)] == []


@settings(max_examples=6)
@given(st.integers(0, 2**32), st.integers(1, 5), st.sampled_from([80, 300, 900]))
def test_shards_make_the_same_rows_of_all_families(seed: int, shards: int, keys: int) -> None:
    """All of them in one keyspace, dealt out to shards of which some fold and some don't, come to one row each in any order."""
    rng = Random(seed)
    tables: list[Counter[str]] = [Counter() for _ in range(shards)]
    expected: Counter[str] = Counter()
    for pattern, make in KIN.values():
        names = {make(rng) for _ in range(keys)}
        expected[pattern] += len(names)
        for name in names:
            rng.choice(tables)[fold_shapes(name)] += 1
    folded = [_folded(table, SHARD_LIMITS) if rng.random() < 0.5 else table for table in tables]
    rng.shuffle(folded)

    rows = _folded(sum(folded, Counter()), AUDIT_LIMITS)

    assert sum(rows.values()) == sum(expected.values())
    assert rows == expected


def test_words_beside_ids_stay() -> None:
    """Words are rows of their own: beside ids, before them, behind them and between them."""
    rng = Random(1)
    token = KIN["base64 of 20 bytes"][1]
    plain = KIN["KSUID"][1]
    expected = {
        "user:profile:{n}": 300,
        "user:settings": 1,
        "sess:{token}:data": 500,
        "sess:{token}:meta": 500,
        "sess:config": 3,
        "sess:notifications": 40,
        "room/{token}/posts": 200,
        "room/{token}/members": 200,
        "path/{token}": 200,
        "path/{token}/{token}": 200,
        "api/v{n}/{token}": 500,
    }
    names = [f"user:profile:{number}" for number in range(300)] + ["user:settings"]
    names += [f"sess:{token(rng)[4:]}:{what}" for what in ("data", "meta") for _ in range(500)]
    table = Counter(map(fold_shapes, names)) | Counter({"sess:config": 3, "sess:notifications": 40})
    for _ in range(200):
        table[fold_shapes(f"room/{plain(rng)[6:]}/posts")] += 1
        table[fold_shapes(f"room/{plain(rng)[6:]}/members")] += 1
        table[fold_shapes(f"path/{plain(rng)[6:]}")] += 1
        table[fold_shapes(f"path/{plain(rng)[6:]}/{plain(rng)[6:]}")] += 1
    table.update({f"api/v{number}/{{token}}": 50 for number in range(10)})

    assert _folded(table, AUDIT_LIMITS) == expected


def test_tenants_by_three_letters_stay_until_they_are_many() -> None:
    """Hundreds of tenants are namespaces that somebody knows by name; twenty thousand are values."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [f"{one}{two}{three}" for one in letters for two in letters for three in letters]
    few = {f"{name}:cart:{{n}}": 10 for name in names[:400]}

    assert _folded(few, AUDIT_LIMITS) == few
    assert set(_folded({f"{name}:cart:{{n}}": 10 for name in names}, AUDIT_LIMITS)) == {"{text}:cart:{n}"}


def test_short_numbered_words_are_no_ids() -> None:
    """Versions, protocols and the like are words although they have digits."""
    words = ("v1", "v2", "s3", "k8s", "i18n", "utf8", "sha256", "mp3", "2fa", "h264", "oauth2", "ipv6", "md5", "base64")
    table = {f"config:{word}": 1 for word in words} | {
        f"config:{word}": 1 for word in ("theme", "menu", "prices", "tax")
    }

    assert _folded(table, AUDIT_LIMITS) == table


def test_clocks_and_counters_are_no_addresses() -> None:
    """Rows of numbers stay numbers: where there are no addresses at all, and where they are too many for chance."""
    clocks = {"at:{n}:{n}:{n}:{n}:{n}:{n}": 400}
    beside = clocks | {"at:{mac}": 300}

    assert fold_shapes("at:20:26:02:12:10:30") == "at:{n}:{n}:{n}:{n}:{n}:{n}"
    assert _folded(clocks, AUDIT_LIMITS) == clocks
    assert _folded(beside, AUDIT_LIMITS) == beside


def _folded(table: Mapping[str, int], limits: FoldingLimits) -> Counter[str]:
    folding = fold_by_count(table, limits)
    patterns: Counter[str] = Counter()
    for pattern, keys in table.items():
        patterns[folding[pattern]] += keys
    return patterns
