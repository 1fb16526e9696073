"""One comparison of an audit's fingerprints with a baseline, in a process of its own, because its memory is one of the figures.

Started as ``python -m bench.our_drift FOLDER``, it answers with one line of JSON. ``python -m bench.our_drift FOLDER
KEYS`` writes the documents into it and then starts that. Fingerprints are spread evenly, as hashes are; one in a
hundred is new, and as many have left.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import redis_ttl.cli  # noqa: F401  # what the terminal settles before anything imports polars

# isort: split
import polars as pl

from redis_ttl.adapters.columns.key_comparison import KEYS_AT_ONCE, KeyComparison
from redis_ttl.domain.drift.drift import ComparisonScope

#: Keys of one document: what a shard counts from one checkpoint to the next.
_DOCUMENT_KEYS = 1_000_000
_PATTERNS = 300
_CHANGED = 100
#: An odd number with bits all over: its multiples are spread evenly over 64 bits, and none comes twice.
_SPREADS = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class DriftFigures:
    """What one comparison took, from the first document read to the last one of the next baseline made."""

    keys: int
    new_keys: int
    seconds: float
    peak_mib: float


def drift_figures(folder: Path, keys: int) -> DriftFigures:
    """Write the documents of that many keys into the folder where there are none yet, and compare them in another process."""
    if not list(folder.glob("today-*")):
        write_documents(folder, keys)
    command = [sys.executable, "-m", "bench.our_drift", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # ourselves
    return DriftFigures(**json.loads(done.stdout))


def write_documents(folder: Path, keys: int) -> None:
    """The fingerprints of an audit as its shards wrote them, and a baseline of as many keys in the order of their places."""
    changed = max(1, keys // _CHANGED)
    for number, first in enumerate(range(0, keys, _DOCUMENT_KEYS)):
        rows = pl.DataFrame({"number": pl.int_range(first, min(keys, first + _DOCUMENT_KEYS), eager=True)})
        kind = pl.col("number") % _PATTERNS
        rows.select(
            _places(pl.col("number")).alias("key_hash"),
            pl.format("family:{}:n", kind).cast(pl.Categorical).alias("pattern"),
            pl.lit(0, pl.Int32).alias("db"),
            pl.when(kind < _PATTERNS // 2)
            .then(pl.lit("rule"))
            .otherwise(pl.lit("none"))
            .cast(pl.Categorical)
            .alias("governance"),
            pl.when(kind < _PATTERNS // 2)
            .then(pl.format("family:{}:id", kind))
            .cast(pl.Categorical)
            .alias("governed_by"),
        ).write_parquet(folder / f"today-{number:04d}")
    # Cut as a check cuts what it leaves standing.
    parts = 1 << max(0, (2 * keys - 1) // KEYS_AT_ONCE).bit_length()
    for part in range(parts):
        places = [
            each if parts == 1 else each.filter(each // ((1 << 64) // parts) == part)
            for first in range(changed, keys + changed, _DOCUMENT_KEYS)
            for each in [_numbers(first, min(keys + changed, first + _DOCUMENT_KEYS))]
        ]
        rows = pl.concat(places).sort().alias("place").to_frame().with_columns(pl.lit(0, pl.Int32).alias("db"))
        rows.write_parquet(folder / f"baseline-{part:04d}", compression="zstd", compression_level=1, statistics=False)


def compare(folder: Path) -> DriftFigures:
    """The comparison, in this process."""
    began_s = time.perf_counter()
    baseline = sorted(folder.glob("baseline-*"))
    today = sorted(folder.glob("today-*"))
    keys = sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in today)
    with KeyComparison(ComparisonScope(0, scanned=(0,), covered=(0,)), 2 * keys) as comparison:
        for number, path in enumerate(today):
            comparison.add_today(number, path.read_bytes())
        for path in baseline:
            comparison.add_baseline(path.read_bytes())
        comparison.compare()
        new = sum(each.keys for each in comparison.new_keys())
        for _, document in comparison.ranges():
            io.BytesIO(document)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return DriftFigures(keys, new, time.perf_counter() - began_s, peak)


def _numbers(first: int, last: int) -> pl.Series:
    frame = pl.DataFrame({"number": pl.int_range(first, last, eager=True)})
    return frame.select(_places(pl.col("number")).alias("place"))["place"]


def _places(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.UInt64) * pl.lit(_SPREADS, pl.UInt64)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    if len(sys.argv) > 2:  # noqa: PLR2004  # KEYS is given
        place.mkdir(parents=True, exist_ok=True)
        print(json.dumps(asdict(drift_figures(place, int(sys.argv[2])))))  # noqa: T201
    else:
        print(json.dumps(asdict(compare(place))))  # noqa: T201
