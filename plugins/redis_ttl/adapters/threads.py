"""Threads that work ahead of who uses what they make, and let everything else go first."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

_LOOK_S: Final = 0.1
_NICENESS: Final = 10


def give_way() -> None:
    """Have this thread go after whoever shares the machine, a server perhaps: working ahead is never urgent."""
    with suppress(OSError):  # where threads have no priority of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


@contextmanager
def ahead(items: Iterable[T], most: int, *, idle: Callable[[], None] | None = None) -> Iterator[Iterator[T]]:
    """The items in their order, made on another thread while the user of the last one is busy: ``most`` wait at a time.

    What the making raises is raised to the user, after the items before it. While the user waits, ``idle`` is called
    several times a second. At the end of the ``with`` block the making ends with the item that it is at.
    """
    maker = _Maker(items, most)
    maker.thread.start()
    try:
        yield maker.take(idle)
    finally:
        maker.ended.set()
        maker.thread.join()


class _End:
    """What comes after the last item: nothing, or an error."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Maker(Generic[T]):
    def __init__(self, items: Iterable[T], most: int) -> None:
        self._items = items
        self._waiting: queue.Queue[T | _End] = queue.Queue(most)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._make, name="ahead", daemon=True)

    def take(self, idle: Callable[[], None] | None) -> Iterator[T]:
        while True:
            try:
                what = self._waiting.get(timeout=_LOOK_S)
            except queue.Empty:
                if idle is not None:
                    idle()
                continue
            if isinstance(what, _End):
                if what.error is not None:
                    raise what.error
                return
            yield what

    def _make(self) -> None:
        give_way()
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001  # whatever it is, it is the user's to know
            self._put(_End(error))
        else:
            self._put(_End())

    def _put(self, what: T | _End) -> bool:
        while not self.ended.is_set():
            try:
                self._waiting.put(what, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False
