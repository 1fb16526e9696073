from __future__ import annotations

import socket
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from lab.loopback import free_port
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_sentinel, run_server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.incident.names import NameSeries
from redis_ttl.adapters.incident.writer import require_loopback, write_keyspace
from redis_ttl.domain.errors import InvalidOption, RedisTtlError, ServerProblem, Unreachable, WrongRole
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import Family, PatternCount, estimated_bytes, expected_patterns, scaled
from redis_ttl.domain.keys.folding import fold_shapes
from redis_ttl.domain.keys.name import key_text

if TYPE_CHECKING:
    import redis

    from lab.servers.cluster import Cluster

_KEYS = 20_000
# Names that only counting can fold, or that fold by shape to almost always the same.
_BY_COUNT = ("{text}", "{token}")


def _load(server: Server, keys: int = _KEYS, *, seed: int = 1, add: bool = False) -> int:
    return write_keyspace(
        endpoint_from_url(server.url), scaled(FAMILIES, keys), seed=seed, add=add, on_progress=lambda _: None
    )


def _contents(client: redis.Redis) -> dict[bytes, tuple[bytes, bool]]:
    keys = list(client.scan_iter(count=1000))
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key)
        pipeline.pttl(key)
    answers = pipeline.execute()
    return {key: (answers[2 * at], answers[2 * at + 1] == -1) for at, key in enumerate(keys)}


def test_the_server_holds_what_the_table_says(valkey: Server) -> None:
    """The keys found on the server, folded and counted, are the table that the loader prints."""
    shares = scaled(FAMILIES, _KEYS)
    written = _load(valkey)
    with valkey.client() as client:
        found = _contents(client)

    assert written == len(found) == _KEYS
    foldable = {text: count for text, count in expected_patterns(shares).items() if not text.endswith(_BY_COUNT)}
    keys: Counter[str] = Counter()
    lasting: Counter[str] = Counter()
    for key, (_, without_ttl) in found.items():
        pattern = fold_shapes(key_text(key))
        keys[pattern] += 1
        lasting[pattern] += without_ttl
    assert {text: PatternCount(keys[text], lasting[text]) for text in foldable} == foldable


def test_types_are_those_of_the_families(valkey: Server) -> None:
    """Each type occurs on the server as often as the families say."""
    _load(valkey)
    with valkey.client() as client:
        found = Counter(kind.decode() for kind, _ in _contents(client).values())

    expected: Counter[str] = Counter()
    for share in scaled(FAMILIES, _KEYS):
        expected[str(share.family.kind)] += share.keys
    assert found == expected


def test_one_seed_gives_one_keyspace(valkey: Server) -> None:
    """Two loads with one seed give the same keys, types and lasting keys; another seed gives others."""
    with valkey.client() as client:
        keyspaces = []
        for seed in (7, 7, 8):
            client.flushall()
            _load(valkey, 5_000, seed=seed)
            keyspaces.append(_contents(client))

    assert keyspaces[0] == keyspaces[1]
    assert keyspaces[0].keys() != keyspaces[2].keys()


def test_the_recorded_lifetimes_are_on_the_server(valkey: Server) -> None:
    """Last activities live about 364 days, and what is left of the burst between two and twelve hours."""
    _load(valkey)
    with valkey.client() as client:
        activities = [client.ttl(key) / 86_400 for key in client.scan_iter("contact:last:activity:*", 1000)]
        burst = [client.ttl(key) / 3_600 for key in client.scan_iter("[0-9]*", 1000)]

    assert 363 < min(activities) < max(activities) <= 364.5
    assert 1.9 < min(burst) < max(burst) <= 12


def test_a_database_with_keys_is_left_alone(valkey: Server) -> None:
    """A load refuses a database that holds keys, and touches nothing there."""
    with valkey.client() as client:
        client.set("mine", "precious")
        with pytest.raises(InvalidOption, match=r"isn't empty.*1 keys.*--add"):
            _load(valkey)

        assert client.keys() == [b"mine"]


def test_add_writes_beside_what_is_there(valkey: Server) -> None:
    """With ``add`` the keys that were there stay."""
    with valkey.client() as client:
        client.set("mine", "precious")
        _load(valkey, 1_000, add=True)

        assert client.get("mine") == b"precious"
        assert client.dbsize() == 1_001


def test_a_keyspace_above_maxmemory_is_refused_before_the_first_key(valkey: Server) -> None:
    """A load that would not fit below maxmemory writes nothing and says how much is missing."""
    with valkey.client() as client:
        client.config_set("maxmemory", "8mb")
        with pytest.raises(InvalidOption, match=r"maxmemory.*MiB needed.*--keys"):
            _load(valkey, 100_000)

        assert client.dbsize() == 0


def test_a_refused_command_stops_the_load(valkey: Server) -> None:
    """An error reply is reported with the server's words; it is not counted as a key."""
    with valkey.client() as client:
        client.set("geo:stores", "a string where a sorted set belongs")
        with pytest.raises(ServerProblem, match=r"refused 1 of 1 commands.*WRONGTYPE"):
            _load(valkey, 1_000, add=True)


def test_the_estimate_is_close_to_what_the_server_uses(valkey: Server) -> None:
    """The memory estimated before a load is within a tenth of what the load takes."""
    with valkey.client() as client:
        before = client.info("memory")["used_memory"]
        _load(valkey, 100_000)
        used = client.info("memory")["used_memory"] - before

    assert estimated_bytes(scaled(FAMILIES, 100_000)) == pytest.approx(used, rel=0.1)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: f"{family.name}{'' if family.ttl_s else ' (no TTL)'}")
def test_the_names_of_a_family_never_repeat(family: Family) -> None:
    """A family's names are all different, across batches too."""
    names = NameSeries(family.name, Random(1))
    count = min(family.keys, 3_000)
    taken = [name for start in range(0, count, 1_000) for name in names.take(min(1_000, count - start))]

    assert len(set(taken)) == count


def test_a_cluster_gets_each_key_on_its_node(any_cluster: Cluster) -> None:
    """Through any node of a cluster the whole keyspace is written, and each node holds its part."""
    any_cluster.flush()
    shares = scaled(FAMILIES, 5_000)
    written = write_keyspace(
        endpoint_from_url(any_cluster.primaries[1].url), shares, seed=1, on_progress=lambda _: None
    )
    held = []
    for server in any_cluster.primaries:
        with server.client() as client:
            held.append(client.dbsize())
    any_cluster.flush()
    assert written == sum(held) == 5_000
    assert min(held) > 1_000


def test_a_cluster_with_a_key_anywhere_is_left_alone(any_cluster: Cluster) -> None:
    """One key on one node is enough to refuse a load, before anything is written on another."""
    any_cluster.flush()
    with any_cluster.client() as client:
        client.set("mine", "precious")
    with pytest.raises(InvalidOption, match="isn't empty"):
        write_keyspace(endpoint_from_url(any_cluster.url), scaled(FAMILIES, 1_000), seed=1, on_progress=lambda _: None)
    assert sum(server.client().dbsize() for server in any_cluster.primaries) == 1
    any_cluster.flush()


def _refused(url: str, kind: type[RedisTtlError]) -> str:
    with pytest.raises(kind) as caught:
        write_keyspace(endpoint_from_url(url), scaled(FAMILIES, 1_000), seed=1, on_progress=lambda _: None)
    return str(caught.value)


def test_a_silent_sentinel_leads_nowhere() -> None:
    """When no sentinel answers, nothing is written anywhere; least of all to a server that nobody named."""
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, and never says a word
        port = mute.getsockname()[1]
        places = f"127.0.0.1:{free_port()},127.0.0.1:{port}"
        assert "no sentinel answers" in _refused(f"redis+sentinel://{places}/shop?read_timeout=0.5", Unreachable)
    with pytest.raises(RedisTtlError), RedisLink(endpoint_from_url("redis+sentinel://127.0.0.1/shop")):
        pass


def test_the_sentinels_primary_is_filled_and_no_other(valkey: Server) -> None:
    """The keys go to the server that the sentinel names."""
    with run_server(VALKEY) as named, run_sentinel(VALKEY, named, name="shop") as sentinel:
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/shop"
        write_keyspace(endpoint_from_url(url), scaled(FAMILIES, 1_000), seed=1, on_progress=lambda _: None)
        with named.client() as client, valkey.client() as other:
            assert (client.dbsize(), other.dbsize()) == (1_000, 0)


def test_a_sentinel_that_names_a_server_elsewhere_is_not_followed() -> None:
    """A sentinel on this machine may name a server on another one: then that counts."""
    with Server(VALKEY, ["sentinel monitor shop 192.0.2.7 6379 1"], sentinel=True) as sentinel:
        assert "192.0.2.7" in _refused(f"redis+sentinel://127.0.0.1:{sentinel.port}/shop", InvalidOption)


def test_a_replica_is_not_filled(valkey: Server) -> None:
    """A replica is refused with the name of its primary, and neither gets a key."""
    with run_server(VALKEY, replica_of=valkey) as replica:
        assert f"{valkey.port}" in _refused(replica.url, WrongRole)
        with valkey.client() as client:
            assert client.dbsize() == 0


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("redis://127.0.0.1", True),
        ("redis://127.3.2.1", True),
        ("redis://[::1]", True),
        ("redis://[::ffff:127.0.0.1]", True),
        ("redis://localhost", True),
        ("unix:///run/redis.sock", True),
        ("redis://192.0.2.7", False),
        ("redis://0.0.0.0", False),
        ("redis://[::]", False),
        ("redis://[2001:db8::1]", False),
        ("redis://redis-prod.invalid", False),
    ],
)
def test_what_is_on_this_machine(url: str, is_here: bool) -> None:  # noqa: FBT001
    """Loopback addresses of both families, names of such and sockets are here; everything else isn't."""
    if is_here:
        require_loopback(endpoint_from_url(url))
    else:
        with pytest.raises(InvalidOption, match="--anywhere"):
            require_loopback(endpoint_from_url(url))
