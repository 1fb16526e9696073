from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.failure import DemoFailed
from demo.home import Home
from demo.keyspace import FULL_KEYS, Keyspace
from demo.processes import Processes
from demo.valkey_server import Valkey
from demo.wait import wait_until
from redis_ttl.domain.incident import incident


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A demo's folder."""
    home = Home(tmp_path)
    home.make()
    return home


@pytest.fixture
def processes(home: Home) -> Iterator[Processes]:
    """The demo's processes; what the test leaves behind is stopped."""
    processes = Processes(home.processes, home.logs)
    yield processes
    processes.stop(processes.names())


def test_the_server_is_on_loopback_and_keeps_its_port(home: Home, processes: Processes) -> None:
    """The server answers on the loopback address only, evicts as the incident's did, and gets the same port again."""
    server = Valkey(home, processes)
    server.start(100 * 2**20)
    port = server.port

    assert server.is_running()
    assert server._ask("CONFIG", "GET", "bind").startswith("*")
    assert _listening_addresses(port) in ({"127.0.0.1"}, set())
    assert Valkey(home, processes).is_running()
    processes.stop(["valkey"])
    assert not server.is_running()
    server.start(100 * 2**20)
    assert server.port == port


def test_a_loaded_keyspace_is_known_again(home: Home, processes: Processes) -> None:
    """What is loaded fills the server as the incident did, and a later run finds it by its size."""
    server = Valkey(home, processes)
    keyspace = Keyspace(home, processes, server, 20_000)
    server.start(keyspace.room_bytes)
    assert not keyspace.is_loaded()
    keyspace.start_loading()
    wait_until(keyspace.finish_loading, "the keys", timeout_s=60)

    assert server.keys() == 20_000
    assert keyspace.is_loaded()
    assert Keyspace(home, processes, Valkey(home, processes), 20_000).is_loaded()
    assert not Keyspace(home, processes, server, 20_001).is_loaded()
    manifest = keyspace.manifest()
    assert manifest is not None
    assert sum(row["keys"] for row in manifest["patterns"]) == 20_000
    maxmemory = int(server._ask("INFO", "memory").split("maxmemory:")[1].split()[0])
    assert server.used_memory_bytes() / maxmemory == pytest.approx(0.875, abs=0.03)


def test_a_loader_that_gives_up_is_reported_with_its_words(home: Home, processes: Processes) -> None:
    """A keyspace that can't be loaded fails the demo with the loader's own reason."""
    server = Valkey(home, processes)
    keyspace = Keyspace(home, processes, server, 3)
    server.start(keyspace.room_bytes)
    keyspace.start_loading()

    with pytest.raises(DemoFailed, match=r"could not be loaded(?s:.*)can't be that small"):
        wait_until(keyspace.finish_loading, "the keys", timeout_s=60)


def test_the_full_size_is_the_incidents() -> None:
    """The demo and the loader mean the same number of keys."""
    assert FULL_KEYS == incident.FULL_KEYS


def _listening_addresses(port: int) -> set[str]:
    """The IPv4 addresses on which somebody listens on that port, where the system tells."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        return set()
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    hosts = {row[1].split(":")[0] for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
    return {".".join(str(byte) for byte in reversed(bytes.fromhex(host))) for host in hosts}
