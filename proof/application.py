"""An application that goes on writing while the incident is repaired: updates, TTLs of its own, wiped TTLs, deletions, new keys.

In a process of its own, started as ``python -m proof.application URL FILE``, until it is told to end; it writes the name of every key that
it touches, in hex, into the file before it touches it.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import redis

_SEED = 4
_PAUSE_S = 0.002


@contextmanager
def application(url: str, touched: Path) -> Iterator[None]:
    """It runs as long as the ``with`` block."""
    process = subprocess.Popen([sys.executable, "-m", "proof.application", url, str(touched)])
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError(f"the application ended by itself, with {process.returncode}")
    finally:
        process.terminate()
        process.wait(30)


def keys_touched(touched: Path) -> pl.Series:
    """The keys that it touched, each once."""
    names = (bytes.fromhex(line) for line in touched.read_text().splitlines())
    return pl.Series(list(names), dtype=pl.Binary).unique()


def _work(url: str, touched: Path) -> None:
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    luck = random.Random(_SEED)
    with redis.Redis.from_url(url) as client, touched.open("w") as record:
        number = 0
        while not stopped:
            number += 1
            key = _new_key(luck, number) if luck.random() < 0.3 else client.randomkey()  # noqa: PLR2004
            if key is None:
                continue
            record.write(key.hex() + "\n")
            record.flush()
            _touch(client, luck, key)
            time.sleep(_PAUSE_S)


def _touch(client: Any, luck: random.Random, key: bytes) -> None:
    match luck.randrange(5):
        case 0:
            client.set(key, b"written anew", ex=luck.randrange(60, 90_000))
        case 1:
            client.set(key, b"written anew")  # wipes a TTL
        case 2:
            client.pexpire(key, luck.randrange(60_000, 90_000_000))
        case 3:
            client.persist(key)
        case _:
            client.delete(key)


def _new_key(luck: random.Random, number: int) -> bytes:
    family = luck.choice((b"MARKETING:COUPON:UNREAD:%d", b"contact:last:activity:%d", b"somebody:else:%d"))
    return family % (9_000_000_000 + number)


if __name__ == "__main__":
    _work(sys.argv[1], Path(sys.argv[2]))
