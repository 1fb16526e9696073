"""Families of key names: what one piece of software writes, thousands of names that a person would call one pattern."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from random import Random
from typing import Final

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" + _LETTERS
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# fmt: off
_SYLLABLES: Final = (
    "ka", "lo", "mi", "ren", "ta", "su", "vi", "no", "pe", "dor", "an", "el", "is", "ul", "mar", "fen", "gri", "to", "zu", "he",
)
# fmt: on
_SURNAMES: Final = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN: Final = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰红玲建国文"


def _signs(rng: Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


def _hex(rng: Random, length: int) -> str:
    return f"{rng.getrandbits(4 * length):0{length}x}"


def _uuid(rng: Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _word(rng: Random) -> str:
    return _signs_of(rng, _SYLLABLES, rng.randint(2, 4))


def _signs_of(rng: Random, parts: tuple[str, ...], count: int) -> str:
    return "".join(rng.choices(parts, k=count))


def _user(rng: Random) -> str:
    return _word(rng) + rng.choice(("", "", "", str(rng.randint(1, 99)), "_" + _word(rng), "." + _word(rng)))


def _day(rng: Random) -> str:
    return f"20{rng.randint(19, 26)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _ipv4(rng: Random) -> str:
    return ".".join(str(rng.randint(0, 255)) for _ in range(4))


def _slug(rng: Random) -> str:
    words = [_word(rng) for _ in range(rng.randint(2, 6))]
    if rng.random() < 0.2:
        words.insert(rng.randrange(len(words)), str(rng.randint(2, 30)))
    return "-".join(words)


def _base64url(rng: Random, size_bytes: int) -> str:
    return base64.urlsafe_b64encode(rng.randbytes(size_bytes)).decode().rstrip("=")


def _chinese(rng: Random) -> str:
    return rng.choice(_SURNAMES) + _signs(rng, _GIVEN, rng.randint(1, 2))


FAMILIES: Final[dict[str, Callable[[Random], str]]] = {
    "{n}": lambda r: str(r.randint(10**6, 10**12)),
    "contact:last:activity:{n}": lambda r: f"contact:last:activity:{r.randint(1, 10**6)}",
    "short:{n}": lambda r: f"short:{r.randint(1, 9_999)}",
    "order8:{n}": lambda r: f"order8:{r.randint(19_000_000, 21_000_000)}",
    "user{n}:seen": lambda r: f"user{r.randint(1, 30_000)}:seen",
    "session:{uuid}": lambda r: f"session:{_uuid(r)}",
    "SESSION:{uuid}": lambda r: f"SESSION:{_uuid(r).upper()}",
    "token:{hex}": lambda r: f"token:{_hex(r, 40)}",
    "etag8:{hex}": lambda r: f"etag8:{_hex(r, 8)}",
    "mongo:{hex}:likes": lambda r: f"mongo:{_hex(r, 24)}:likes",
    "sess:{token}": lambda r: f"sess:{_base64url(r, 24)}",
    "flask-session:{token}": lambda r: f"flask-session:{_base64url(r, 32)}",
    "share:{token}": lambda r: f"share:{_signs(r, _BASE62 + '_-', 21)}",
    "event:{token}": lambda r: f"event:{_signs(r, _BASE62, 27)}",
    "post:{token}:views": lambda r: f"post:c{_signs(r, '0123456789' + _LETTERS, 24)}:views",
    "pi:pi_{token}": lambda r: f"pi:pi_{_signs(r, _BASE62, 24)}",
    "idem:{ulid}": lambda r: f"idem:01{r.choice('JKM')}{_signs(r, _CROCKFORD, 23)}",
    "stats:{date}:views": lambda r: f"stats:{_day(r)}:views",
    "hll:{date}": lambda r: f"hll:{_day(r).replace('-', '')}",
    "report:{date}:{n}": lambda r: (
        f"report:{_day(r)}T{r.randint(0, 23):02}:{r.randint(0, 59):02}:00Z:{r.randint(1, 10**5)}"
    ),
    "rl:{ip}:login": lambda r: f"rl:{_ipv4(r)}:login",
    "ban6:{ip}": lambda r: "ban6:2001:db8:" + ":".join(f"{r.getrandbits(16):x}" for _ in range(6)),
    "idx:email:{email}": lambda r: f"idx:email:{_user(r)}@{_word(r)}.com",
    "app:{version}:assets": lambda r: f"app:{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 99)}:assets",
    "jwt:{jwt}": lambda r: f"jwt:eyJhbGciOiJIUzI1NiJ9.eyJ{_base64url(r, 30)}.{_base64url(r, 32)}",
    "profile:{text}": lambda r: f"profile:{_user(r)}",
    "cache:{text}:cart": lambda r: f"cache:{_user(r)}:cart",
    "blog/{text}/comments": lambda r: f"blog/{_slug(r)}/comments",
    "search:{text}": lambda r: "search:" + " ".join(_word(r) for _ in range(r.randint(1, 4))),
    "用户:昵称:{text}": lambda r: f"用户:昵称:{_chinese(r)}{_chinese(r)}",
    "商品:{n}:详情": lambda r: f"商品:{r.randint(1, 10**6)}:详情",
    "{{user:{n}}}:cart": lambda r: f"{{user:{r.randint(1, 10**6)}}}:cart",
    "{{{text}}}:inbox": lambda r: f"{{{_word(r)}{_word(r)}}}:inbox",
    "short-link:{text}": lambda r: f"short-link:{_signs(r, _BASE62, 7)}",
    "sha7:{text}": lambda r: f"sha7:{_hex(r, 7)}",
    "wishlist_{text}": lambda r: f"wishlist_{_word(r)}{_word(r)}",
    "basket_{text}": lambda r: f"basket_{_word(r)}{_word(r)}",
    "host:web-{n}:load": lambda r: f"host:web-{r.randint(1, 400)}:load",
    "shard:node{n}:{n}": lambda r: f"shard:node{r.randint(1, 64)}:{r.randint(1, 10**5)}",
    "raw:{bytes}": lambda r: "raw:" + r.randbytes(20).decode("utf-8", "backslashreplace"),
    "{java}member:{n}": lambda r: f"\\xac\\xed\x00\x05t\x00\x10member:{r.randint(1, 10**6)}",
    "perm:{text}:{text}": lambda r: f"perm:{_user(r)}:{_slug(r)}",
    "file:{text}.pdf": lambda r: f"file:{_slug(r)}.pdf",
}
"""A generator of names for each family, by the pattern that most of them must come to."""
