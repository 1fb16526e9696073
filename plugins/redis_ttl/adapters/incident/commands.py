"""Families of keys as Redis commands, ready to be sent: one chunk of bytes for thousands of keys.

What differs between two keys of a family is its name, its expiry and one of a few dozen values that are encoded once,
so that a key costs little more than a ``%``. The module knows the wire format and no server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from redis_ttl.adapters.incident.names import NameSeries
from redis_ttl.domain.incident.incident import Family, Kind, Share, Span

KEYS_PER_CHUNK: Final = 1_000

_VALUES_PER_FAMILY: Final = 64
_FIRST_ENTRY_MS: Final = 1_770_904_620_000
_WORDS: Final = (
    b"coupon order member points latte store status active campaign amount price label Shanghai Beijing Shenzhen "
    b"true false null createdAt updatedAt channel wechat app expired pending paid refund discount level gold silver "
    b"0.85 12.50 2026-02-12 13:57:04 1770904624 4821 77 3 90210 utf-8 zh-CN en-US".split()
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Commands that create ``keys`` keys; the server sends ``replies`` replies to them."""

    commands: bytes
    keys: int
    replies: int


@dataclass(frozen=True, slots=True)
class _Value:
    """The commands that give a key its value: each is what is before the name's length, and what follows the name."""

    commands: tuple[tuple[bytes, bytes], ...]
    replies: int


def chunks(shares: Sequence[Share], seed: int) -> Iterator[Chunk]:
    """The commands for a whole keyspace, family by family, the same ones for the same shares and seed.

    Expiries are relative (PX, PEXPIRE): two loads differ in their absolute expiry by the time between them and in
    nothing else.
    """
    seen: dict[str, int] = {}
    for share in shares:
        series = seen.get(share.family.name, 0)
        seen[share.family.name] = series + 1
        yield from _family_chunks(share, Random(f"{seed}/{share.family.name}/{series}"), series)


def _family_chunks(share: Share, rng: Random, series: int) -> Iterator[Chunk]:
    family = share.family
    names = NameSeries(family.name, rng, series)
    values = _values(family, rng)
    for start in range(0, share.keys, KEYS_PER_CHUNK):
        keys = names.take(min(KEYS_PER_CHUNK, share.keys - start))
        picked = rng.choices(values, k=len(keys))
        if family.kind is Kind.STRING:
            yield _strings(keys, picked, family.ttl_s, rng)
        else:
            yield _collections(keys, picked, family.ttl_s, rng)


def _strings(keys: list[bytes], values: list[_Value], ttl_s: Span | None, rng: Random) -> Chunk:
    if ttl_s is None:
        parts = [
            b"*3\r\n$3\r\nSET\r\n$%d\r\n%b%b" % (len(key), key, value.commands[0][1])
            for key, value in zip(keys, values, strict=True)
        ]
    else:
        parts = [
            b"*5\r\n$3\r\nSET\r\n$%d\r\n%b%b$2\r\nPX\r\n$%d\r\n%b\r\n"
            % (len(key), key, value.commands[0][1], len(ttl), ttl)
            for key, value, ttl in zip(keys, values, _ttls_ms(ttl_s, len(keys), rng), strict=True)
        ]
    return Chunk(b"".join(parts), len(keys), len(keys))


def _collections(keys: list[bytes], values: list[_Value], ttl_s: Span | None, rng: Random) -> Chunk:
    parts = [
        b"%b%d\r\n%b%b" % (head, len(key), key, tail)
        for key, value in zip(keys, values, strict=True)
        for head, tail in value.commands
    ]
    replies = sum(value.replies for value in values)
    if ttl_s is not None:
        parts += [
            b"*3\r\n$7\r\nPEXPIRE\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(ttl), ttl)
            for key, ttl in zip(keys, _ttls_ms(ttl_s, len(keys), rng), strict=True)
        ]
        replies += len(keys)
    return Chunk(b"".join(parts), len(keys), replies)


def _ttls_ms(ttl_s: Span, count: int, rng: Random) -> list[bytes]:
    low_ms, width_ms, draw = ttl_s.low * 1_000, (ttl_s.high - ttl_s.low) * 1_000, rng.random
    return [b"%d" % (low_ms + draw() * width_ms) for _ in range(count)]


def _values(family: Family, rng: Random) -> list[_Value]:
    """The values that the keys of a family share. One is enough where there is one key."""
    count = min(_VALUES_PER_FAMILY, family.keys)
    return [_value(family, rng) for _ in range(count)]


def _value(family: Family, rng: Random) -> _Value:
    if family.kind is Kind.STRING:
        return _Value(((b"", b"\r\n" + _bulk(_text(rng, family.value_bytes))),), 1)
    elements = [
        b"%d:%b" % (at, _text(rng, family.value_bytes))
        for at in range(rng.randint(family.elements.low, family.elements.high))
    ]
    match family.kind:
        case Kind.HASH:
            return _command(
                b"HSET", [part for at, element in enumerate(elements) for part in (b"field%d" % at, element)]
            )
        case Kind.SET:
            return _command(b"SADD", elements)
        case Kind.ZSET:
            return _command(b"ZADD", [part for element in elements for part in (b"%d" % rng.randrange(10**6), element)])
        case Kind.LIST:
            return _command(b"RPUSH", elements)
        case Kind.STREAM:
            entries = [
                _command(b"XADD", [b"%d-%d" % (_FIRST_ENTRY_MS, at), b"body", element])
                for at, element in enumerate(elements)
            ]
            return _Value(tuple(command for entry in entries for command in entry.commands), len(entries))


def _command(name: bytes, arguments: Sequence[bytes]) -> _Value:
    head = b"*%d\r\n%b$" % (len(arguments) + 2, _bulk(name))
    return _Value(((head, b"\r\n" + b"".join(_bulk(argument) for argument in arguments)),), 1)


def _bulk(argument: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def _text(rng: Random, size: Span) -> bytes:
    length = rng.randint(size.low, size.high)
    return b" ".join(rng.choices(_WORDS, k=length // 4 + 1))[:length]
