"""What may be asked about one key beyond its TTL, and the answers. Asked of a sample only: each question costs the
server about as much as the scan of the key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.server import Command, ServerProfile

if TYPE_CHECKING:
    from redis_ttl.domain.keys.field_ttls import FieldTtls

#: The access counter that a key is born with (LFU_INIT_VAL in Redis' and Valkey's ``evict.c``); above it, it was used.
UNUSED_FREQ: Final = 5
#: A key that was used within so many seconds is in use.
IN_USE_S: Final = 86_400
#: Key, value and overhead (MEMORY USAGE) of a string that SET always stores as ``embstr``. Measured: 64 bytes hold both in Redis 8.2,
#: which is the strictest; 7.0, 6.2 and Valkey 9.1 store longer values so.
SHORT_BYTES: Final = 64
COMMON_TYPES: Final = ("string", "hash", "list", "set", "zset", "stream")


class Question(StrEnum):
    """One thing to ask about a key; none of them counts as an access to it."""

    TYPE = "type"
    SIZE = "size"
    FREQ = "freq"
    IDLE = "idle"
    UNWRITTEN = "unwritten"
    ENCODING = "encoding"
    FIELDS = "fields"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The answers about one key; None where it wasn't asked or the server wouldn't tell.

    ``size_bytes`` is the server's own estimate of key, value and overhead (MEMORY USAGE with its default sampling of
    nested values); ``freq`` the logarithmic access counter, 0 to 255, of LFU policies; ``idle_s`` a lower bound of
    the key's age; ``encoding`` how the value is stored (``int``, ``embstr``, ``listpack``, ...);
    ``fields`` what a look at a hash's fields said of their TTLs.
    """

    key: bytes
    type: str | None = None
    size_bytes: int | None = None
    freq: int | None = None
    idle_s: int | None = None
    encoding: str | None = None
    unwritten_s: int | None = None
    """For how long it wasn't written, where the server tells that and not its use."""
    fields: FieldTtls | None = None

    @property
    def is_hot(self) -> bool:
        """Whether the key is known to be in use: its counter has risen since it was born, or its last use is recent."""
        if self.freq is not None:
            return self.freq > UNUSED_FREQ
        return self.idle_s is not None and self.idle_s < IN_USE_S

    @property
    def is_counter(self) -> bool:
        """Whether the key is a string that holds a whole number, as INCR leaves it."""
        return self.type == "string" and self.encoding == "int"

    @property
    def is_short_raw(self) -> bool:
        """Whether the key is a string that is so small that SET would have stored it in one piece with its key or its header
        (``embstr``), and that isn't: APPEND, SETRANGE, SETBIT or PFADD changed it in place.
        """
        is_raw = self.type == "string" and self.encoding == "raw"
        return is_raw and self.size_bytes is not None and self.size_bytes <= SHORT_BYTES

    @property
    def other_type(self) -> str | None:
        """The name of a type that isn't one of Redis' own six."""
        return None if self.type is None or self.type in COMMON_TYPES else self.type


def questions_for(profile: ServerProfile) -> tuple[Question, ...]:
    """What this user may ask this server about a key, and what has a meaning under its eviction policy."""
    questions = [Question.TYPE] if profile.allows(Command.TYPE) else []
    if profile.allows(Command.MEMORY_USAGE):
        questions.append(Question.SIZE)
    if profile.evicts_by_frequency and profile.allows(Command.OBJECT_FREQ):
        questions.append(Question.FREQ)
    if not profile.evicts_by_frequency and profile.allows(Command.OBJECT_IDLETIME):
        questions.append(Question.IDLE if profile.tells_last_use else Question.UNWRITTEN)
    if profile.allows(Command.TYPE) and profile.allows(Command.OBJECT_ENCODING):
        questions.append(Question.ENCODING)
    if profile.allows(Command.TYPE) and profile.may_ask_fields:
        questions.append(Question.FIELDS)
    return tuple(questions)
