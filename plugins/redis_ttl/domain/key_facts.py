"""What may be asked about one key beyond its TTL, and the answers. Asked of a sample only: each question costs the
server about as much as the scan of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from redis_ttl.domain.server import Command, ServerProfile


class Question(StrEnum):
    """One thing to ask about a key; none of them counts as an access to it."""

    TYPE = "type"
    SIZE = "size"
    FREQ = "freq"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The answers about one key; None where it wasn't asked or the server wouldn't tell.

    ``size_bytes`` is the server's own estimate of key, value and overhead (MEMORY USAGE with its default sampling of
    nested values); ``freq`` the logarithmic access counter, 0 to 255, of LFU policies; ``idle_s`` a lower bound of
    the key's age.
    """

    key: bytes
    type: str | None = None
    size_bytes: int | None = None
    freq: int | None = None
    idle_s: int | None = None


def questions_for(profile: ServerProfile) -> tuple[Question, ...]:
    """What this user may ask this server about a key, and what has a meaning under its eviction policy."""
    questions = [Question.TYPE] if profile.allows(Command.TYPE) else []
    if profile.allows(Command.MEMORY_USAGE):
        questions.append(Question.SIZE)
    if profile.evicts_by_frequency and profile.allows(Command.OBJECT_FREQ):
        questions.append(Question.FREQ)
    if not profile.evicts_by_frequency and profile.allows(Command.OBJECT_IDLETIME):
        questions.append(Question.IDLE)
    return tuple(questions)
