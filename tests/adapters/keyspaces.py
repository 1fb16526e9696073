"""Fills servers that a test started, and reads them back through shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink, Word, encode
from redis_ttl.adapters.connection.profile import read_profile
from redis_ttl.adapters.server.reader import ShardReader
from redis_ttl.domain.audit.shards import SLOTS, Shard, choose_rule, split
from redis_ttl.domain.policy.load import FastPace, Load, LoadKind

FAST = Load(LoadKind.FAST)


@dataclass(frozen=True)
class PagesWithInterruptions:
    """Stands for a load: small pages, and something that happens after each."""

    happens: Callable[[int], None]
    page_keys: int = 100

    def pace(self, *, round_trip_s: float) -> Any:
        """A pace that does it instead of waiting."""
        del round_trip_s
        pages = iter(range(10**9))

        class Pace(FastPace):
            page_keys = self.page_keys

            def pause_s(_, **_figures: float) -> float:  # noqa: N805
                self.happens(next(pages))
                return 0.0

        return Pace()


def link_to(server: Server, db: int = 0) -> RedisLink:
    """A connection to that database of the server."""
    return RedisLink(endpoint_from_url(server.url).on(db))


def user_link(server: Server, commands: list[str], keys: list[str]) -> RedisLink:
    """A connection as a user who may only do this."""
    with server.client() as client:
        client.acl_setuser("bob", enabled=True, reset=True, passwords=["+secret"], keys=keys, commands=commands)
    return RedisLink(endpoint_from_url(f"redis://bob:secret@127.0.0.1:{server.port}"))


def send(server: Server, commands: Iterable[Sequence[Word]], db: int = 0) -> None:
    """Send all commands, ten thousand at a time; their replies are not looked at."""
    waiting = [encode(*words) for words in commands]
    with link_to(server, db) as link:
        for start in range(0, len(waiting), 10_000):
            part = waiting[start : start + 10_000]
            link.exchange(b"".join(part), len(part))


def set_keys(server: Server, keys: Iterable[str | bytes], db: int = 0) -> None:
    """Write these keys, without a TTL."""
    send(server, (("SET", key, "x") for key in keys), db)


def shards_of(
    server: Server, wanted: int, owned_slots: Sequence[tuple[int, int]] = ((0, SLOTS - 1),), db: int = 0
) -> list[Shard]:
    """The shards into which a scan of the server is cut."""
    with link_to(server, db) as link:
        profile = read_profile(link)
        keys = int(link.call("DBSIZE"))
        rule = choose_rule(
            flavour=profile.flavour,
            version=profile.version_tuple,
            cluster_enabled=profile.cluster_enabled,
            dbsize=keys,
            wanted=wanted,
        )
        return split(
            node=profile.address,
            run_id=profile.run_id,
            db=db,
            rule=rule,
            dbsize=keys,
            wanted=wanted,
            owned_slots=owned_slots,
        )


def read_keys(server: Server, shards: Iterable[Shard], load: Load = FAST) -> list[bytes]:
    """Every key that the shards hand out, one shard after the other, as often as it comes."""
    keys: list[bytes] = []
    for shard in shards:
        with link_to(server, shard.db) as link:
            for batch in ShardReader(link, shard, load).batches():
                keys += batch.frame["key"].to_list()
    return keys
