"""The ledger's memory, in a process of its own; what it counts is tested with real servers in ``tests/usecases``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from redis_ttl.adapters.columns.key_places import find_places, key_places

ROOT = Path(__file__).parents[3]
_THREE_MILLION = """
import io, sys
import redis_ttl.tasks.polars_memory
import polars as pl
from tests.journal_objects import journal_bytes
from redis_ttl.adapters.columns.key_places import key_places
from redis_ttl.adapters.writing.verify_ledger import VerifyLedger
from lab.remediation.policies import policy_of, rule
from tests.messages.pages.test_remediation_page import PLAN

keys = lambda start: pl.Series([b"cart:%d" % n for n in range(start, start + 100_000)], dtype=pl.Binary)
policy = policy_of(rule("cart:{id}"))
ledger = VerifyLedger(PLAN, policy)
for start in range(0, 3_000_000, 100_000):
    part = keys(start)
    buffer = io.BytesIO()
    pl.DataFrame({"key_hash": key_places(part, 0), "db": 0}).write_parquet(buffer)
    ledger.add_fingerprints(buffer.getvalue())
    ledger.add_journal(journal_bytes(pl.DataFrame({"key": part, "db": 0, "rule": 0, "was_ms": None, "set_ms": 1000})), finished=True)
for start in range(0, 3_000_000, 100_000):
    part = keys(start)
    batch = ledger.judge(0, pl.DataFrame({"key": part, "ttl_ms": pl.Series([5], dtype=pl.Int64).new_from_index(0, 100_000)}), now_ms=0)
    at = pl.Series([1000], dtype=pl.Int64).new_from_index(0, len(batch.asked))
    batch.expire(pl.DataFrame({"low_ms": at, "high_ms": at, "gone": at != at}))
figures = ledger.result(10)
assert figures[0]["kept"] == figures[0]["met"] == 3_000_000, figures
# Not ru_maxrss: on Linux a child begins with its parent's, and the parent is a whole test run.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["VmHWM"].split()[0]) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's own peak")
@pytest.mark.timeout(300)
def test_three_million_keys_take_less_than_400_mib() -> None:
    """A process that verifies three million journalled keys of the audit, all of them met again, peaks below 400 MiB."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
    command = [sys.executable, "-c", _THREE_MILLION]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    print(f"{done.stdout.strip()} MiB")  # noqa: T201  # the figure itself
    assert int(done.stdout) < 400


def test_a_key_has_another_place_in_another_database() -> None:
    """The same names in two databases are different keys, and each is found among all of them."""
    import polars as pl

    keys = pl.Series([b"a", b"b", b"\xff"], dtype=pl.Binary)
    every = pl.concat([key_places(keys, 0), key_places(keys, 1)]).sort()
    assert every.n_unique() == 6
    assert find_places(every, key_places(keys, 1)).null_count() == 0
    assert find_places(every, key_places(keys, 2)).null_count() == 3
