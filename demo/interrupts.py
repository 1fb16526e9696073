"""What happens when somebody presses Ctrl-C, or ends us in another polite way. Main thread only, as signals are."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt_on_signals() -> None:
    """Let every polite way to end a program raise KeyboardInterrupt, also where the shell has switched Ctrl-C off."""
    for sign in _STOP_SIGNALS:
        signal.signal(sign, _interrupt)


def ignore_signals() -> None:
    """Let nothing interrupt what is left to do: who presses Ctrl-C twice wants things stopped all the same."""
    for sign in _STOP_SIGNALS:
        signal.signal(sign, signal.SIG_IGN)


@contextmanager
def interrupted_afterwards() -> Iterator[None]:
    """A signal that comes during the block takes effect at its end. Processes started in it get signals as usual."""
    came: list[int] = []
    before = {sign: signal.signal(sign, lambda number, _: came.append(number)) for sign in _STOP_SIGNALS}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
    if came:
        signal.raise_signal(came[0])


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
