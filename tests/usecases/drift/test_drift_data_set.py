"""A drift check is about the data set of its baseline, or says that it isn't."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.remediation.policies import policy_of
from lab.servers.kinds import REDIS_62, VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.domain.errors import OtherServer
from tests.adapters.keyspaces import set_keys
from tests.conftest import require
from tests.usecases.drifting import Nights

KEYS = 500


@pytest.fixture(params=[VALKEY, REDIS_62], ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of this test's own, with keys."""
    with run_server(require(request.param)) as one:
        set_keys(one, (f"cart:{number}" for number in range(KEYS)))
        yield one


def restart(server: Server) -> None:
    """End the process, and start another from what is on disk."""
    server.stop()
    server.start()


def test_a_server_that_came_back_empty_is_no_end_of_a_leak(server: Server, tmp_path: Path) -> None:
    """Nothing leaves the baseline because another, empty data set answers: the check fails by that, and goes on when the keys are back."""
    nights = Nights(server.url, tmp_path, policy_of())
    assert nights.night().next_baseline == 1
    with server.client() as client:
        client.save()
    (server.folder / "dump.rdb").rename(server.folder / "kept.rdb")
    restart(server)
    for _ in range(2):
        with pytest.raises(OtherServer, match="500 of 500 keys gone"):
            nights.night()
    server.stop()
    (server.folder / "kept.rdb").rename(server.folder / "dump.rdb")
    server.start()
    report = nights.night()
    assert (report.new_keys, report.left_keys, report.next_baseline) == (0, 0, 1)


def test_an_empty_server_may_be_accepted(server: Server, tmp_path: Path) -> None:
    """Where the new data set is meant, somebody accepts it, and it is the baseline from then on."""
    nights = Nights(server.url, tmp_path, policy_of())
    nights.night()
    restart(server)
    assert nights.accept(why="moved to a new server").next_baseline == 2
    assert nights.night().new_keys == 0


def test_keys_that_were_cleaned_up_leave_the_baseline(server: Server, tmp_path: Path) -> None:
    """On the same data set keys may go, however many, and a restart that keeps the others changes nothing about that."""
    nights = Nights(server.url, tmp_path, policy_of())
    nights.night()
    with server.client() as client:
        client.delete(*(f"cart:{number}" for number in range(KEYS - 100)))
    assert nights.night().left_keys == KEYS - 100
    with server.client() as client:
        client.save()
    restart(server)
    assert (nights.night().left_keys, nights.night().new_keys) == (0, 0)


def test_another_data_set_at_the_address_is_new_as_a_whole(server: Server, tmp_path: Path) -> None:
    """Another server's keys are drift, every one of them."""
    nights = Nights(server.url, tmp_path, policy_of())
    nights.night()
    with run_server(server.kind) as other:
        set_keys(other, (f"other:{number}" for number in range(KEYS)))
        nights.url = other.url
        assert nights.night().new_keys == KEYS
