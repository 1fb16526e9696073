"""What a plan's journal holds, in a few figures for each rule; and all that it says about one key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JournalledRule:
    """One rule's rows. ``rows`` may count a key twice that an attempt wrote after one that was cut off. ``had_none`` of them had no
    TTL before, the others a longer one. ``restored`` rows are a rollback's. Instants are ms since 1970; None without rows.
    """

    rule: int
    rows: int
    had_none: int
    restored: int
    first_ms: int | None
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class JournalledKey:
    """One row about one key: by ``object`` it had the expiry ``was_ms`` and got ``set_ms`` (None: no TTL)."""

    object: str
    undoes: bool
    db: int
    rule: int
    was_ms: int | None
    set_ms: int | None
