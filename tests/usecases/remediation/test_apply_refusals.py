"""What a writer refuses, and when it stands still or ends."""

from __future__ import annotations

import itertools
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from lab.remediation.applying import Applying, Commands
from lab.remediation.policies import CALM, policy_of, rule
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from lab.waiting import wait_for
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import (
    Aborted,
    BadInput,
    MissingPermission,
    OtherServer,
    StoreProblem,
    TooManyMatches,
)
from redis_ttl.domain.policy.policy import GuardSettings
from redis_ttl.domain.policy.rate import Rate
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import Outcome, RuleAccount
from redis_ttl.usecases.remediation.apply_plan import check_canary
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.adapters.keyspaces import set_keys
from tests.conftest import require


def fill(server: Server, keys: int = 2_000) -> None:
    """Keys of one rule, all without TTL."""
    set_keys(server, [b"a:%d" % number for number in range(keys)])


def without_ttl(server: Server) -> int:
    """How many keys of the server have no TTL."""
    with server.client() as client:
        info = client.info("keyspace")["db0"]
    return int(info["keys"] - info["expires"])


def test_more_matches_than_planned_stop_before_the_first_write(valkey: Server, tmp_path: Path) -> None:
    """A rule that matches one key more than its limit refuses the run; nothing is written or journalled."""
    fill(valkey, 101)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), limit_keys=100)
    with pytest.raises(TooManyMatches, match=r"found 101 keys; expected at most 100"):
        applying.canary()
    assert without_ttl(valkey) == 101
    assert applying.documents.journal_names() == []
    applying = Applying(valkey.url, tmp_path / "other", policy_of(rule("a:{n}")), limit_keys=101)
    assert applying.canary().outcome is Outcome.DONE


def test_more_keys_than_one_run_may_change_are_refused_before_the_first_write(valkey: Server, tmp_path: Path) -> None:
    """Rules that keep their own bounds and together pass the run's are refused, and nothing is written."""
    with valkey.client() as client:
        client.mset({f"{family}:{number}": "x" for family in "ab" for number in range(60)})
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"), rule("b:{n}")), limit_keys=60)
    applying.plan = replace(applying.plan, limit_keys=119)
    with pytest.raises(TooManyMatches, match="120 keys; expected at most 119"):
        applying.canary()
    assert applying.journal().is_empty()
    with valkey.client() as client:
        assert client.info("keyspace")["db0"]["expires"] == 0


def test_no_approval_no_write(valkey: Server, tmp_path: Path) -> None:
    """Every part asks for the approval, and what that raises ends it before anything is read."""
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")))

    def refuse() -> Any:
        raise BadInput("nobody has approved")

    with pytest.raises(BadInput, match="nobody"):
        applying.canary(approve=refuse)
    applying.pass_canary()
    left = without_ttl(valkey)
    with pytest.raises(BadInput, match="nobody"):
        applying.shard(approve=refuse)
    other = replace(applying.approval, digest="0" * 64)
    with pytest.raises(BadInput, match="another plan"):
        applying.shard(approve=lambda: other)
    with pytest.raises(BadInput, match="policy was changed"):
        applying.shard(policy=policy_of(rule("a:{n}"), rule("b:{n}")))
    assert without_ttl(valkey) == left


def test_an_approval_that_runs_out_ends_the_writing(valkey: Server, tmp_path: Path) -> None:
    """After the approval's time nothing more is written; the part's result says so."""
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")))
    applying.pass_canary()
    over = replace(applying.approval, valid_until_ms=applying.approved_at_ms)
    left = without_ttl(valkey)
    with pytest.raises(Aborted, match="the approval's time is over"):
        applying.shard(approve=lambda: over)
    assert without_ttl(valkey) == left
    assert applying.documents.parts()[-1].outcome is Outcome.ABORTED


@pytest.mark.parametrize("hours", [1, 23, 200])
def test_a_late_writing_gives_no_key_less_than_its_ttl(any_server: Server, tmp_path: Path, hours: int) -> None:
    """However old the approval is, a key lives for its rule's TTL from its writing on, and is recognised by a retry."""
    set_keys(any_server, [b"a:%d" % number for number in range(50)])
    applying = Applying(
        any_server.url, tmp_path, policy_of(rule("a:{n}", ttl_s=3_600, jitter_ratio=0.0), canary_keys=5)
    )
    applying.approved_at_ms -= hours * 3_600_000
    until_ms = applying.approved_at_ms + 30 * 86_400_000
    late = replace(applying.approval, valid_until_ms=until_ms)
    applying.pass_canary(approve=lambda: late)
    assert applying.shard(approve=lambda: late).accounts[0].set == 45
    with any_server.client() as client:
        assert all(3_600 <= client.ttl(f"a:{number}") <= 3_600 + 16 * 60 for number in range(50))
    again = applying.shard(approve=lambda: late)
    assert again.accounts[0] == RuleAccount(met=50, already_ours=50)
    for key, set_ms in applying.journal().select("key", "set_ms").iter_rows():
        assert set_ms in applying.instants_ms(key)


def test_a_shard_needs_a_canary_that_was_written_and_passed(valkey: Server, tmp_path: Path) -> None:
    """A shard whose canary or check left no document isn't written, whatever the tasks before it were marked as."""
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")))
    with pytest.raises(Aborted, match="canary of this plan hasn't been written"):
        applying.shard()
    applying.canary()
    left = without_ttl(valkey)
    with pytest.raises(Aborted, match="hasn't been passed"):
        applying.shard()
    assert without_ttl(valkey) == left


def test_a_canary_that_is_evicted_is_not_passed(tmp_path: Path) -> None:
    """Evictions during the watch fail the check, its report is written, and the rest isn't allowed to follow."""
    with run_server(require(VALKEY), "maxmemory-policy volatile-lfu") as server:
        fill(server)
        guards = GuardSettings(memory_ratio=2.0, latency_factor=1e9, expire_cap_hits_per_s=1e9)
        applying = Applying(server.url, tmp_path, policy_of(rule("a:{n}"), watch_s=2, canary_keys=1_000, guards=guards))
        applying.canary()
        with server.client() as client:

            def squeeze(text: str) -> None:
                if text.startswith("watching"):
                    client.config_set("maxmemory", client.info("memory")["used_memory"] - 20_000)
                    with suppress(OutOfMemoryError):
                        client.set("b", "x" * 100)

            applying.on_log = squeeze
            with pytest.raises(Aborted, match="evicted keys"):
                check_canary(applying.plan, applying.tools())
        [report] = applying.documents.canary_reports()
        assert not report.passed
        with pytest.raises(Aborted, match="hasn't been passed"):
            applying.shard()


def test_an_operator_stops(valkey: Server, tmp_path: Path) -> None:
    """Stop ends a part within seconds; what isn't written is counted as left, and running it again finishes it."""
    fill(valkey)
    commands = Commands()
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), rate="200/s", commands=commands)
    commands.command = OperatorCommand(rate=Rate(None))
    applying.pass_canary()
    commands.command = OperatorCommand()
    threading.Timer(
        1.5, lambda: setattr(commands, "command", OperatorCommand(CommandState.STOP, why="wang: enough"))
    ).start()
    with pytest.raises(Aborted, match="wang: enough"):
        applying.shard()
    part = applying.documents.parts()[-1]
    account = part.accounts[0]
    assert part.outcome is Outcome.STOPPED
    assert 0 < account.set < account.left
    assert account.met == account.set + account.already_ours + account.left
    assert part.interruptions[-1].ended
    commands.command = OperatorCommand(rate=Rate(None))
    applying.shard()
    assert without_ttl(valkey) == 0


def test_an_operator_pauses_and_changes_the_rate(valkey: Server, tmp_path: Path) -> None:
    """A pause holds the writing and says so in the log until it is over; a new rate counts from the next look on."""
    fill(valkey)
    commands = Commands(OperatorCommand(CommandState.PAUSE))
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), rate="1/s", commands=commands)
    commands.command = OperatorCommand(rate=Rate(None))
    applying.pass_canary()
    commands.command = OperatorCommand(CommandState.PAUSE)
    left = without_ttl(valkey)

    def go_on(text: str) -> None:
        if text.startswith("paused: the operator paused it"):
            assert without_ttl(valkey) == left
            commands.command = OperatorCommand(rate=Rate(None))

    applying.on_log = go_on
    result = applying.shard()
    assert without_ttl(valkey) == 0
    assert [each.reason for each in result.interruptions] == ["the operator paused it"]
    assert any(line.startswith("going on after") for line in applying.log)
    assert "rate: unlimited for each server" in applying.log


def test_a_command_that_cannot_be_read_pauses(valkey: Server, tmp_path: Path) -> None:
    """When the operator can't be heard, nothing is written until he can."""
    fill(valkey)
    commands = Commands()
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), commands=commands)
    applying.pass_canary()
    commands.fails = True

    def mend(text: str) -> None:
        if "the operator's command can't be read (no answer)" in text:
            commands.fails = False

    applying.on_log = mend
    assert applying.shard().interruptions[0].reason.startswith("the operator's command can't be read")
    assert without_ttl(valkey) == 0


def test_memory_above_its_bound_pauses_then_aborts(valkey: Server, tmp_path: Path) -> None:
    """A real server above the memory bound is written nothing; after the policy's patience the part is aborted."""
    fill(valkey)
    guards = replace(CALM, memory_ratio=0.5, patience_s=2)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"), guards=guards))
    applying.pass_canary()
    left = without_ttl(valkey)
    with valkey.client() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.5))
    with pytest.raises(Aborted, match=r"memory is at .* of maxmemory \(bound 50%\), for 2 s"):
        applying.shard()
    assert without_ttl(valkey) == left
    with valkey.client() as client:
        client.config_set("maxmemory", 0)
    assert applying.shard().accounts[0].set == left


def test_a_guard_lets_go_on_by_itself(valkey: Server, tmp_path: Path) -> None:
    """When the memory is below its bound again, writing goes on; the pause is in the result."""
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"), guards=replace(CALM, memory_ratio=0.5)))
    applying.pass_canary()
    with valkey.client() as client:
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] * 1.5))

        def relieve(text: str) -> None:
            if text.startswith("paused: memory"):
                client.config_set("maxmemory", 0)

        applying.on_log = relieve
        result = applying.shard()
    assert "memory is at" in result.interruptions[0].reason
    assert without_ttl(valkey) == 0


class BrokenStore(Store):
    """A store that refuses journals while it is told to."""

    broken = False

    def write(self, path: str, data: bytes) -> None:
        """Write, or fail."""
        if self.broken and "/journals/" in path:
            raise StoreProblem("no room", where=path)
        super().write(path, data)


def test_loss_of_the_store_pauses_then_goes_on(valkey: Server, tmp_path: Path) -> None:
    """While no journal can be written, no key is; when the store is back, the part goes on."""
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")))
    applying.pass_canary()
    store = BrokenStore(tmp_path)
    store.broken = True
    left = without_ttl(valkey)

    def mend(text: str) -> None:
        if "the store takes no journal" in text:
            assert without_ttl(valkey) == left
            store.broken = False

    applying.on_log = mend
    result = applying.shard(documents=PlanDocuments(store, "test", applying.plan.plan_id))
    assert "the store takes no journal" in result.interruptions[0].reason
    assert without_ttl(valkey) == 0
    assert result.journal_objects == 1


def test_loss_of_the_store_aborts_after_the_patience(valkey: Server, tmp_path: Path) -> None:
    """A store that doesn't come back ends the part by the store's own error, with nothing written."""
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"), guards=replace(CALM, patience_s=1)))
    applying.pass_canary()
    store = BrokenStore(tmp_path)
    store.broken = True
    left = without_ttl(valkey)
    with pytest.raises(StoreProblem, match="no room"):
        applying.shard(documents=PlanDocuments(store, "test", applying.plan.plan_id))
    assert without_ttl(valkey) == left


def test_an_operator_can_stop_while_the_store_is_lost(valkey: Server, tmp_path: Path) -> None:
    """Stop ends a part that waits for its store, without waiting for the store."""
    fill(valkey)
    commands = Commands()
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), commands=commands)
    applying.pass_canary()
    store = BrokenStore(tmp_path)
    store.broken = True

    def stop(text: str) -> None:
        if "the store takes no journal" in text:
            commands.command = OperatorCommand(CommandState.STOP)

    applying.on_log = stop
    with pytest.raises(Aborted, match="the operator stopped it"):
        applying.shard(documents=PlanDocuments(store, "test", applying.plan.plan_id))


def test_another_data_set_at_the_same_address_is_refused(tmp_path: Path) -> None:
    """A server that was started empty at the plan's address isn't the plan's server."""
    with run_server(require(VALKEY)) as server:
        fill(server)
        applying = Applying(server.url, tmp_path, policy_of(rule("a:{n}")))
        applying.pass_canary()
        server.stop()
        server.start()
        fill(server)
        with pytest.raises(OtherServer, match="no primary holds the data set"):
            applying.shard()
        assert without_ttl(server) == 2_000


def test_a_user_without_the_right_to_write_is_told(valkey: Server, tmp_path: Path) -> None:
    """An ACL that forbids PEXPIREAT is told with the rule to add, before anything is journalled."""
    fill(valkey)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")))
    with valkey.client() as client:
        client.acl_setuser(
            "bob", enabled=True, reset=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-pexpireat"]
        )
    applying.endpoint_url = f"redis://bob:pw@127.0.0.1:{valkey.port}/0"
    with pytest.raises(MissingPermission, match=r"\+pexpireat"):
        applying.canary()
    assert applying.documents.journal_names() == []


def test_a_log_line_comes_at_least_every_five_seconds(valkey: Server, tmp_path: Path) -> None:
    """Progress is told while a slow part is written: the gaps between lines stay below the promised five seconds."""
    fill(valkey)
    commands = Commands(OperatorCommand(rate=Rate(None)))
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), rate="190/s", commands=commands)
    applying.pass_canary()
    commands.command = OperatorCommand()
    from time import monotonic

    times: list[float] = [monotonic()]
    applying.on_log = lambda _: times.append(monotonic())
    applying.shard()
    times.append(monotonic())
    assert times[-1] - times[0] > 5
    assert max(after - before for before, after in itertools.pairwise(times)) < 10
    assert any("keys sent" in line for line in applying.log)
    wait_for(lambda: without_ttl(valkey) == 0, "every key to have its TTL")
