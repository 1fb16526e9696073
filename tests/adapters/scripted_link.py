"""A connection that answers as a test says: for what no healthy server says."""

from __future__ import annotations

from typing import Any

from redis_ttl.adapters.connection.errors import ErrorReply
from redis_ttl.domain.errors import MissingPermission


class ScriptedLink:
    """A connection that answers each exchange as it is told, and remembers what was sent."""

    where = "scripted"

    def __init__(self, *answers: list[Any] | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[bytes, int]] = []
        self.loaded = 0

    def exchange(self, data: bytes, count: int) -> list[Any]:
        """The next answer."""
        self.sent.append((data, count))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call_many(self, commands: list[Any]) -> list[Any]:
        """The next answer."""
        return self.exchange(repr(commands).encode(), len(commands))

    def call(self, *words: Any) -> Any:
        """The name of a script."""
        assert words[:2] == ("SCRIPT", "LOAD")
        self.loaded += 1
        return b"%040d" % self.loaded

    def translate(self, reply: ErrorReply, words: Any) -> Exception:
        """An error of ours."""
        return MissingPermission(f"{reply.text} {words[0]}")
