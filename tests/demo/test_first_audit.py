from __future__ import annotations

from demo.first_audit import compared


def _row(pattern: str, keys: int, no_ttl_keys: int) -> dict[str, object]:
    return {"pattern": pattern, "keys": keys, "no_ttl_keys": no_ttl_keys}


def test_equal_counts_are_said_to_be_equal() -> None:
    """An audit that found what was loaded gets one sentence, also when a pattern has a row for each rule."""
    loaded = {"patterns": [_row("a:{n}", 5, 2), _row("b", 1, 1)]}
    audit = {"patterns": [_row("b", 1, 1), _row("a:{n}", 3, 2), _row("a:{n}", 2, 0)]}

    assert compared(audit, loaded) == "The counts equal what was loaded, in all 2 patterns."


def test_every_difference_is_named() -> None:
    """A wrong count, a pattern that is missing and one that was never loaded are each named with both figures."""
    loaded = {"patterns": [_row("a:{n}", 5, 2), _row("gone", 1, 1), _row("same", 4, 0)]}
    audit = {"patterns": [_row("a:{n}", 5, 1), _row("new", 7, 7), _row("same", 4, 0)]}

    assert compared(audit, loaded).splitlines() == [
        "The counts differ from what was loaded in 3 patterns (keys, of them without TTL):",
        "  'a:{n}': loaded (5, 2), found (5, 1)",
        "  'gone': loaded (1, 1), found (0, 0)",
        "  'new': loaded (0, 0), found (7, 7)",
    ]
