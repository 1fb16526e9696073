"""What an operator has asked of a remediation or a rollback that is under way, read from an Airflow Variable that the UI can edit."""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from airflow.sdk import Variable

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.policy.written import quoted
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand

#: Characters of a command: the longest that means anything has some forty.
_MOST_CHARACTERS: Final = 1_000
_ALLOWED: Final = 'run, pause, stop, a rate as in 5000/s, or JSON as in {"state": "run", "rate": "5000/s"}'


Job = Literal["remediate", "rollback"]


def variable_of(cluster: str, job: Job) -> str:
    """The name of the Variable that steers the cluster's remediations, or its rollbacks: a remediation that was stopped by it
    must not stop its own rollback.
    """
    return f"redis_ttl.{cluster}.{job}"


class VariableControl:
    """The command in the cluster's Variable. Without a Variable there is no command: the run goes on as planned."""

    def __init__(self, cluster: str, job: Job) -> None:
        self._name = variable_of(cluster, job)

    def read(self) -> OperatorCommand:
        """The command as it stands; a pause, with the reason, when it can't be read or understood."""
        try:
            text = Variable.get(self._name, default=None)
        except Exception as error:  # noqa: BLE001  # whatever keeps us from knowing the operator's command is a reason to wait
            return OperatorCommand(CommandState.PAUSE, why=f"the Airflow Variable {self._name} can't be read ({error})")
        try:
            return parse_command(text)
        except InvalidOption as error:
            return OperatorCommand(CommandState.PAUSE, why=f"the Airflow Variable {self._name}: {error}")


def parse_command(text: object) -> OperatorCommand:
    """The command that an operator wrote: one word, a rate, or JSON with ``state`` and ``rate``. Raises :class:`InvalidOption`."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return OperatorCommand()
    fields = _fields(text)
    state = fields.pop("state", CommandState.RUN)
    rate = fields.pop("rate", None)
    if fields or state not in list(CommandState) or not isinstance(rate, str | None):
        raise _nonsense(text)
    return OperatorCommand(CommandState(state), None if rate is None else parse_rate(rate))


def _fields(text: object) -> dict[str, Any]:
    if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
        raise _nonsense(text)
    word = text.strip()
    if word.lower() in list(CommandState):
        return {"state": word.lower()}
    if not word.startswith("{"):
        return {"rate": word}
    try:
        fields = json.loads(word)
    except (ValueError, RecursionError):
        raise _nonsense(text) from None
    return {**fields}


def _nonsense(text: object) -> InvalidOption:
    return InvalidOption("this can't be understood, so the run waits", found=quoted(text), allowed=_ALLOWED)
