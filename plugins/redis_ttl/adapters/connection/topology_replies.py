"""What a cluster or a sentinel says about where servers are, in the form that it must have.

As in `redis_replies`, nothing is taken on trust: what a Redis Cluster never answers raises one `UnexpectedReply`. A cluster has
16,384 slots and no more than so many nodes, which bounds every reply here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.adapters.connection.replies import items, text, unexpected, whole
from redis_ttl.domain.audit.shards import SLOTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.adapters.connection.link import RedisLink

_PORTS: Final = 65_536
_PORT_DIGITS: Final = 6
#: A node's id is 40 characters of hex; a host name has at most 255.
_LONGEST_WORD: Final = 255
#: Of CLUSTER NODES, with a line for each node; a thousand nodes with names and slots make less than 1 MB.
_LONGEST_TABLE: Final = 16 * 1024 * 1024
_RANGE: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
_MOVING: Final = re.compile(r"\[([0-9]{1,5})-[<>]-", re.ASCII)


@dataclass(frozen=True, slots=True)
class Member:
    """One node in the slot table: ``host`` is empty where it has none, and None where it means the node that was asked."""

    host: str | None
    port: int
    id: str
    said: Mapping[str, str] = field(default_factory=dict)
    """What it says of itself beside that, from Redis 7.0 on."""


@dataclass(frozen=True, slots=True)
class SlotRange:
    """A range of slots, both ends included, and the nodes that serve it, its primary first."""

    first: int
    last: int
    primary: Member
    replicas: tuple[Member, ...]


def my_id(link: RedisLink) -> str:
    """The id of the node that answers."""
    return _word(link.call("CLUSTER", "MYID"), "CLUSTER MYID", link.where)


def slot_table(link: RedisLink) -> list[SlotRange]:
    """Which node has which slots, by the node that answers (https://redis.io/docs/latest/commands/cluster-slots/).

    Raises `UnexpectedReply` for what isn't such a table, or gives one slot to two nodes.
    """
    command, where = "CLUSTER SLOTS", link.where
    rows = items(link.call("CLUSTER", "SLOTS"), command, where)
    if len(rows) > SLOTS:
        raise unexpected(rows, command, where, f"at most {SLOTS:,} ranges of slots")
    table = [_slot_range(row, command, where) for row in rows]
    ordered = sorted(table, key=lambda each: each.first)
    for one, other in pairwise(ordered):
        if other.first <= one.last:
            told = f"slot {other.first} of {one.primary.id} and {other.primary.id}"
            raise unexpected(told.encode(), command, where, "each slot once")
    return table


def own_line(link: RedisLink) -> tuple[list[tuple[int, int]], set[int]]:
    """The ranges of slots that the node that answers has by its own word, and the slots that leave it or come.

    By its own line of CLUSTER NODES (``0-5460 5462 [8363->-id] [8363-<-id]``): what it says of others may be old.
    """
    command, where = "CLUSTER NODES", link.where
    lines = (line.split() for line in node_lines(link.call("CLUSTER", "NODES"), where))
    own = next((words[8:] for words in lines if len(words) > 2 and "myself" in words[2].split(",")), [])  # noqa: PLR2004
    ranges = [
        (int(match[1]), int(match[2] or match[1])) for word in own if (match := _RANGE.fullmatch(word)) is not None
    ]
    moving = {int(slot) for word in own for slot in _MOVING.findall(word)}
    if any(not first <= last < SLOTS for first, last in ranges) or any(slot >= SLOTS for slot in moving):
        raise unexpected(" ".join(own).encode(), command, where, f"slots below {SLOTS:,}")
    return ranges, moving


def node_lines(reply: Any, where: str) -> list[str]:
    """The lines of CLUSTER NODES. Raises `UnexpectedReply` for anything else."""
    table = text(reply, "CLUSTER NODES", where)
    if len(table) > _LONGEST_TABLE:
        raise unexpected(table, "CLUSTER NODES", where, f"at most {_LONGEST_TABLE:,} bytes")
    return table.decode("utf-8", "replace").splitlines()


def watched_primary(link: RedisLink, name: str) -> tuple[str, str] | None:
    """Host and port of the primary that a sentinel watches under that name; None where it watches none."""
    command = "SENTINEL GET-MASTER-ADDR-BY-NAME"
    reply = link.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    if reply is None:
        return None
    host, port = items(reply, command, link.where, least=2)[:2]
    return _word(host, command, link.where), _port(_word(port, command, link.where), command, link.where)


def watched_replicas(link: RedisLink, name: str) -> list[tuple[str, str]]:
    """Host and port of each replica of that primary which the sentinel takes for up and linked to it."""
    # SENTINEL SLAVES is what every version knows.
    command, where = "SENTINEL SLAVES", link.where
    found = []
    for row in items(link.call("SENTINEL", "SLAVES", name), command, where):
        words = [_word(each, command, where) for each in items(row, command, where)]
        said = dict(zip(words[::2], words[1::2], strict=False))
        if said.get("flags") == "slave" and said.get("master-link-status") == "ok":
            if "ip" not in said:
                raise unexpected(row, command, where, "a replica's ip and port")
            found.append((said["ip"], _port(said.get("port", ""), command, where)))
    return found


def _port(word: str, command: str, where: str) -> str:
    if word.isascii() and word.isdigit() and len(word) < _PORT_DIGITS and int(word) < _PORTS:
        return word
    raise unexpected(word.encode(), command, where, f"a port below {_PORTS:,}")


def _slot_range(row: Any, command: str, where: str) -> SlotRange:
    first, last, *members = items(row, command, where, least=3)
    first, last = whole(first, command, where), whole(last, command, where)
    if not 0 <= first <= last < SLOTS:
        raise unexpected(f"slots {first} to {last}".encode(), command, where, f"slots 0 to {SLOTS - 1}")
    if len(members) > SLOTS:
        raise unexpected(members, command, where, f"at most {SLOTS:,} nodes")
    nodes = [_member(member, command, where) for member in members]
    return SlotRange(first, last, nodes[0], tuple(nodes[1:]))


def _member(member: Any, command: str, where: str) -> Member:
    host, port, node_id, *more = items(member, command, where, least=3)
    port = whole(port, command, where)
    if not 0 <= port < _PORTS:
        raise unexpected(f"port {port}".encode(), command, where, f"a port below {_PORTS:,}")
    said = [_word(each, command, where) for each in items(more[0], command, where)[:SLOTS]] if more else []
    return Member(
        host=None if host is None else _word(host, command, where) if host else "",
        port=port,
        id=_word(node_id, command, where),
        said=dict(zip(said[::2], said[1::2], strict=False)),
    )


def _word(reply: Any, command: str, where: str) -> str:
    """A short text without anything that acts."""
    word = text(reply, command, where)
    if (
        len(word) <= _LONGEST_WORD
        and (found := word.decode("utf-8", "replace")).isprintable()
        and "\ufffd" not in found
    ):
        return found
    raise unexpected(word, command, where, f"at most {_LONGEST_WORD} readable characters")
