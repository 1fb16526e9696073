"""The measurements in their order: what belongs together is measured in turns, so that a busy minute hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.our_audit import AuditFigures, audited
from bench.peers import Pass, redis_cli, redis_py, scan_alone
from bench.rows import Row

if TYPE_CHECKING:
    from bench.bench_server import BenchServer

RULES: Final = 50

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Round:
    """Once everything that is compared, one after the other."""

    bigkeys: Pass | None
    redis_py: Pass
    scan: Pass
    one_shard: AuditFigures
    two_shards: AuditFigures
    governed: AuditFigures


def run_rounds(server: BenchServer, rounds: int, say: Say) -> list[Round]:
    """That many rounds."""
    done = []
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}")
        done.append(
            Round(
                bigkeys=redis_cli(server, "--bigkeys") if server.cli else None,
                redis_py=redis_py(server),
                scan=scan_alone(server),
                one_shard=audited(server.url),
                two_shards=audited(server.url, shards=2),
                governed=audited(server.url, rules=RULES),
            )
        )
    return done


def rows_of_rounds(rounds: Sequence[Round]) -> list[Row]:
    """Throughputs, and the ratios that are promised: the median of the ratios within each round."""
    ones = [each.one_shard for each in rounds]
    twos = [each.two_shards for each in rounds]
    bigkeys = [each.bigkeys for each in rounds if each.bigkeys]
    rows = [Row.measured("redis-cli --bigkeys", [each.keys_per_s for each in bigkeys], "keys/s")] if bigkeys else []
    rows += [
        Row.measured("redis-py scan_iter + pipelined pttl", [each.redis_py.keys_per_s for each in rounds], "keys/s"),
        Row.measured("SCAN alone, our connection", [each.scan.keys_per_s for each in rounds], "keys/s"),
        Row.measured("audit, 1 shard: scan phase", [each.scan_keys_per_s for each in ones], "keys/s"),
        Row.measured("audit, 1 shard: inspect to merge", [each.whole_keys_per_s for each in ones], "keys/s"),
        Row.measured("audit, 2 shards: scan phase", [each.scan_keys_per_s for each in twos], "keys/s"),
        Row.measured("audit, 2 shards: inspect to merge", [each.whole_keys_per_s for each in twos], "keys/s"),
        Row.measured(
            f"audit, 1 shard, {RULES} rules: scan phase", [each.governed.scan_keys_per_s for each in rounds], "keys/s"
        ),
        Row.measured("our CPU per key, audit, 1 shard", [each.own_cpu_s / each.keys * 1e6 for each in ones], "us"),
        Row.measured("our CPU per key, audit, 2 shards", [each.own_cpu_s / each.keys * 1e6 for each in twos], "us"),
        Row.measured("server CPU per key, SCAN alone", [each.scan.server_us_per_key for each in rounds], "us"),
        Row.measured("server CPU per key, audit, 1 shard", [each.server_us_per_key for each in ones], "us"),
    ]
    rows.append(
        Row.measured(
            "server busy, 2 shards, process starts and last checkpoints included",
            [each.server_share_of_scan for each in twos],
            "CPU s / s",
        )
    )
    if bigkeys:
        ratio = median(
            each.one_shard.whole_keys_per_s / each.bigkeys.keys_per_s for each in rounds if each.bigkeys is not None
        )
        rows.append(Row.promised("1 shard, inspect to merge, against --bigkeys", ratio, "times", ">=", 3))
    rows += [
        Row.promised(
            "1 shard, inspect to merge, against redis-py",
            median(each.one_shard.whole_keys_per_s / each.redis_py.keys_per_s for each in rounds),
            "times",
            ">=",
            2.5,
        ),
        Row.promised(
            "server busy while 2 shards are read",
            median(each.server_share for each in twos),
            "CPU s / s",
            ">=",
            0.75,
        ),
        Row.promised(
            "server CPU per key against SCAN alone, 1 shard",
            median(each.one_shard.server_us_per_key / each.scan.server_us_per_key for each in rounds),
            "times",
            "<=",
            1.8,
        ),
        Row.promised(
            f"throughput that {RULES} rules cost",
            median(100 * (1 - each.governed.scan_keys_per_s / each.one_shard.scan_keys_per_s) for each in rounds),
            "%",
            "<=",
            15,
        ),
        Row.promised("peak memory of the scanning process", max(each.peak_mib for each in ones), "MiB", "<=", 300),
    ]
    return rows


def rows_measured_once(server: BenchServer, say: Say) -> list[Row]:
    """What nothing is compared with."""
    rows = []
    if server.cli:
        say("redis-cli --memkeys")
        rows.append(Row.measured("redis-cli --memkeys", [redis_cli(server, "--memkeys").keys_per_s], "keys/s"))
    say("4 shards")
    four = audited(server.url, shards=4)
    rows.append(Row.measured("audit, 4 shards: scan phase", [four.scan_keys_per_s], "keys/s"))
    rows.append(Row.measured("audit, 4 shards: inspect to merge", [four.whole_keys_per_s], "keys/s"))
    return rows
