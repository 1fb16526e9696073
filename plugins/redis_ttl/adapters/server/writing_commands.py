"""Which commands make or enlarge keys, in the server's own words, so that a command newer than this program counts too.

The server flags a command ``write`` when it changes keys and ``denyoom`` when that may take memory: DEL and EXPIRE have
the first only, HSETEX has both. Scripts and transactions have neither and may do anything; so may a command that the
server doesn't know by that name (a module's that was unloaded, a renamed one).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.adapters.connection.errors import ErrorReply

if TYPE_CHECKING:
    from collections.abc import Collection

    from redis_ttl.adapters.connection.link import RedisLink, Reply

#: They take no memory by themselves, and yet a key is there afterwards that wasn't.
_MOVE_KEYS: Final = frozenset({"move", "rename", "renamenx"})
#: What they do is in their arguments.
_MAY_DO_ANYTHING: Final = frozenset({"eval", "evalsha", "exec", "fcall"})

#: Where COMMAND may not be asked: what Redis 6.2 and 7.0 and Valkey 9 know and what neither makes nor enlarges a key.
_OTHERS: Final = frozenset(
    name
    for line in (
        "acl asking auth bgrewriteaof bgsave bitcount bitfield_ro bitpos blmpop blpop brpop bzmpop bzpopmax bzpopmin",
        "client cluster clusterscan command commandlog config dbsize debug del delifeq discard dump echo eval_ro",
        "evalsha_ro exists expire expireat expiretime failover fcall_ro flushall flushdb geodist geohash geopos",
        "georadius_ro georadiusbymember_ro geosearch get getbit getdel getex getrange hdel hello hexists hexpire",
        "hexpireat hexpiretime hget hgetall hgetdel hgetex hkeys hlen hmget hpersist hpexpire hpexpireat hpexpiretime",
        "hpttl hrandfield hscan hstrlen httl hvals info keys lastsave latency lcs lindex llen lmpop lolwut lpop lpos",
        "lrange lrem ltrim memory mget migrate module monitor multi object persist pexpire pexpireat pexpiretime",
        "pfcount pfselftest ping psubscribe psync pttl publish pubsub punsubscribe quit randomkey readonly readwrite",
        "replconf replicaof reset role rpop save scan scard script sdiff select shutdown sinter sintercard sismember",
        "slaveof slowlog smembers smismember smove sort_ro spop spublish srandmember srem sscan ssubscribe stralgo",
        "strlen subscribe substr sunion sunsubscribe swapdb sync time touch ttl type unlink unsubscribe unwatch wait",
        "waitaof watch xack xautoclaim xclaim xdel xinfo xlen xpending xrange xread xreadgroup xrevrange xtrim zcard",
        "zcount zdiff zinter zintercard zlexcount zmpop zmscore zpopmax zpopmin zrandmember zrange zrangebylex",
        "zrangebyscore zrank zrem zremrangebylex zremrangebyrank zremrangebyscore zrevrange zrevrangebylex",
        "zrevrangebyscore zrevrank zscan zscore zunion",
    )
    for name in line.split()
)


def writing_commands(link: RedisLink, names: Collection[str]) -> frozenset[str]:
    """Of these commands (lower case, a subcommand behind ``|``) those that make or enlarge keys, or may.

    Without the right to ask (``+command|info``) everything that isn't known to do neither.
    """
    asked = sorted(name for name in names if name and _base(name) not in _MAY_DO_ANYTHING | _MOVE_KEYS)
    found = set(names) - set(asked) - {""}
    reply = link.call_many([("COMMAND", "INFO", *asked)])[0] if asked else []
    if isinstance(reply, ErrorReply) or not isinstance(reply, list) or len(reply) != len(asked):
        return frozenset(found.union(name for name in asked if _base(name) not in _OTHERS))
    return frozenset(found.union(name for name, told in zip(asked, reply, strict=True) if _grows(name, told)))


def _grows(name: str, told: Reply) -> bool:
    if not isinstance(told, list) or len(told) <= _FLAGS or not isinstance(told[_FLAGS], list):
        return _base(name) not in _OTHERS
    flags = {flag.decode() if isinstance(flag, bytes) else str(flag) for flag in told[_FLAGS]}
    return {"write", "denyoom"} <= flags


def _base(name: str) -> str:
    return name.partition("|")[0]


#: A command's name, its arity, its flags, ...
_FLAGS: Final = 2
