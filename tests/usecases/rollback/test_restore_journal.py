from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import are_same, expiries, restore_tools, roll_back
from lab.servers.cluster import Cluster
from lab.servers.server import Server
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.errors import Aborted, BadInput, OtherServer
from redis_ttl.domain.plan.plan import NodeIdentity
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.remediation.approval import ApprovalRequest, Verdict
from redis_ttl.domain.remediation.control import CommandState, OperatorCommand
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.domain.rollback.rollback import RestoreAccount
from redis_ttl.usecases.rollback import restore_journal
from redis_ttl.usecases.rollback.end_approval import end_approval
from redis_ttl.usecases.rollback.journal_parts import load_journal, whole_journal
from redis_ttl.usecases.rollback.restore_journal import restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions, chosen_rules
from tests.adapters.keyspaces import send, set_keys

POLICY = policy_of(rule("cart:{id}"), rule("seen:{id}", ttl_s=86_400, mode=Mode.CAP), exempt=["cart:vip{n}"])


def mixed_keys(server: Server, db: int = 0) -> None:
    """Keys of every kind: with and without a TTL, longer and shorter than the rules', exempt, governed by nothing, binary."""
    # In the middle of a tenth of a second: before 7.0 an expiry can be read only about so exactly.
    far_ms = int(time.time() + 400 * 86_400) * 1000 + 50
    set_keys(server, [f"cart:{number}" for number in range(300)], db)
    set_keys(server, ["cart:vip1", b"cart:\xff\x00", "{tag}other", "cart:{tag}"], db)
    send(server, (("SET", f"seen:{number}", "x", "PXAT", far_ms + 1000 * number) for number in range(200)), db)
    send(server, (("SET", f"seen:short{number}", "x", "EX", 3_600) for number in range(50)), db)
    set_keys(server, [f"seen:never{number}" for number in range(50)], db)


def test_applying_and_taking_back_changes_nothing(any_server: Server, tmp_path: Path) -> None:
    """After a remediation of two databases and its rollback every key has exactly the expiry, or none, that it had before."""
    for db in (0, 3):
        mixed_keys(any_server, db)
    before = expiries([any_server], (0, 3))
    run = Applying(any_server.url, tmp_path, POLICY, databases=(0, 3))
    run.run()
    assert expiries([any_server], (0, 3)) != before
    total = roll_back(run, parts=3)
    assert are_same(before, expiries([any_server], (0, 3)), any_server)
    assert total == RestoreAccount(keys=1_104, removed=704, put_back=400)


def test_a_cluster_is_restored_key_by_key(any_cluster: Cluster, tmp_path: Path) -> None:
    """In a cluster every key finds its node and its slot, and has its expiry again."""
    with any_cluster.client() as client:
        for number in range(200):
            client.set(f"cart:{number}", "x")
            client.set(f"seen:{number}", "x", ex=400 * 86_400 + number)
    before = expiries(any_cluster.primaries)
    run = Applying(any_cluster.url, tmp_path, POLICY)
    run.run()
    total = roll_back(run)
    assert expiries(any_cluster.primaries) == before
    assert total == RestoreAccount(keys=400, removed=200, put_back=200)


def test_what_the_application_did_since_stays(any_server: Server, tmp_path: Path) -> None:
    """Keys with another expiry, keys written anew and deleted keys are left as they are, and counted as that."""
    mixed_keys(any_server)
    run = Applying(any_server.url, tmp_path, POLICY)
    run.run()
    with any_server.client() as client:
        client.pexpireat("cart:1", int(time.time() + 77_777) * 1000 + 50)
        client.set("cart:2", "anew")
        client.delete("cart:3")
        client.persist("seen:1")
        changed = (b"cart:1", b"cart:2", b"seen:1")
        before = expiries([any_server])
        total = roll_back(run)
        after = expiries([any_server])
        were, are = ({(0, key): state[0, key] for key in changed} for state in (before, after))
        assert are_same(were, are, any_server)
        assert not client.exists("cart:3")
    assert (total.changed, total.as_before, total.gone) == (2, 1, 1)
    assert total.restored == total.keys - 4


def test_keys_that_expired_are_counted(redis7: Server, tmp_path: Path) -> None:
    """A key whose instant has passed is reported as expired, and one that went before its time as gone."""
    run = Applying(redis7.url, tmp_path, POLICY)
    now_ms = time.time_ns() // 1_000_000
    write_journal(run, [(b"cart:1", None, now_ms - 10), (b"cart:2", None, now_ms + 10_000)])
    assert roll_back(run) == RestoreAccount(keys=2, expired=1, gone=1)


def test_a_dry_run_changes_and_journals_nothing(redis7: Server, tmp_path: Path) -> None:
    """A dry run says what a rollback would do, which is what it then does."""
    mixed_keys(redis7)
    run = Applying(redis7.url, tmp_path, POLICY)
    run.run()
    before, names = expiries([redis7]), run.documents.journal_names()
    told = roll_back(run, dry_run=True)
    assert (expiries([redis7]), run.documents.journal_names()) == (before, names)
    assert roll_back(run) == told


def test_a_rollback_that_was_cut_off_goes_on(redis7: Server, tmp_path: Path) -> None:
    """Killed in the middle and run again, a rollback ends where one that went through ends, and nothing is left of ours."""
    mixed_keys(redis7)
    before = expiries([redis7])
    run = Applying(redis7.url, tmp_path, POLICY)
    run.run()
    objects = len(run.documents.journal_names())
    assert objects > 1

    def die(done: int, of: int) -> None:
        assert of == objects
        if done == 1:
            raise KeyboardInterrupt

    part = whole_journal(run.documents)
    with pytest.raises(KeyboardInterrupt):
        restore_part(run.plan, part, RestoreOptions(dry_run=False), restore_tools(run, progress=die))
    total = roll_back(run)
    assert expiries([redis7]) == before
    assert total.restored_before > 0
    assert total.restored + total.restored_before == total.keys
    again = roll_back(run)
    assert (again.restored, again.restored_before) == (0, again.keys)


def test_an_operator_pauses_slows_and_stops_a_rollback(
    redis7: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause is heard before each journal object and said once, a rate holds from then on, and after a stop the rollback
    can be begun again.
    """
    monkeypatch.setattr(restore_journal, "_LOOK_S", 0.01)
    mixed_keys(redis7)
    before = expiries([redis7])
    run = Applying(redis7.url, tmp_path, POLICY)
    run.run()
    said: list[str] = []
    commands = [
        *[OperatorCommand(CommandState.PAUSE)] * 3,
        OperatorCommand(CommandState.PAUSE, why="it can't be read"),
        OperatorCommand(rate=parse_rate("5000/s")),
        OperatorCommand(CommandState.STOP),
    ]
    tools = restore_tools(run, commands=commands, log=said.append)
    with pytest.raises(Aborted, match="stopped"):
        restore_part(run.plan, whole_journal(run.documents), RestoreOptions(dry_run=False), tools)
    assert said == ["paused: the operator paused it", "paused: it can't be read", "going on"]
    half = expiries([redis7])
    assert half != before
    total = roll_back(run)
    assert expiries([redis7]) == before
    assert total.restored_before > 0


def test_the_newest_of_several_rows_is_put_back(redis7: Server, tmp_path: Path) -> None:
    """Of two attempts that journalled a key, wherever their rows are restored, the later one's former expiry comes back."""
    run = Applying(redis7.url, tmp_path, POLICY)
    now_ms = time.time_ns() // 1_000_000
    ours, older, newer = now_ms + 10_000_000, now_ms + 20_000_000, now_ms + 30_000_000
    write_journal(run, [(b"seen:1", older, ours)], number=0)
    for number in range(1, 9):
        write_journal(run, [(b"seen:1", newer, ours), (b"seen:%d" % (number + 1), None, ours)], number=number)
    with redis7.client() as client:
        client.set("seen:1", "x", pxat=ours)
        total = roll_back(run, parts=2)
        assert client.execute_command("PEXPIRETIME", "seen:1") == newer
    assert total == RestoreAccount(keys=9, put_back=1, gone=8)


def test_an_earlier_expiry_is_never_put_back(redis7: Server, tmp_path: Path) -> None:
    """A row that says that a key was to expire sooner than we set can't be ours, and must not shorten its life."""
    run = Applying(redis7.url, tmp_path, POLICY)
    now_ms = time.time_ns() // 1_000_000
    write_journal(run, [(b"seen:1", now_ms + 5_000_000, now_ms + 10_000_000)])
    with redis7.client() as client:
        client.set("seen:1", "x", pxat=now_ms + 10_000_000)
        assert roll_back(run).changed == 1
        assert client.execute_command("PEXPIRETIME", "seen:1") == now_ms + 10_000_000


def test_only_the_chosen_rules_are_taken_back(redis7: Server, tmp_path: Path) -> None:
    """With rules chosen, the keys of the others keep our expiry; a rule that the plan doesn't have is refused."""
    mixed_keys(redis7)
    before = expiries([redis7])
    run = Applying(redis7.url, tmp_path, POLICY)
    run.run()
    numbers = chosen_rules(run.plan, ["seen:{id}"])
    roll_back(run, rules=numbers)
    after = expiries([redis7])
    assert {key for key in before if after[key] != before[key]} == {
        (db, key) for db, key in before if key.startswith(b"cart:") and key != b"cart:vip1"
    }
    with pytest.raises(BadInput, match="no such rule"):
        chosen_rules(run.plan, ["nothing:{id}"])


def test_a_script_cache_that_was_flushed_does_not_matter(redis7: Server, tmp_path: Path) -> None:
    """A server that forgets its scripts in the middle of a rollback is told them again."""
    mixed_keys(redis7)
    before = expiries([redis7])
    run = Applying(redis7.url, tmp_path, POLICY)
    run.run()

    def forget(_done: int, _of: int) -> None:
        with redis7.client() as client:
            client.script_flush()

    restore_part(
        run.plan, whole_journal(run.documents), RestoreOptions(dry_run=False), restore_tools(run, progress=forget)
    )
    assert expiries([redis7]) == before


def test_another_data_set_is_refused_unless_told_otherwise(redis7: Server, tmp_path: Path) -> None:
    """A server that doesn't continue the plan's by its replication ids is written to only when the operator says so."""
    mixed_keys(redis7)
    run = Applying(redis7.url, tmp_path, POLICY)
    run.run()
    object.__setattr__(run.plan, "nodes", (NodeIdentity(run.plan.nodes[0].address, "x", "0" * 40),))
    with pytest.raises(OtherServer, match="replication ids"):
        roll_back(run)
    assert roll_back(run, any_lineage=True).restored == 552


def test_a_rollback_ends_the_approval(redis7: Server, tmp_path: Path) -> None:
    """After it each gate's latest request has a decision that is none for the plan, with the reason."""
    run = Applying(redis7.url, tmp_path, POLICY)
    for attempt in (1, 2):
        request = ApprovalRequest(
            f"r{attempt}",
            run.plan.plan_id,
            run.plan.digest,
            "approve_plan",
            attempt,
            f"2026-11-24T01:0{attempt}:00+00:00",
        )
        run.documents.write_request(request)
    end_approval(run.documents, run="rollback/manual", clock=SystemClock())
    (decision,) = run.documents.decisions()
    assert (decision.request_id, decision.verdict) == ("r2", Verdict.REJECTED)
    assert "rolled back" in str(decision.why)


def test_a_plan_without_a_journal_has_nothing_to_take_back(redis7: Server, tmp_path: Path) -> None:
    """A plan by which nothing was written is refused in words."""
    run = Applying(redis7.url, tmp_path, POLICY)
    with pytest.raises(BadInput, match="no journal"):
        load_journal(run.documents, parts=4)


def write_journal(run: Applying, rows: list[tuple[bytes, int | None, int]], number: int = 0) -> None:
    """Journal these keys of the second rule: what was, what we set."""
    import polars as pl

    from tests.journal_objects import journal_bytes

    columns = {"key": pl.Binary, "was_ms": pl.Int64, "set_ms": pl.Int64}
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(db=0, rule=1)
    run.documents.write_journal(JournalName("20261124T010101000Z-abcdef", "shard-0", number), journal_bytes(frame))
