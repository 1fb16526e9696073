from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.remediation.remediation import Outcome, PartBegun, PartResult
from redis_ttl.domain.rollback.journal import JournalName, attempt_of, checksum_of, find_gaps

A, B = attempt_of(1_780_000_000_000, "abcdef"), attempt_of(1_780_000_001_000, "000000")


def begun(attempt: str, part: str = "shard-0") -> PartBegun:
    """An attempt of this version was begun."""
    return PartBegun("p", part, attempt, 0, "x")


def result(attempt: str, objects: int, part: str = "shard-0") -> PartResult:
    """An attempt came to its end with so many objects."""
    return PartResult("p", part, attempt, Outcome.DONE, "x", "x", 0, {}, objects, 0)


def names(attempt: str, *numbers: int, part: str = "shard-0") -> list[JournalName]:
    """Objects of these numbers."""
    return [JournalName(attempt, part, number, checksum_of(b"x")) for number in numbers]


@given(
    part=st.sampled_from(["canary", "shard-0", "shard-12", "rollback-3"]),
    number=st.integers(0, 999_999),
    data=st.none() | st.binary(max_size=20),
)
def test_a_name_says_what_it_was_made_of(part: str, number: int, data: bytes | None) -> None:
    """A name that is read back is the same one, with and without a checksum, and fits its data alone."""
    name = JournalName(A, part, number, "" if data is None else checksum_of(data))
    assert JournalName.parse(str(name)) == name
    assert name.fits(b"" if data is None else data)
    assert name.fits((data or b"") + b"!") == (data is None)


@pytest.mark.parametrize(
    "text",
    [
        "../x",
        f"{A}_shard-0/../../x_000000.parquet",
        f"{A}_shard-0_00000.parquet",
        f"{A}_shard-0_000000_ABCDEF0123456789.parquet",
        f"{A}_shard-0_000000_abc.parquet",
        f"{A}_shard-0_٠٠٠٠٠٠.parquet",
        f"{A}_shard-0_000000.parquet\n",
        "",
    ],
)
def test_no_other_text_is_a_name(text: str) -> None:
    """What isn't wholly a journal object's name is none."""
    assert JournalName.parse(text) is None


@given(began_ms=st.integers(0, 4_000_000_000_000))
def test_an_attempt_is_named_by_the_moment_of_its_begin(began_ms: int) -> None:
    """To the millisecond, in UTC, so that names in order are attempts in order."""
    name = attempt_of(began_ms, "abcdef")
    moment, _, token = name.partition("Z-")
    began = dt.datetime.strptime(f"{moment[:-3]}.{moment[-3:]}+0000", "%Y%m%dT%H%M%S.%f%z")
    assert (began - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1) == began_ms
    assert token == "abcdef"
    assert JournalName.parse(str(JournalName(name, "shard-0", 0))) is not None
    assert attempt_of(began_ms, "ffffff") < attempt_of(began_ms + 1, "000000")


def test_objects_are_in_the_order_of_their_attempts() -> None:
    """Names are sorted by attempt, part and number, whatever their checksums."""
    ordered = [
        JournalName(A, "shard-0", 0, "f" * 16),
        JournalName(A, "shard-0", 1),
        JournalName(B, "canary", 0, "0" * 16),
    ]
    shuffled = [ordered[1], ordered[2], ordered[0]]
    assert sorted(shuffled) == ordered


def test_objects_that_an_account_tells_of_are_missed() -> None:
    """Each object up to the number that a result tells is missing by its name when it isn't there, the last one as well."""
    gaps = find_gaps(names(A, 0, 2), [begun(A)], [result(A, 5)])
    assert gaps.named == tuple(f"{A}_shard-0_{number:06d}" for number in (1, 3, 4))
    assert (gaps.objects, gaps.texts()) == (3, gaps.named)


def test_a_gap_within_an_attempt_that_was_killed_is_missed() -> None:
    """Without a result, objects before one that is there must be there; of later ones nobody knows."""
    assert find_gaps(names(A, 0, 3), [begun(A)], []).named == (f"{A}_shard-0_000001", f"{A}_shard-0_000002")
    assert find_gaps([], [begun(A)], []).objects == 0


def test_objects_of_the_first_version_are_counted() -> None:
    """Attempts that never said that they began may have left numbers out: their objects are counted, not named."""
    assert find_gaps(names(A, 0, 3), [], [result(A, 2)]).objects == 0
    gaps = find_gaps(names(A, 0, 3), [], [result(A, 4)])
    assert (gaps.named, gaps.objects, gaps.texts()) == ((), 2, (f"2 more of {A}_shard-0",))
    assert find_gaps(names(A, 5), [], []).objects == 0
    assert find_gaps([], [], [result(A, 0)]).texts() == ()


def test_parts_and_attempts_are_told_apart() -> None:
    """An object of one part or attempt doesn't stand for that of another."""
    there = [*names(A, 0), *names(A, 0, part="shard-1"), *names(B, 0)]
    results = [result(A, 1), result(A, 2, part="shard-1"), result(B, 1)]
    gaps = find_gaps(there, [begun(A), begun(A, "shard-1"), begun(B)], results)
    assert gaps.named == (f"{A}_shard-1_000001",)
    assert find_gaps(names(A, 0, part="rollback-0"), [begun(A)], [result(A, 1)]).objects == 1
