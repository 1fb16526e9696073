"""A verification is of the data set that was written, or says that it isn't."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.remediation.policies import policy_of, rule
from lab.servers.kinds import REDIS_62, VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.errors import OtherServer
from redis_ttl.domain.remediation.verification import Verification
from redis_ttl.usecases.remediation.verify_plan import refuse_unverified
from tests.adapters.keyspaces import set_keys
from tests.conftest import require
from tests.usecases.verifying import Remediation


@pytest.fixture(params=[VALKEY, REDIS_62], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of this test's own."""
    with run_server(require(request.param)) as one:
        yield one


def written(server: Server, store: Path) -> Remediation:
    """A remediation of 200 keys that is done."""
    set_keys(server, (f"cart:{number}" for number in range(200)))
    run = Remediation(server.url, store, policy_of(rule("cart:{id}")))
    run.apply()
    return run


def test_a_server_that_came_back_empty_is_not_verified(server: Server, tmp_path: Path) -> None:
    """After a restart without its data every key reads as gone, and the verification fails by the data set."""
    run = written(server, tmp_path)
    server.stop()
    server.start()
    verification = run.verify()
    assert verification.strangers == (f"{server.host}:{server.port}",)
    assert "200 of 200 keys that were written are gone before their time" in verification.notes[0]
    with pytest.raises(OtherServer, match="isn't the data set of the plan"):
        refuse_unverified(verification)
    assert from_plain(Verification, to_plain(verification)) == verification


def test_another_server_at_the_address_is_not_verified(server: Server, tmp_path: Path) -> None:
    """A connection that leads to another server since verifies nothing, though its keys have the same patterns."""
    run = written(server, tmp_path)
    with run_server(server.kind) as other:
        set_keys(other, (f"cart:{number}" for number in range(1_000, 1_200)))
        run.url = other.url
        with pytest.raises(OtherServer, match=f"{other.port}"):
            refuse_unverified(run.verify())


def test_keys_that_were_flushed_are_noted(server: Server, tmp_path: Path) -> None:
    """The same server without the keys is verified with a note that says how many are gone before their time."""
    run = written(server, tmp_path)
    with server.client() as client:
        client.flushall()
    verification = run.verify()
    assert verification.strangers == ()
    assert "200 of 200 keys that were written are gone before their time" in verification.notes[0]


def test_a_restart_that_keeps_the_data_is_verified(server: Server, tmp_path: Path) -> None:
    """A server that was restarted with its data is another process, and verified all the same."""
    run = written(server, tmp_path)
    with server.client() as client:
        client.save()
    server.stop()
    server.start()
    verification = run.verify()
    refuse_unverified(verification)
    assert (verification.kept, verification.notes) == (200, ())


def test_a_replica_that_took_over_is_verified(server: Server, tmp_path: Path) -> None:
    """A failover continues the data set: the replica that was promoted is verified as it is."""
    with run_server(server.kind, replica_of=server) as replica, replica.client() as client:
        run = written(server, tmp_path)
        with server.client() as above:
            above.wait(1, 10_000)
        server.stop()
        client.execute_command("REPLICAOF", "NO", "ONE")
        run.url = replica.url
        verification = run.verify()
    refuse_unverified(verification)
    assert (verification.kept, verification.strangers) == (200, ())
