"""A writer that is killed at any moment, a server that is restarted or fails over, a store without room: afterwards the
invariants hold. ``KILLS`` sets the number of kills (50 for the whole table, which is printed with ``-s``).
"""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import CALM, DAY_S, policy_of, rule
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_sentinel, run_server
from lab.waiting import wait_for
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.domain.errors import RedisTtlError
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.remediation.control import OperatorCommand
from redis_ttl.usecases.remediation import part_work, write_gate
from redis_ttl.usecases.remediation.apply_plan import check_canary
from tests.adapters.keyspaces import send
from tests.conftest import require
from tests.usecases.apply_part import BATCH_KEYS, CHUNK_KEYS, TRY_AGAIN, do

KILLS = int(os.environ.get("KILLS", "12"))
KEYS = 6_000
POLICY = policy_of(
    rule("a:{x}"),
    rule("c:{x}", ttl_s=30 * DAY_S, mode=Mode.CAP),
    rule("u:{x}", sign_off=None),
    exempt=["a:keep-{x}"],
    guards=replace(CALM, patience_s=1),
)
MOMENTS = ("journal", "journalled", "sent", "batch", "any")
ROLLBACK_MOMENTS = ("journalled", "sent", "journal", "any")

pytestmark = pytest.mark.timeout(900)


@dataclass
class Case:
    """One remediation of a fresh keyspace, and what its keys were before."""

    server: Server
    applying: Applying
    before: dict[bytes, int]
    file: Path

    def part(self, part: str, moment: str = "never", number: int = 1) -> subprocess.Popen[bytes]:
        """The program at work on that part; it has begun."""
        self.file.write_bytes(pickle.dumps(self.applying))
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.usecases.apply_part", str(self.file), part, moment, str(number)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(["plugins", "."])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        process.stdout.readline()
        return process

    def finish(self, part: str) -> None:
        """Try the part until it is done, as Airflow would. Nobody kills this, so that it needs no program of its own, which takes
        longer to start than to do it.
        """
        for _ in range(3):
            try:
                do(self.applying, part)
            except RedisTtlError as error:
                if not error.retryable:
                    raise
                last = error
            else:
                return
        pytest.fail(f"{part} can't be finished: {last}")

    def wait_for_expiries(self, process: subprocess.Popen[bytes], keys: int, *, rising: bool) -> None:
        """Until so many keys have a TTL, or no more than so many, or the program has ended: a random moment of its work, however
        fast the machine is.
        """
        with self.server.client() as client:

            def is_there() -> bool:
                found = int(client.info("keyspace")["db0"]["expires"])
                return process.poll() is not None or (found >= keys if rising else found <= keys)

            wait_for(is_there, f"{keys} keys with a TTL", timeout_s=120)

    def check_journal(self) -> int:
        """Every key that was changed so far is in the journal with its original expiry; how many were changed."""
        # In this order: a writer may be at work.
        found = instants(self.server, list(self.before))
        was = self.applying.was()
        changed = 0
        for key, expires in found.items():
            if expires != self.before[key]:
                changed += 1
                original = None if self.before[key] == -1 else self.before[key]
                assert was.get((0, key)) == {original}, key
        return changed

    def check_end(self) -> None:
        """Exactly the keys of the plan have exactly their instants; all others are as they were."""
        self.check_journal()
        for key, expires in instants(self.server, list(self.before)).items():
            assert expires == self.expected(key), key

    def expected(self, key: bytes) -> int:
        """The instant at which a key shall expire after a whole run; -1 for never."""
        before = self.before[key]
        if key.startswith(b"a:") and not key.startswith(b"a:keep-") and before == -1:
            return self.applying.instant_ms(key, 0)
        if key.startswith(b"c:") and (before == -1 or before > self.applying.approved_at_ms + 40 * DAY_S * 1000):
            return self.applying.instant_ms(key, 1)
        return before


def instants(server: Server, keys: list[bytes]) -> dict[bytes, int]:
    """When these keys expire; -1 for never, -2 for those that are gone."""
    with RedisLink(endpoint_from_url(server.url)) as link:
        return dict(zip(keys, link.call_many([("PEXPIRETIME", key) for key in keys]), strict=True))


def new_case(server: Server, folder: Path) -> Case:
    """A keyspace with keys of every fate, and a plan for it."""
    with server.client() as client:
        client.flushall()
    keys: list[tuple[str | int, ...]] = []
    for number in range(KEYS // 10):
        keys += [("SET", f"a:{number}-{each}", "x") for each in range(5)]
        keys += [("SET", f"a:short-{number}", "x", "EX", 5_000 + number), ("SET", f"a:keep-{number}", "x")]
        keys += [("SET", f"c:{number}", "x"), ("SET", f"u:{number}", "x"), ("SET", f"o:{number}", "x")]
        keys += [("SET", f"c:long-{number}", "x", "EX", 300 * DAY_S), ("SET", f"c:short-{number}", "x", "EX", 9_000)]
    send(server, keys)
    before = instants(server, [str(key[1]).encode() for key in keys])
    return Case(server, Applying(server.url, folder, POLICY), before, folder.parent / f"{folder.name}.pickle")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, too."""
    monkeypatch.setattr(part_work, "_BATCH_KEYS", BATCH_KEYS)
    monkeypatch.setattr(write_gate, "_FAST_CHUNK", CHUNK_KEYS)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A Valkey of this module's own."""
    with run_server(require(VALKEY)) as running:
        yield running


def test_killed_writers_leave_the_invariants(server: Server, tmp_path: Path) -> None:
    """Killed at any moment of canary or shard, once or more, and tried again: the end is that of one clean run."""
    chance = random.Random(20260220)
    table = []
    for kill in range(KILLS):
        case = new_case(server, tmp_path / f"kill-{kill}")
        part = "canary" if kill % 5 == 4 else "shard"
        if part == "shard":
            case.finish("canary")
            check_canary(case.applying.plan, case.applying.tools())
        moments = [MOMENTS[kill % len(MOMENTS)], *chance.choices(MOMENTS, k=kill % 3)]
        changed = []
        for moment in moments:
            number = 1 if part == "canary" else chance.randint(1, 6)
            with case.part(part, moment, number) as process:
                if moment == "any":
                    case.wait_for_expiries(process, chance.randint(1_800, 5_400), rising=True)
                    process.kill()
                process.communicate()
            changed.append(case.check_journal())
        case.finish(part)
        if part == "canary":
            check_canary(case.applying.plan, case.applying.tools())
            case.finish("shard")
        case.check_end()
        table.append((kill, part, " ".join(moments), " ".join(map(str, changed)), case.applying.journal().height))
    _print(table, ("kill", "part", "killed at", "changed by then", "journal rows"))


def test_killed_rollbacks_give_everything_back(server: Server, tmp_path: Path) -> None:
    """Killed at any moment, once or more, and run again: every key expires as it did before the remediation."""
    chance = random.Random(20260221)
    table = []
    for kill in range(max(3, KILLS // 4)):
        case = new_case(server, tmp_path / f"rollback-{kill}")
        case.finish("canary")
        check_canary(case.applying.plan, case.applying.tools())
        case.finish("shard")
        written = instants(server, list(case.before))
        moments = [ROLLBACK_MOMENTS[kill % len(ROLLBACK_MOMENTS)], *chance.choices(ROLLBACK_MOMENTS, k=kill % 3)]
        left = []
        for moment in moments:
            with case.part("rollback", moment, chance.randint(1, 4)) as process:
                if moment == "any":
                    case.wait_for_expiries(process, chance.randint(1_800, 5_400), rising=False)
                    process.kill()
                process.communicate()
            now = instants(server, list(case.before))
            assert all(now[key] in {written[key], case.before[key]} for key in now)
            left.append(sum(now[key] != case.before[key] for key in now))
        case.finish("rollback")
        assert instants(server, list(case.before)) == case.before
        table.append((kill, "rollback", " ".join(moments), " ".join(map(str, left)), case.applying.journal().height))
    _print(table, ("kill", "part", "killed at", "still ours by then", "journal rows"))


@pytest.mark.parametrize("saved", ["before the writing", "after the kill"])
def test_a_restart_leaves_the_invariants(tmp_path: Path, saved: str) -> None:
    """A server with a replica restarts from its RDB file, with or without what was written: the retry finishes."""
    with run_server(require(VALKEY)) as server, run_server(require(VALKEY), replica_of=server):
        case = new_case(server, tmp_path / "restart")
        case.finish("canary")
        check_canary(case.applying.plan, case.applying.tools())
        with server.client() as client:
            if saved == "before the writing":
                client.save()
        with case.part("shard", "sent", 9) as process:
            process.communicate()
        assert case.check_journal() > 0
        with server.client() as client:
            if saved == "after the kill":
                client.save()
        server.stop()
        server.start()
        case.finish("shard")
        case.check_end()


def test_a_restart_under_a_running_writer_is_tried_again(tmp_path: Path) -> None:
    """A writer whose server goes away ends with an error that is tried again, and the retry finishes."""
    with run_server(require(VALKEY)) as server, run_server(require(VALKEY), replica_of=server):
        case = new_case(server, tmp_path / "under")
        case.applying.plan = replace(case.applying.plan, rate="2000/s")
        case.finish("canary")
        check_canary(case.applying.plan, case.applying.tools())
        with case.part("shard") as process:
            wait_for(lambda: case.check_journal() > 200, "some keys to be changed")
            with server.client() as client:
                client.save()
            server.stop()
            server.start()
            errors = process.communicate()[1].decode()
            assert process.returncode == TRY_AGAIN, errors
        case.finish("shard")
        case.check_end()


def test_a_restart_without_a_replica_ends_the_plan(tmp_path: Path) -> None:
    """A server that never had a replica keeps no replication id over a restart: its plan is refused, nothing is wrong."""
    with run_server(require(VALKEY)) as server:
        case = new_case(server, tmp_path / "alone")
        case.finish("canary")
        check_canary(case.applying.plan, case.applying.tools())
        with case.part("shard", "sent", 9) as process:
            process.communicate()
        with server.client() as client:
            client.save()
        server.stop()
        server.start()
        changed = case.check_journal()
        with case.part("shard") as process:
            errors = process.communicate()[1].decode()
        assert process.returncode == 1
        assert "no primary holds the data set that the plan was made of" in errors
        assert case.check_journal() == changed


def test_a_failover_leaves_the_invariants(tmp_path: Path) -> None:
    """A replica takes over while keys are written: the plan's data set is found there, and the retry finishes."""
    with run_server(require(VALKEY)) as primary, run_server(require(VALKEY), replica_of=primary) as replica:
        case = new_case(primary, tmp_path / "failover")
        case.finish("canary")
        check_canary(case.applying.plan, case.applying.tools())
        with case.part("shard", "sent", 9) as process:
            process.communicate()
        assert case.check_journal() > 0
        primary.stop()
        with replica.client() as client:
            client.execute_command("REPLICAOF", "NO", "ONE")
        case.server = replica
        case.applying.endpoint_url = replica.url
        case.finish("shard")
        case.check_end()


def test_a_sentinel_failover_under_a_running_writer_leaves_the_invariants(tmp_path: Path) -> None:
    """Sentinel makes the replica the primary while keys are written: the writer ends with an error that is tried again, and
    the retry asks the sentinel and finishes there.
    """
    with (
        run_server(require(VALKEY)) as primary,
        run_server(require(VALKEY), replica_of=primary) as replica,
        run_sentinel(VALKEY, primary, name="shop") as sentinel,
        sentinel.client() as guard,
    ):
        case = new_case(primary, tmp_path / "sentinel")
        case.applying.endpoint_url = f"redis+sentinel://{sentinel.host}:{sentinel.port}/shop"
        case.finish("canary")
        check_canary(case.applying.plan, case.applying.tools())
        wait_for(lambda: len(guard.sentinel_slaves("shop")) == 1, "the sentinel to know the replica")
        case.applying.commands.command = OperatorCommand(rate=parse_rate("150/s"))
        with case.part("shard") as process:
            wait_for(lambda: case.check_journal() > 200, "some keys to be changed")
            wait_for(lambda: guard.execute_command("SENTINEL", "FAILOVER", "shop"), "the failover to begin")
            errors = process.communicate()[1].decode()
            assert process.returncode == TRY_AGAIN, errors
        wait_for(
            lambda: guard.sentinel_get_master_addr_by_name("shop")[1] == replica.port,
            "the failover to end",
        )
        case.server = replica
        case.applying.commands.command = OperatorCommand()
        case.finish("shard")
        case.check_end()


def test_a_demoted_primary_is_left_for_the_new_one(tmp_path: Path) -> None:
    """When primary and replica have changed places, the plan's old address leads to the new primary."""
    with run_server(require(VALKEY)) as primary, run_server(require(VALKEY), replica_of=primary) as replica:
        case = new_case(primary, tmp_path / "demoted")
        case.finish("canary")
        check_canary(case.applying.plan, case.applying.tools())
        with replica.client() as client, primary.client() as old:
            client.execute_command("REPLICAOF", "NO", "ONE")
            old.execute_command("REPLICAOF", replica.host, replica.port)
            wait_for(lambda: old.info("replication").get("master_link_status") == "up", "the old primary to follow")
        case.server = replica
        case.finish("shard")
        case.check_end()


def test_a_full_disk_leaves_the_invariants(server: Server, tmp_path: Path) -> None:
    """Where the store has no room for a journal, nothing is written; with room again, the part is finished."""
    case = new_case(server, tmp_path / "disk")
    case.finish("canary")
    check_canary(case.applying.plan, case.applying.tools())
    changed = case.check_journal()
    with case.part("shard", "full-disk") as process:
        errors = process.communicate()[1].decode()
    assert process.returncode == 1
    assert "the document can't be written (File too large)" in errors
    assert case.check_journal() == changed
    case.finish("shard")
    case.check_end()


def _print(rows: Sequence[tuple[object, ...]], titles: tuple[str, ...]) -> None:
    for row in (titles, *rows):
        cells = zip(row, (5, 7, 24, 20, 12), strict=True)
        print("  ".join(f"{cell!s:<{width}}" for cell, width in cells))  # noqa: T201  # the table is what it is for
