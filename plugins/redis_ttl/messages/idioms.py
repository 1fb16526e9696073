"""How code sets the TTL of a key where it writes it, as lines to be copied: one idiom for each kind of value.

None of them replaces a value of another kind: SET is shown for strings alone, because it would destroy everything else.
"""

from __future__ import annotations

from typing import assert_never

from redis_ttl.domain.messages.facts.action_required import ValueKind


def idiom(kind: ValueKind, ttl_s: int, *, knows_expire_nx: bool) -> tuple[str, ...]:
    """The lines for one kind. ``knows_expire_nx``: the server takes EXPIRE with NX, from Redis 7.0 on."""
    match kind:
        case ValueKind.STRING:
            return _string(ttl_s)
        case ValueKind.COUNTER:
            return _counter(ttl_s, knows_expire_nx=knows_expire_nx)
        case ValueKind.HASH:
            return _collection("HSET key field value", "hset(key, field, value)", ttl_s)
        case ValueKind.LIST:
            return _collection("RPUSH key element", "rpush(key, element)", ttl_s)
        case ValueKind.SET:
            return _collection("SADD key member", "sadd(key, member)", ttl_s)
        case ValueKind.ZSET:
            return _collection("ZADD key score member", "zadd(key, {member: score})", ttl_s)
        case ValueKind.STREAM:
            return _collection("XADD key * field value", "xadd(key, fields)", ttl_s)
        case ValueKind.OTHER:
            return _any(ttl_s)
        case _:
            assert_never(kind)


def field_idiom(ttl_s: int) -> tuple[str, ...]:
    """The TTL of single fields of a hash (Redis 7.4, Valkey 9.0)."""
    return (f"HEXPIRE key {ttl_s} FIELDS 1 field", f"client.hexpire(key, {ttl_s}, field)  # redis-py")


def _string(ttl_s: int) -> tuple[str, ...]:
    """One line for each client: redis-cli, redis-py, Jedis, Lettuce, go-redis, node-redis."""
    return (
        f"SET key value EX {ttl_s}",
        f"client.set(key, value, ex={ttl_s})  # redis-py",
        f"jedis.setex(key, {ttl_s}, value);  // Jedis",
        f"commands.setex(key, {ttl_s}, value);  // Lettuce",
        f"rdb.Set(ctx, key, value, {ttl_s}*time.Second)  // go-redis",
        f"await client.set(key, value, {{ EX: {ttl_s} }});  // node-redis",
    )


def _counter(ttl_s: int, *, knows_expire_nx: bool) -> tuple[str, ...]:
    if knows_expire_nx:
        return (
            "MULTI",
            "INCR key",
            f"EXPIRE key {ttl_s} NX",
            "EXEC",
            f"pipe = client.pipeline(); pipe.incr(key); pipe.expire(key, {ttl_s}, nx=True); pipe.execute()  # redis-py",
        )
    return (f"if client.incr(key) == 1: client.expire(key, {ttl_s})  # redis-py",)


def _collection(command: str, call: str, ttl_s: int) -> tuple[str, ...]:
    return (
        "MULTI",
        command,
        f"EXPIRE key {ttl_s}",
        "EXEC",
        f"pipe = client.pipeline(); pipe.{call}; pipe.expire(key, {ttl_s}); pipe.execute()  # redis-py",
        f"client.{call}; client.expire(key, {ttl_s})  # redis-py, no MULTI",
    )


def _any(ttl_s: int) -> tuple[str, ...]:
    return (f"EXPIRE key {ttl_s}", f"client.expire(key, {ttl_s})  # redis-py")
