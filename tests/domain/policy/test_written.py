"""What people write: whatever it is, every parser gives a value within its bounds or one clear error, never a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redis_ttl.cli.audit.options import options_of
from redis_ttl.domain.audit.databases import DATABASES_PATTERN, MAX_DATABASE, MAX_DATABASES_TEXT, parse_databases
from redis_ttl.domain.document_ids import check_document_id
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.duration import MAX_DURATION_S, parse_duration
from redis_ttl.domain.policy.load import LOAD_PATTERN, parse_load
from redis_ttl.domain.policy.rate import RATE_PATTERN, parse_rate
from redis_ttl.domain.policy.written import MOST_KEYS_PER_S, quoted
from redis_ttl.tasks.remediate.control import parse_command
from redis_ttl.tasks.remediate.form import WATCH_PATTERN, watch_of


def sample_of(text: str) -> float:
    """The share that ``--sample`` means."""
    return options_of(None, 0, load=None, shards=None, sample=text, db=None, source=None).sample_percent


#: Each parser with what its values must be.
PARSERS: dict[str, tuple[Callable[[str], object], Callable[[object], bool]]] = {
    "rate": (parse_rate, lambda rate: rate.keys_per_s is None or 1 <= rate.keys_per_s <= MOST_KEYS_PER_S),  # type: ignore[attr-defined]
    "load": (parse_load, lambda load: load.keys_per_s is None or 1 <= load.keys_per_s <= MOST_KEYS_PER_S),  # type: ignore[attr-defined]
    "duration": (parse_duration, lambda seconds: 0 < seconds <= MAX_DURATION_S),  # type: ignore[operator]
    "watch": (watch_of, lambda seconds: 0 <= seconds <= MAX_DURATION_S),  # type: ignore[operator]
    "databases": (
        lambda text: parse_databases(text, default=0, where="db"),
        lambda found: found == "all" or all(0 <= db <= MAX_DATABASE for db in found),  # type: ignore[attr-defined]
    ),
    "id": (lambda text: check_document_id(text, where="audit"), lambda found: len(str(found)) == 23),
    "command": (parse_command, lambda command: command.rate is None or PARSERS["rate"][1](command.rate)),  # type: ignore[attr-defined]
    "sample": (sample_of, lambda share: 0 <= share <= 100),  # type: ignore[operator]
}

digits = st.sampled_from(["0", "1", "9", "٣", "３", "²"]).flatmap(
    lambda digit: st.sampled_from([1, 3, 7, 8, 30, 400, 4_299, 4_301, 6_000]).map(lambda count: digit * count)
)
pieces = st.one_of(
    digits,
    st.sampled_from(
        ["/s", " keys/s", "d", "h", "s", "y", "%", "all", ",", "_", ".", "+", "-", "e", "e999999", "NaN", "inf"]
    ),
    st.sampled_from(
        ["\0", "\n", "\x1c", "\u2028", "\u202e", " ", "\t", "0x", "{", "}", '{"rate":', '"', "[" * 2_000, "unlimited"]
    ),
    st.sampled_from(["gentle", "FAST", "\u212aeys/s", "20000", "20260220T190000Z-0a1b2c", '{"state": "run"}']),
)
written = st.one_of(st.text(max_size=30), st.lists(pieces, max_size=5).map("".join))


@pytest.mark.parametrize("name", PARSERS)
@given(text=written)
@example(text="9" * 5_000)
@example(text="9" * 5_000 + "d")
@example(text="9" * 400 + "/s")
@example(text='{"rate": ' + "9" * 5_000 + "}")
@example(text='{"rate": NaN}')
@example(text='{"a":' * 150)
@example(text="9" * 30 + " months")
def test_any_text_is_a_value_within_bounds_or_one_short_sentence(name: str, text: str) -> None:
    """Digits of any number and script, signs, NaN, exponents, NUL: nothing else is ever raised, and the error shows 80 characters."""
    parse, holds = PARSERS[name]
    error: InvalidOption | None = None
    try:
        value = parse(text)
    except InvalidOption as raised:
        error = raised
    if error is None:
        assert holds(value)
        return
    assert error.allowed is not None
    assert error.found is not None
    assert len(error.found) <= 85
    assert str(error).isprintable()


def parses(name: str, text: str) -> bool:
    """Whether the parser takes it."""
    try:
        PARSERS[name][0](text)
    except InvalidOption:
        return False
    return True


PATTERNS = {"rate": RATE_PATTERN, "load": LOAD_PATTERN, "databases": DATABASES_PATTERN, "watch": WATCH_PATTERN}


@pytest.mark.parametrize("name", PATTERNS)
@given(data=st.data())
def test_a_parser_takes_what_its_pattern_says(name: str, data: st.DataObject) -> None:
    """A form refuses by the same pattern, so nothing that it takes fails later, and the other way round."""
    text = data.draw(st.one_of(st.from_regex(PATTERNS[name]), written))
    fits = re.search(PATTERNS[name], text) is not None
    assert parses(name, text) == (fits and (name != "databases" or len(text) <= MAX_DATABASES_TEXT))


@pytest.mark.parametrize(
    ("name", "least", "most", "beyond"),
    [
        ("rate", "1/s", "10,000,000/s", "10000001/s"),
        ("load", "1", "10000000", "10_000_001"),
        ("duration", "1s", "100y", "36500d1s"),
        ("databases", "0", "65535", "65536"),
        ("sample", "0%", "100%", "100.1%"),
    ],
)
def test_a_bound_itself_can_be_asked_for(name: str, least: str, most: str, beyond: str) -> None:
    """The smallest and the largest value are taken, and the next one beyond isn't."""
    assert parses(name, least)
    assert parses(name, most)
    assert not parses(name, beyond)


@given(st.text() | st.text(alphabet="\0\n\u202e'\"\\", min_size=40, max_size=200) | st.integers())
def test_what_was_written_is_shown_on_one_short_line(value: object) -> None:
    """Nothing in it acts on a terminal, and it is cut at 80 characters."""
    assert quoted(value).isprintable()
    assert len(quoted(value)) <= 80
