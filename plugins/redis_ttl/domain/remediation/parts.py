"""What the parts of a run are called: in its journal, in its results, and to people.

A remediation has the canary and one part for each shard of its plan; a rollback has parts of its own, of the journal.
"""

from __future__ import annotations

from typing import Final

CANARY: Final = "canary"
ROLLBACK: Final = "rollback"
"""All parts of a rollback together."""
SHARD: Final = "shard"
"""What the names of the parts that write shards begin with."""


def shard_part(number: int) -> str:
    """The part that writes the plan's shard of that number, from 0.

    >>> shard_part(3)
    'shard-3'
    """
    return f"{SHARD}-{number}"


def rollback_part(number: int) -> str:
    """The part of a rollback of that number, from 0."""
    return f"{ROLLBACK}-{number}"


def is_rollback(part: str) -> bool:
    """Whether it takes back what another part wrote."""
    return part.partition("-")[0] == ROLLBACK
