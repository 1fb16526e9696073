from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Variable

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.rate import Rate
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.tasks.remediate.control import VariableControl, parse_command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (None, OperatorCommand()),
        ("", OperatorCommand()),
        ("run", OperatorCommand()),
        (" Pause\n", OperatorCommand(CommandState.PAUSE)),
        ("stop", OperatorCommand(CommandState.STOP)),
        ("5000/s", OperatorCommand(rate=Rate(5_000))),
        ("unlimited", OperatorCommand(rate=Rate(None))),
        ('{"state": "run", "rate": "20,000 keys/s"}', OperatorCommand(rate=Rate(20_000))),
        ('{"state": "pause"}', OperatorCommand(CommandState.PAUSE)),
        ("{}", OperatorCommand()),
    ],
)
def test_a_command_is_a_word_a_rate_or_json(text: str | None, command: OperatorCommand) -> None:
    """Whatever way an operator writes a command, it means the same."""
    assert parse_command(text) == command


@pytest.mark.parametrize(
    "text", ["paus", "0/s", "20000", '{"state": "go"}', '{"stat": "run"}', "{", '{"rate": 5}', "-1/s"]
)
def test_nonsense_is_refused(text: str) -> None:
    """A command that can't be understood is an error that quotes it."""
    with pytest.raises(InvalidOption) as caught:
        parse_command(text)
    assert text in str(caught.value)


def test_what_cant_be_read_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Variable that holds nonsense, or that Airflow doesn't give out, makes the run wait, and says why."""

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no API server")

    monkeypatch.setattr(Variable, "get", fail)
    unread = VariableControl("shop", "remediate").read()
    monkeypatch.setattr(Variable, "get", lambda *_, **__: "paus")
    nonsense = VariableControl("shop", "remediate").read()

    assert (unread.state, nonsense.state) == (CommandState.PAUSE, CommandState.PAUSE)
    assert "redis_ttl.shop.remediate can't be read (no API server)" in str(unread.why)
    assert "'paus'" in str(nonsense.why)
