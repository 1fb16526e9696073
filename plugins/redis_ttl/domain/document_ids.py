"""The ids of audits and plans: when each was begun, and six hex digits. An id becomes part of a path, so one that comes
from outside is looked at first.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.written import quoted

if TYPE_CHECKING:
    from datetime import datetime

#: An id, for Python and for JSON Schema alike.
ID_PATTERN: Final = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}"
_ID: Final = re.compile(ID_PATTERN)


def document_id(now: datetime, token: str) -> str:
    """The id of a document that is begun now (UTC); ``token`` (six hex digits) tells apart two that are begun at once."""
    return f"{now:%Y%m%dT%H%M%SZ}-{token}"


def check_document_id(text: str, *, where: str) -> str:
    """The id itself. Raises `InvalidOption`, which names ``where`` it was given, for a text that is none."""
    if not _ID.fullmatch(text):
        raise InvalidOption(
            "no id of an audit or a plan",
            where=where,
            found=quoted(text),
            allowed="one such as 20260220T190000Z-0a1b2c",
        )
    return text
