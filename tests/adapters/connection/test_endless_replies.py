"""Replies and names without measure: bounded memory and time, and one sentence."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl
import pytest

from redis_ttl.adapters.connection import link as redis_link
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.counting import folding_columns
from redis_ttl.adapters.counting.pattern_merger import read_patterns
from redis_ttl.domain.errors import UnexpectedReply
from redis_ttl.domain.keys.folding import LONGEST_BYTES, TOO_LONG, fold_shapes
from tests.usecases.auditing import FAST, Auditing

if TYPE_CHECKING:
    from pathlib import Path

    from lab.servers.server import Server


@contextmanager
def endless(start: bytes, more: bytes) -> Iterator[str]:
    """The URL of a server that answers whatever it is asked with ``start``, and then with ``more`` without end."""

    def serve() -> None:
        with until_hung_up(), listener.accept()[0] as connection:
            connection.recv(1_000)
            connection.sendall(start)
            while True:
                connection.sendall(more)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        thread.join()


@contextmanager
def until_hung_up() -> Iterator[None]:
    """The other side may leave at any moment."""
    try:
        yield
    except OSError:
        return


def test_a_reply_without_end_is_given_up_by_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a server announces and sends, no more than the bound is held in memory."""
    monkeypatch.setattr(redis_link, "LARGEST_REPLY_BYTES", 3_000_000)
    with (
        endless(b"$400000000\r\n", b"x" * 100_000) as url,
        pytest.raises(UnexpectedReply, match="doesn't come to its end") as raised,
    ):
        RedisLink(endpoint_from_url(url))
    assert "3,000,000 bytes" in str(raised.value)


def test_a_reply_that_drips_is_given_up_by_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that always sends something, too little to run into the timeout of a read, runs into that of a reply."""
    clock = itertools.count(0, 31)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with (
        endless(b"$400000000\r\n", b"x") as url,
        pytest.raises(UnexpectedReply, match="no end after 300 s"),
    ):
        RedisLink(endpoint_from_url(url))


def test_names_of_a_megabyte_are_counted_and_not_shown(redis7: Server, tmp_path: Path) -> None:
    """Their keys are in the sums, under the name of other patterns; no document holds their names."""
    with redis7.client() as client:
        for number in range(12):
            client.set(b"blob:" + b"xyz:" * 260_000 + b"%d" % number, "x")
        client.mset({f"user:{number}": "x" for number in range(40)})
    run = Auditing(redis7.url, tmp_path, FAST)
    audit = run.run()
    assert (audit.keys, audit.no_ttl_keys) == (52, 52)
    assert {row.pattern: (row.keys, len(row.examples)) for row in audit.patterns} == {
        "user:{n}": (40, 2),
        TOO_LONG: (12, 0),
    }
    document = next(tmp_path.rglob("patterns.parquet")).read_bytes()
    assert len(document) < 100_000
    assert read_patterns(document) == list(audit.patterns)


def test_a_pattern_too_long_to_be_read_is_another_one() -> None:
    """What is measured is the pattern: a name folds to a short one however long it is."""
    names = ["z" * LONGEST_BYTES, "z" * (LONGEST_BYTES + 1), "é" * 600, "k:" + "7" * 5_000, "k:" + "-7" * 600]
    patterns = [fold_shapes(name) for name in names]
    assert patterns == [names[0], TOO_LONG, TOO_LONG, "k:{n}", TOO_LONG]
    assert folding_columns.fold_shapes(pl.Series(names)).to_list() == patterns
