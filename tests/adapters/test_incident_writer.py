from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from redis_ttl.adapters.incident_names import NameSeries
from redis_ttl.adapters.incident_writer import write_keyspace
from redis_ttl.adapters.redis_endpoint import endpoint_from_url
from redis_ttl.domain.errors import InvalidOption, ServerProblem
from redis_ttl.domain.folding import fold_shapes
from redis_ttl.domain.incident import Family, PatternCount, estimated_bytes, expected_patterns, scaled
from redis_ttl.domain.incident_families import FAMILIES
from redis_ttl.domain.key_name import key_text

if TYPE_CHECKING:
    import redis

    from tests.servers import Cluster, Server

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


def test_a_node_of_a_cluster_is_refused(any_cluster: Cluster) -> None:
    """A node that takes only its own slots' keys is refused before the first key is written."""
    with pytest.raises(InvalidOption, match="Redis Cluster"):
        write_keyspace(
            endpoint_from_url(any_cluster.url), scaled(FAMILIES, 1_000), seed=1, on_progress=lambda _keys: None
        )
    with any_cluster.primaries[0].client() as client:
        assert client.dbsize() == 0
