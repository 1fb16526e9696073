"""What was decided a while ago is looked at again before it is written, and nothing is overwritten that isn't journalled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.remediation.applying import Applying, Commands
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.servers.cluster import Cluster
from lab.servers.server import Server
from redis_ttl.adapters.writing.writable_deployment import DatabaseDecisions
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.errors import Aborted, ConnectionLost, StoreProblem
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import Cold
from redis_ttl.domain.policy.rate import Rate
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.remediation.remediation import PartResult, RuleAccount
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.remediation import change_writing, write_gate
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.adapters.keyspaces import send, set_keys

FAST = OperatorCommand(rate=Rate(None))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is older than a fifth of a second is old, and the operator is heard at once."""
    monkeypatch.setattr(change_writing, "FRESH_S", 0.2)
    monkeypatch.setattr(write_gate, "CONTROL_S", 0.0)


def paused_after_the_journal(
    applying: Applying, meanwhile: Callable[[], None], then: OperatorCommand = FAST
) -> PartResult:
    """Write a shard that the operator pauses when its first batch is journalled; ``meanwhile`` happens in the pause, and
    ``then`` ends it.
    """
    documents, write = applying.documents, PlanDocuments.write_journal
    happened = threading.Event()

    def journalled(name: JournalName, data: bytes) -> JournalName:
        kept = write(documents, name, data)
        if not happened.is_set():
            applying.commands.command = OperatorCommand(CommandState.PAUSE)
        return kept

    def heard(text: str) -> None:
        if text.startswith("paused: the operator paused it") and not happened.is_set():
            happened.set()
            meanwhile()
            # Longer than anything stays fresh.
            threading.Timer(0.5, lambda: setattr(applying.commands, "command", then)).start()

    documents.write_journal = journalled  # type: ignore[method-assign]
    applying.on_log = heard
    result = applying.shard(documents=documents)
    assert happened.is_set()
    return result


def same_in_one_figure(result: PartResult) -> None:
    """Each key that was met is in exactly one of the other figures."""
    for account in result.accounts.values():
        assert account.undecided == 0, account


def test_keys_that_become_hot_in_a_pause_are_left(any_server: Server, tmp_path: Path) -> None:
    """A rule for cold keys asks again after a pause: what was used meanwhile is hot, and has no TTL."""
    with any_server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lfu")
        client.config_set("lfu-log-factor", 0)
        set_keys(any_server, [b"a:%d" % number for number in range(300)])
        policy = policy_of(rule("a:{n}", cold=Cold(freq_at_most=20)), canary_keys=1)
        applying = Applying(any_server.url, tmp_path, policy, rate="2000/s", commands=Commands(FAST))
        applying.pass_canary()
        before = client.info("keyspace")["db0"]["expires"]

        def use() -> None:
            pipeline = client.pipeline(transaction=False)
            for _ in range(40):
                for number in range(300):
                    pipeline.get(f"a:{number}")
            pipeline.execute()

        result = paused_after_the_journal(applying, use)
        account = result.accounts[0]
        same_in_one_figure(result)
        assert account.hot == 300 - before
        assert account.changed == 0
        assert client.info("keyspace")["db0"]["expires"] == before
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("lfu-log-factor", 10)


def test_a_ttl_that_the_application_sets_in_a_pause_stays(any_server: Server, tmp_path: Path) -> None:
    """Under cap, TTLs that are short enough by now are the application's own, and longer ones are journalled as they are now."""
    send(any_server, (("SET", f"a:{number}", "x", "EX", 400 * DAY_S) for number in range(300)))
    policy = policy_of(rule("a:{n}", ttl_s=90 * DAY_S, mode=Mode.CAP, jitter_ratio=0.0), canary_keys=0)
    applying = Applying(any_server.url, tmp_path, policy, commands=Commands(FAST))
    applying.pass_canary()
    journalled = applying.journal().height
    with any_server.client() as client:
        done = {number for number in range(300) if client.ttl(f"a:{number}") < 300 * DAY_S}

        def renew() -> None:
            for number in set(range(300)) - done:
                client.expire(f"a:{number}", (90 if number % 2 else 500) * DAY_S)

        result = paused_after_the_journal(applying, renew)
        same_in_one_figure(result)
        account = result.accounts[0]
        assert account.had_ttl == 150 - sum(number % 2 for number in done)
        assert account.capped == 150 - sum(not number % 2 for number in done)
        rows = dict(applying.journal()[journalled:].select("key", "was_ms").iter_rows())
        for number in set(range(300)) - done:
            left_s: int = client.ttl(f"a:{number}")
            assert 90 * DAY_S - 60 <= left_s <= 90 * DAY_S + 960
            if not number % 2:
                assert rows[b"a:%d" % number] > applying.approved_at_ms + 499 * DAY_S * 1000


def test_every_fate_after_a_pause_is_counted_once(any_server: Server, tmp_path: Path) -> None:
    """Keys that vanish, get a TTL, or one of ours during a pause are counted as such, and not as written."""
    set_keys(any_server, [b"a:%d" % number for number in range(200)])
    applying = Applying(any_server.url, tmp_path, policy_of(rule("a:{n}"), canary_keys=0), commands=Commands(FAST))
    applying.pass_canary()
    with any_server.client() as client:
        free = [number for number in range(200) if client.ttl(f"a:{number}") == -1]

        def change() -> None:
            client.delete(*[f"a:{number}" for number in free[:10]])
            for number in free[10:30]:
                client.expire(f"a:{number}", 77)
            for number in free[30:35]:
                client.pexpireat(f"a:{number}", applying.instant_ms(b"a:%d" % number))

        result = paused_after_the_journal(applying, change)
        same_in_one_figure(result)
        ours = 200 - len(free)
        assert result.accounts[0] == RuleAccount(
            met=200, set=len(free) - 35, already_ours=ours + 5, had_ttl=20, vanished=10
        )
        assert all(client.ttl(f"a:{number}") <= 77 for number in free[10:30])


def test_at_a_low_rate_each_key_is_as_fresh_as_its_chunk(valkey: Server, tmp_path: Path) -> None:
    """At a rate at which a batch takes long, a key that the application changes meanwhile is read again before its turn."""
    set_keys(valkey, [b"a:%d" % number for number in range(400)])
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"), canary_keys=0), rate="200/s")
    applying.commands.command = FAST
    applying.pass_canary()
    applying.commands.command = OperatorCommand()
    asked: list[int] = []
    again = DatabaseDecisions.decide_again

    def counted(self: DatabaseDecisions, changes: Any, *, raced: bool) -> Any:
        asked.append(len(changes))
        return again(self, changes, raced=raced)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseDecisions, "decide_again", counted)
        rows = applying.journal().height
        result = applying.shard()
    same_in_one_figure(result)
    assert result.accounts[0].changed > 350
    assert sum(asked) >= 200
    # Two seconds' keys at a time, and none of them is journalled twice: nothing about them has changed.
    assert max(asked) <= 400
    assert applying.journal().height - rows == result.accounts[0].changed


def test_the_canary_reads_its_keys_again(any_server: Server, tmp_path: Path) -> None:
    """The canary picks its keys during a survey; what the application does before they are written counts."""
    send(any_server, (("SET", f"a:{number}", "x", "EX", 400 * DAY_S) for number in range(100)))
    set_keys(any_server, [b"b:%d" % number for number in range(100)])
    policy = policy_of(rule("a:{n}", mode=Mode.CAP), rule("b:{n}"), canary_keys=100)
    applying = Applying(any_server.url, tmp_path, policy)
    documents, write = applying.documents, PlanDocuments.write_survey

    def surveyed(survey: Any) -> None:
        write(documents, survey)
        with any_server.client() as client:
            for number in range(40):
                client.expire(f"a:{number}", 500 * DAY_S)
                client.expire(f"b:{number}", 5_000)
            client.delete("a:99", "b:99")

    documents.write_survey = surveyed  # type: ignore[method-assign]
    result = applying.canary(documents=documents)
    same_in_one_figure(result)
    assert result.accounts[0] == RuleAccount(met=100, capped=99, vanished=1)
    assert result.accounts[1] == RuleAccount(met=100, set=59, had_ttl=40, vanished=1)
    late_ms = applying.approved_at_ms + 499 * DAY_S * 1000
    rows = applying.journal()
    assert rows.height == 158
    assert rows.filter((rows["rule"] == 0) & (rows["was_ms"] > late_ms)).height == 40


def test_a_lost_connection_takes_no_true_expiry_with_it(any_server: Server, tmp_path: Path) -> None:
    """Under cap, whatever the application sets and whenever the connection breaks: what is overwritten is in the journal."""
    send(any_server, (("SET", f"a:{number}", "x", "EX", 400 * DAY_S) for number in range(600)))
    policy = policy_of(rule("a:{n}", ttl_s=90 * DAY_S, mode=Mode.CAP), canary_keys=0)
    applying = Applying(any_server.url, tmp_path, policy, rate="400/s", commands=Commands(FAST))
    applying.pass_canary()
    applying.commands.command = OperatorCommand()
    with any_server.client() as client:

        def renewed(number: int) -> bool:
            left_s: int = client.ttl(f"a:{number}")
            if left_s > 300 * DAY_S:
                client.expire(f"a:{number}", 500 * DAY_S)
            return left_s > 300 * DAY_S

        def disturb() -> None:
            for number in range(600):
                renewed(number)
            for each in client.client_list():
                if each["name"] == "redis_ttl":
                    client.client_kill_filter(_id=each["id"])

        threading.Timer(1.0, disturb).start()
        with pytest.raises(ConnectionLost):
            applying.shard()
        applying.commands.command = FAST
        applying.shard()
        was = applying.was()
        now_ms = applying.approved_at_ms
        seen = {
            number: max(each for each in was[0, b"a:%d" % number] if each is not None) - now_ms for number in range(600)
        }
        assert any(left_ms > 450 * DAY_S * 1000 for left_ms in seen.values())
        assert all(client.ttl(f"a:{number}") < 110 * DAY_S for number in range(600))


@pytest.mark.parametrize("mode", list(Mode))
def test_an_application_that_is_always_faster_keeps_what_it_sets(
    any_server: Server, tmp_path: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that changes between every reading and writing is tried a few times, then counted as raced, and not overwritten."""
    monkeypatch.setattr(change_writing, "FRESH_S", 3600.0)  # a slow machine reads nothing again by itself
    long_s = DAY_S if mode is Mode.EXTEND else 400 * DAY_S
    send(any_server, (("SET", f"a:{number}", "x", "EX", long_s) for number in range(20)))
    applying = Applying(any_server.url, tmp_path, policy_of(rule("a:{n}", mode=mode), canary_keys=0))
    if mode is Mode.SET:
        with any_server.client() as client:
            for number in range(20):
                client.persist(f"a:{number}")
    applying.pass_canary()
    documents, write = applying.documents, PlanDocuments.write_journal
    moves = iter(range(1, 100))
    with any_server.client() as client:
        ours = {number for number in range(20) if 50 * DAY_S < client.ttl(f"a:{number}") < 100 * DAY_S}

        def faster(name: JournalName, data: bytes) -> JournalName:
            kept = write(documents, name, data)
            move = next(moves)
            for number in set(range(20)) - ours:
                client.expire(f"a:{number}", long_s + 1_000 * move)
            return kept

        documents.write_journal = faster  # type: ignore[method-assign]
        result = applying.shard(documents=documents)
        same_in_one_figure(result)
        assert result.accounts[0] == RuleAccount(met=20, already_ours=len(ours), raced=20 - len(ours))
        assert all(client.ttl(f"a:{number}") > long_s - 60 for number in set(range(20)) - ours)
        assert next(moves) <= 6


def test_an_operator_who_stops_in_a_pause_leaves_the_rest(valkey: Server, tmp_path: Path) -> None:
    """Stop during a pause of a batch: what wasn't sent is left, and each key is in one figure."""
    set_keys(valkey, [b"a:%d" % number for number in range(500)])
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), commands=Commands(FAST))
    applying.pass_canary()

    with pytest.raises(Aborted, match="operator stopped"):
        paused_after_the_journal(applying, lambda: None, then=OperatorCommand(CommandState.STOP))
    part = applying.documents.parts()[-1]
    same_in_one_figure(part)
    assert part.accounts[0].left > 0


def test_journal_numbers_have_no_gap(valkey: Server, tmp_path: Path) -> None:
    """A store that fails now and then is asked for the same name again: the numbers of an attempt are 0, 1, 2 and so on."""
    set_keys(valkey, [b"a:%d" % number for number in range(6_000)])
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), rate="2000/s", commands=Commands(FAST))
    applying.pass_canary()
    documents, write = applying.documents, PlanDocuments.write_journal
    tried: list[str] = []

    def unsteady(name: JournalName, data: bytes) -> JournalName:
        tried.append(str(name))
        if len(tried) % 2:
            raise StoreProblem("not now")
        return write(documents, name, data)

    documents.write_journal = unsteady  # type: ignore[method-assign]
    result = applying.shard(documents=documents)
    numbers = [name.number for name in applying.documents.journal_names() if name.part == "shard-0"]
    assert result.journal_objects == len(numbers) > 2
    assert numbers == list(range(len(numbers)))
    assert tried[0::2] == tried[1::2]


def test_each_attempt_says_that_it_begins_before_its_first_object(valkey: Server, tmp_path: Path) -> None:
    """A rollback knows of every attempt, also of one that is killed at once: its beginning is in the store first."""
    set_keys(valkey, [b"a:%d" % number for number in range(300)])
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")))
    documents, write = applying.documents, PlanDocuments.write_journal

    def dies(name: JournalName, data: bytes) -> JournalName:
        assert [each.attempt for each in applying.documents.begun()][-1] == name.attempt
        write(documents, name, data)
        raise KeyboardInterrupt

    documents.write_journal = dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        applying.canary(documents=documents)
    applying.run()
    begun = applying.documents.begun()
    assert [each.part for each in begun] == ["canary", "canary", "shard-0"]
    assert {each.approved_at_ms for each in begun} == {applying.approved_at_ms}
    assert {name.attempt for name in applying.documents.journal_names()} <= {each.attempt for each in begun}


def test_a_slot_that_moves_is_no_key_that_is_gone(any_cluster: Cluster, tmp_path: Path) -> None:
    """A shard whose keys are on their way to another node is tried again; none of them counts as vanished."""
    names = [b"a:{t}%d" % number for number in range(50)] + [b"a:%d" % number for number in range(200)]
    with any_cluster.client() as everywhere:
        for name in names:
            everywhere.set(name, "x")
    applying = Applying(any_cluster.url, tmp_path, policy_of(rule("a:{x}"), canary_keys=0))
    applying.pass_canary()
    slot = key_slot(b"{t}")
    number = next(at for at, server in enumerate(any_cluster.primaries) if _holds(server, slot))
    goal = any_cluster.primaries[(number + 1) % 3]
    with any_cluster.primaries[number].client() as source, goal.client() as target:
        ids = [each.execute_command("CLUSTER", "MYID").decode() for each in (source, target)]
        target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        documents, write = applying.documents, PlanDocuments.write_journal

        def moves(name: JournalName, data: bytes) -> JournalName:
            kept = write(documents, name, data)
            if keys := source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1_000):
                source.execute_command("MIGRATE", goal.host, goal.port, "", 0, 5_000, "KEYS", *keys)
            return kept

        documents.write_journal = moves  # type: ignore[method-assign]
        with pytest.raises(ConnectionLost):
            applying.shard(number, documents=documents)
        for each in (target, source):
            each.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        results = [applying.shard(each) for each in range(3)]
    assert sum(result.accounts.get(0, RuleAccount()).vanished for result in results) == 0
    with any_cluster.client() as everywhere:
        assert all(everywhere.ttl(name) > 0 for name in names)


def _holds(server: Server, slot: int) -> bool:
    with server.client() as client:
        return bool(client.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot))
