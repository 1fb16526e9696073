from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Variable

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.rate import Rate
from redis_ttl.domain.remediation.control import Wish, WishedState
from redis_ttl.tasks.remediate.control import VariableControl, parse_wish


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        (None, Wish()),
        ("", Wish()),
        ("run", Wish()),
        (" Pause\n", Wish(WishedState.PAUSE)),
        ("stop", Wish(WishedState.STOP)),
        ("5000/s", Wish(rate=Rate(5_000))),
        ("unlimited", Wish(rate=Rate(None))),
        ('{"state": "run", "rate": "20,000 keys/s"}', Wish(rate=Rate(20_000))),
        ('{"state": "pause"}', Wish(WishedState.PAUSE)),
        ("{}", Wish()),
    ],
)
def test_a_wish_is_a_word_a_rate_or_json(text: str | None, wish: Wish) -> None:
    """Whatever way an operator writes a wish, it means the same."""
    assert parse_wish(text) == wish


@pytest.mark.parametrize(
    "text", ["paus", "0/s", "20000", '{"state": "go"}', '{"stat": "run"}', "{", '{"rate": 5}', "-1/s"]
)
def test_nonsense_is_refused(text: str) -> None:
    """A wish that can't be understood is an error that quotes it."""
    with pytest.raises(InvalidOption) as caught:
        parse_wish(text)
    assert text in str(caught.value)


def test_what_cant_be_read_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Variable that holds nonsense, or that Airflow doesn't give out, makes the run wait, and says why."""

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no API server")

    monkeypatch.setattr(Variable, "get", fail)
    unread = VariableControl("shop", "remediate").read()
    monkeypatch.setattr(Variable, "get", lambda *_, **__: "paus")
    nonsense = VariableControl("shop", "remediate").read()

    assert (unread.state, nonsense.state) == (WishedState.PAUSE, WishedState.PAUSE)
    assert "redis_ttl.shop.remediate can't be read (no API server)" in str(unread.why)
    assert "'paus'" in str(nonsense.why)
