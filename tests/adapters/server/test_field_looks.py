"""Looks at hashes' fields, whatever a server answers."""

from __future__ import annotations

import pytest

from redis_ttl.adapters.connection.link import Reply
from redis_ttl.adapters.server.field_looks import FieldLooks
from redis_ttl.domain.audit.key_facts import KeyFacts
from redis_ttl.domain.keys.field_ttls import FIELDS_LOOKED_AT, FieldTtlKind, FieldTtls

KEY = KeyFacts(b"h", "hash")


def looked_at(length: Reply, names: Reply, ttls: Reply) -> KeyFacts:
    """What is known of a hash after these answers; the second step is left out where there is none."""
    looks = FieldLooks()
    looks.add(KEY)
    done = looks.answered(looks.take(9), [length, names])
    if not done:
        done = looks.answered(looks.take(9), [ttls])
    assert not looks
    return done[0]


@pytest.mark.parametrize(
    ("length", "names", "ttls", "kind", "last_s"),
    [
        (2, [b"a", b"b"], [5, 9], FieldTtlKind.ALL, 9),
        (2, [b"a", b"b"], [5, -1], FieldTtlKind.SOME, 5),
        (2, [b"a", b"b"], [-1, -1], FieldTtlKind.NONE, None),
        (3, [b"a", b"b"], [5, 5], FieldTtlKind.AT_LEAST_SOME, 5),
        (2, [b"a", b"b"], [0, 0], FieldTtlKind.ALL, 0),
        # One of two went between the two steps.
        (2, [b"a", b"b"], [5, -2], FieldTtlKind.ALL, 5),
        (1, [b"a", b"b"], [5, 5], FieldTtlKind.ALL, 5),
    ],
)
def test_fields_tell_what_the_hash_is(
    length: int, names: list[Reply], ttls: list[Reply], kind: FieldTtlKind, last_s: int | None
) -> None:
    """Only a hash of which every field was looked at and has a TTL ends by itself."""
    fields = looked_at(length, names, ttls).fields
    assert fields is not None
    assert (fields.kind, fields.last_s) == (kind, last_s)


@pytest.mark.parametrize(
    ("length", "names", "ttls"),
    [
        (0, [], []),
        (b"2", [b"a"], [1]),
        (2, None, [1]),
        (2, b"a", [1]),
        (2, [7], [1]),
        (2, [b"x" * (2 << 20)], [1]),
        (-5, [b"a"], [1]),
        (1, [b"a"], [1, 2]),
        (1, [b"a"], b"1"),
        (1, [b"a"], [None]),
        (1, [b"a"], [-3]),
        (1, [b"a"], [1 << 60]),
        (1, [b"a"], [-2]),
    ],
)
def test_an_odd_answer_is_no_answer(length: Reply, names: Reply, ttls: Reply) -> None:
    """What a server shouldn't say leaves the hash's fields unknown."""
    assert looked_at(length, names, ttls) == KEY


def test_a_look_is_bounded() -> None:
    """However many names a server answers with, and however long, so many at most are asked about, of a mebibyte at most."""
    looks = FieldLooks()
    looks.add(KEY)
    looks.answered(looks.take(1), [10_000, [b"%d" % number for number in range(10_000)]])
    (look,) = looks.take(1)
    assert len(look.names) == FIELDS_LOOKED_AT
    looks.add(KEY)
    looks.answered(looks.take(1), [3, [b"x" * 500_000, b"y" * 500_000, b"z" * 500_000]])
    (look,) = looks.take(1)
    assert len(look.names) == 2
    (done,) = looks.answered([look], [[5, 5]])
    assert done.fields == FieldTtls(3, 2, 2, 5)
    assert done.fields.kind is FieldTtlKind.AT_LEAST_SOME
