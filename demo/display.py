"""What the person at the terminal sees: one line for each step with its duration, and a line that moves while a step takes its time."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_WIDTH = 64
_PLAIN_EVERY_S = 10.0


class Display:
    """Prints steps; outside a terminal the moving line becomes a plain one every ten seconds."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._moves = self._out.isatty()
        self._began = time.monotonic()
        self._shown = self._began
        self._moving = False

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step: its title and how long it took, once it is done."""
        began = time.monotonic()
        self.moving(title)
        yield
        self.done(title, time.monotonic() - began)

    def done(self, title: str, duration_s: float) -> None:
        """A step is done: its title and how long it took."""
        self.line(f"  {title:<{_WIDTH}} {duration_s:6.1f} s")

    def moving(self, text: str) -> None:
        """Show what goes on at this moment, in place of what was shown last."""
        now = time.monotonic()
        if self._moves:
            line = f"  … {now - self._began:3.0f} s  {text}"
            width = shutil.get_terminal_size().columns - 1  # a longer line would wrap, and stay
            self._out.write(f"\r\033[K{line[:width]}")
            self._out.flush()
            self._moving = True
        elif now - self._shown > _PLAIN_EVERY_S:
            self._shown = now
            self.line(f"  … {text}")

    def line(self, text: str = "") -> None:
        """Print a line that stays."""
        if self._moving:
            self._out.write("\r\033[K")
            self._moving = False
        self._out.write(text + "\n")
        self._out.flush()
