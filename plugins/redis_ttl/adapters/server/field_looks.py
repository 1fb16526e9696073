"""Looks at the TTLs of hashes' fields in two steps: how many fields a hash has and what some of them are called, then their TTLs.

However large a hash is, a look costs the server, and us, about the same. HLEN, HRANDFIELD and HTTL count as an access to
the key, unless CLIENT NO-TOUCH is on. Which hashes are worth a look isn't known here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from redis_ttl.adapters.connection.link import Reply, encode
from redis_ttl.domain.keys.field_ttls import FIELDS_LOOKED_AT, FieldTtls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.audit.key_facts import KeyFacts

#: Names of fields that are sent back to the server at most, together.
_NAMES_BYTES: Final = 1 << 20
_NO_FIELD: Final = -2
#: A TTL that no server takes.
_TOO_LONG_S: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class FieldLook:
    """One step of the look at one hash: its ``names`` are known in the second one."""

    facts: KeyFacts
    fields: int = 0
    names: tuple[bytes, ...] = ()

    @property
    def replies(self) -> int:
        """How many answers it has."""
        return 1 if self.names else 2

    @property
    def request(self) -> bytes:
        """What it asks."""
        key = self.facts.key
        if self.names:
            return encode("HTTL", key, "FIELDS", len(self.names), *self.names)
        return encode("HLEN", key) + encode("HRANDFIELD", key, FIELDS_LOOKED_AT)


class FieldLooks:
    """The hashes that are still to be looked at, and those that are half done."""

    def __init__(self) -> None:
        self._waiting: deque[FieldLook] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, facts: KeyFacts) -> None:
        """Look at this hash, too."""
        self._waiting.append(FieldLook(facts))

    def take(self, most: int) -> list[FieldLook]:
        """The next steps, so many at most; their answers go to :meth:`answered`."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def answered(self, looks: Sequence[FieldLook], replies: Sequence[Reply]) -> list[KeyFacts]:
        """What is known of the hashes that are done; those with a second step to come wait for it.

        A hash that the server doesn't answer for, or in another way than it should, is known without its fields.
        """
        done = []
        at = 0
        for look in looks:
            answers = replies[at : at + look.replies]
            at += look.replies
            if look.names:
                done.append(replace(look.facts, fields=_ttls(look, answers[0])))
            elif (following := _named(look.facts, *answers)) is not None:
                self._waiting.append(following)
            else:
                done.append(look.facts)
        return done


def _named(facts: KeyFacts, length: Reply, names: Reply) -> FieldLook | None:
    if not isinstance(length, int) or not isinstance(names, list):
        return None
    kept: list[bytes] = []
    held = 0
    for name in names[:FIELDS_LOOKED_AT]:
        if not isinstance(name, bytes):
            return None
        held += len(name)
        if held > _NAMES_BYTES:
            break
        kept.append(name)
    # HLEN still counts fields that have just expired, so a hash may be taken for larger than it is, and never for smaller.
    return FieldLook(facts, max(length, len(names)), tuple(kept)) if kept and length > 0 else None


def _ttls(look: FieldLook, reply: Reply) -> FieldTtls | None:
    if not isinstance(reply, list) or len(reply) != len(look.names):
        return None
    if not all(isinstance(ttl, int) and _NO_FIELD <= ttl < _TOO_LONG_S for ttl in reply):
        return None
    there = [ttl for ttl in reply if isinstance(ttl, int) and ttl != _NO_FIELD]
    ends = [ttl for ttl in there if ttl >= 0]
    gone = len(reply) - len(there)
    return FieldTtls(look.fields - gone, len(there), len(ends), max(ends, default=None)) if there else None
