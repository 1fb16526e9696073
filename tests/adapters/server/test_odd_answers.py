"""Answers about keys that no server gives, on the ways of writing, verifying and undoing: one sentence, at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.adapters.connection.profile import profile_from_info
from redis_ttl.adapters.server.key_expiries import KeyExpiries
from redis_ttl.adapters.server.key_questions import ExpiryQuestions, UseQuestions
from redis_ttl.domain.errors import RedisTtlError, UnexpectedReply
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.policy import Cold
from tests.adapters.scripted_link import ScriptedLink

FAST = parse_load("fast")
KEYS = [b"a", b"b"]


def nested(depth: int) -> list[Any]:
    """Lists in lists, which whoever looks into them without a bound never leaves."""
    found: list[Any] = [1]
    for _ in range(depth):
        found = [found]
    return found


def exact_expiries(answers: list[Any]) -> object:
    """As a verification and an undo ask."""
    return KeyExpiries(ScriptedLink([0], answers), FAST).read(KEYS)  # type: ignore[arg-type]


def near_expiries(answers: list[Any]) -> object:
    """The same of a server before 7.0, whose clock is asked for, too."""
    clock = [b"1", b"0"]
    link = ScriptedLink([ErrorReply("ERR unknown command")], [clock], answers)
    link.call = lambda *_: clock  # type: ignore[method-assign]
    return KeyExpiries(link, FAST).read(KEYS)  # type: ignore[arg-type]


def questions(answers: list[Any]) -> object:
    """As a writer asks."""
    return ExpiryQuestions(ScriptedLink(answers), exact=True).of(KEYS)  # type: ignore[arg-type]


def uses(answers: list[Any]) -> object:
    """As a writer asks whether keys are cold."""
    profile = profile_from_info({"maxmemory_policy": "allkeys-lru", "redis_version": "7.0.0"}, address="x", access={})
    return UseQuestions(ScriptedLink(answers), profile).are_cold(KEYS, Cold(idle_s=60))  # type: ignore[arg-type]


WAYS = [exact_expiries, near_expiries, questions, uses]
ODD = st.recursive(
    st.one_of(
        st.none(), st.binary(max_size=8), st.floats(allow_nan=False), st.booleans(), st.integers(-(1 << 62), 1 << 62)
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize(
    "odd", [nested(500), nested(1), b"1", 1.5, {1: 2}], ids=["deep", "list", "text", "float", "map"]
)
def test_an_answer_that_is_no_number_is_said(ask: Callable[[list[Any]], object], odd: object) -> None:
    """Whichever key it is the answer about."""
    for answers in ([1, odd], [odd, 1]):
        with pytest.raises(UnexpectedReply, match="as Redis never would"):
            ask(answers)


@pytest.mark.parametrize("ask", WAYS)
@settings(deadline=None, max_examples=60)
@given(odd=ODD)
def test_no_answer_is_a_traceback(ask: Callable[[list[Any]], object], odd: object) -> None:
    """What isn't understood is one sentence of ours."""
    try:
        ask([1, odd])
    except RedisTtlError as error:
        assert len(str(error)) < 500  # noqa: PT017  # most answers are refused; those that aren't are fine, too


@pytest.mark.parametrize("clock", [[b"1"], [b"1", b"x"], [b"9" * 400, b"0"], None, 5, [1, 2]])
def test_a_clock_that_tells_no_time_is_said(clock: Any) -> None:
    """TIME is two numbers as texts."""
    link = ScriptedLink([ErrorReply("ERR unknown command")], [clock])
    with pytest.raises(UnexpectedReply, match="TIME"):
        KeyExpiries(link, FAST).read(KEYS)  # type: ignore[arg-type]
