"""The demo's one error: what went wrong and what to do about it, in words for the person at the terminal."""

from __future__ import annotations

from pathlib import Path


class DemoFailed(Exception):
    """The demo can't go on; the text says why and what to do."""


def with_log(text: str, log: Path, lines: int = 15) -> DemoFailed:
    """The error with the end of a log below it."""
    try:
        tail = log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        tail = []
    return DemoFailed("\n".join([text, *(f"    {line}" for line in tail), f"  The whole log: {log}"]))
