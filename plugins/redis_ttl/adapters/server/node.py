"""One database of one Redis server as the use cases see it, over one connection."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from redis_ttl.adapters.connection.errors import ELSEWHERE, ErrorReply
from redis_ttl.adapters.connection.profile import parse_info, read_profile
from redis_ttl.adapters.connection.replies import count
from redis_ttl.adapters.server.health import read_health
from redis_ttl.adapters.server.probe import split_refused
from redis_ttl.adapters.server.reader import ShardReader
from redis_ttl.domain.audit.key_facts import questions_for
from redis_ttl.domain.audit.server import Command, ServerProfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis_ttl.adapters.connection.link import RedisLink
    from redis_ttl.domain.audit.shards import Shard, SplitRule
    from redis_ttl.domain.policy.guards import Reading
    from redis_ttl.domain.policy.load import Load

_DRAWN_TOGETHER: Final = 100
_DRAWN_BYTES: Final = 16 * 1024 * 1024


class RedisNode:
    """One database of one server process.

    ``load`` is the limit for the whole server, of which its readers take their part.
    """

    def __init__(self, link: RedisLink, load: Load) -> None:
        self._link = link
        self._load = load
        self._profile: ServerProfile | None = None

    @property
    def address(self) -> str:
        """``host:port`` of the node, or the path of its unix socket."""
        return self._link.endpoint.address

    def profile(self) -> ServerProfile:
        """The server as it is now."""
        self._profile = read_profile(self._link)
        return self._profile

    def health(self) -> Reading:
        """The server's figures for the guards of a writing, as they are now."""
        return read_health(self._link)

    def run_id(self) -> str:
        """The process that answers now; empty where the server hides it."""
        return parse_info(self._link.call("INFO", "server")).get("run_id", "")

    def split_refused(self, rule: SplitRule) -> str | None:
        """Why this server's cursors can't be trusted for that rule; None when the self-check finds nothing."""
        return split_refused(self._link, rule, count(self._link.call("DBSIZE"), "DBSIZE", self._link.where))

    def random_keys(self, most: int) -> list[bytes]:
        """At most ``most`` different keys, drawn at random, which counts as an access to none of them; fewer where names are so long that
        they would fill the memory.

        Nothing where this user may not draw, or may not ask afterwards whether a key is still there.
        """
        if not self._known_profile().allows(Command.EXISTS):
            return []
        drawn: set[bytes] = set()
        for at in range(0, most, _DRAWN_TOGETHER):
            replies = self._link.call_many([("RANDOMKEY",)] * min(_DRAWN_TOGETHER, most - at))
            drawn.update(reply for reply in replies if isinstance(reply, bytes))
            if sum(map(len, drawn)) > _DRAWN_BYTES:
                break
        return list(drawn)

    def existing(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of the keys that exist now; a key that has moved to another node of a cluster doesn't exist here."""
        if not keys:
            return []
        found = []
        for key, reply in zip(keys, self._link.call_many([("EXISTS", key) for key in keys]), strict=True):
            if isinstance(reply, ErrorReply):
                if reply.text.startswith(ELSEWHERE):
                    continue
                raise self._link.translate(reply, ("EXISTS",)) from reply
            if reply:
                found.append(key)
        return found

    @contextmanager
    def reader(self, shard: Shard, *, load_share: int, samples: Iterable[bytes]) -> Iterator[ShardReader]:
        """A reader of that shard, which takes one of ``load_share`` equal parts of the server's load."""
        profile = self._known_profile()
        yield ShardReader(
            self._link,
            shard,
            self._load.share(load_share),
            questions=questions_for(profile),
            samples=samples,
            has_field_ttls=profile.counts_of(shard.db).field_ttl_keys != 0,
        )

    def _known_profile(self) -> ServerProfile:
        return self._profile or self.profile()
