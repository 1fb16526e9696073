"""Key names for the incident's keyspace: any number of them, all different, the same ones for the same seed.

The variable parts are drawn as columns for thousands of keys at once and put into the family's name with one ``%``
each, because at several hundred thousand keys a second nothing dearer is affordable. The module knows names only: no
types, no values, no server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from random import Random
from typing import Final

from redis_ttl.domain.incident.incident import PLACEHOLDER

_FIRST_ID: Final = 10_000_000
_ID_STEP: Final = 16
_IDS_PER_SERIES: Final = 40_000_000
_LAST_DAY: Final = date(2026, 2, 12).toordinal()
_BUSY_DAYS: Final = 400

_FIRST_NAMES: Final = (
    b"li wang zhang liu chen yang zhao huang zhou anna ben carla david emma frank grace iris jack".split()
)
_LAST_NAMES: Final = b"wei min jing lei yan juan tao ming chao xia smith jones brown taylor wilson evans moore".split()
_MAIL_HOSTS: Final = b"example.com example.org example.net mail.example.cn post.example.co.uk".split()
_HANZI: Final = [
    sign.encode()
    for sign in "云山风月江海天星雪雨春夏秋冬花草林木竹松梅兰鹤鹿鱼龙凤虎马牛羊燕雁金银玉石明光晨夕"
    "东西南北青白红蓝紫墨大小长安宁静远近高清欢喜"
]
_PHRASE: Final = (
    b"hot iced large small sweet light dark fresh double single creamy smooth bold mild toasted salted plain".split(),
    b"oat coconut almond soy whole skimmed vanilla caramel hazelnut mocha matcha cinnamon maple ginger rose".split(),
    b"latte americano cappuccino macchiato cortado espresso ristretto lungo affogato frappe tea chai cocoa".split(),
    b"near at around behind above below beside before after opposite outside inside".split(),
    b"station airport campus harbour museum library market stadium park tower bridge square mall hospital".split(),
)
_BASE32: Final = bytes(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[at % 32] for at in range(256))
_BASE64: Final = bytes(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[at % 64] for at in range(256)
)

_Source = Callable[[Random, int, int, int], Sequence[bytes] | Sequence[int]]


class NameSeries:
    """The names of one family, in order.

    ``series`` tells families of the same name apart: their numbers come from different ranges. Names never repeat
    within a family, and are the same for the same state of ``rng`` as long as they are taken in batches of the same
    sizes.
    """

    def __init__(self, template: str, rng: Random, series: int = 0) -> None:
        self._rng = rng
        self._start = 0
        self._offset = series * _IDS_PER_SERIES
        parts = PLACEHOLDER.findall(template)
        self._sources = [_SOURCES["busy_date" if part == "date" and len(parts) > 1 else part] for part in parts]
        # %b refuses an int, and %d refuses bytes.
        marks = iter(["%d" if source in _NUMBERS else "%b" for source in self._sources])
        self._form = PLACEHOLDER.sub(lambda _: next(marks), template.replace("%", "%%")).encode()

    def take(self, count: int) -> list[bytes]:
        """The next ``count`` names."""
        if not self._sources:
            return [self._form % ()] * count
        columns = [source(self._rng, self._start, self._offset, count) for source in self._sources]
        self._start += count
        if len(columns) == 1:
            return [self._form % value for value in columns[0]]
        return [self._form % values for values in zip(*columns, strict=True)]


def _constant(value: bytes) -> _Source:
    """The same bytes in every name."""

    def same(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
        return [value] * count

    return same


def _numbers(rng: Random, start: int, offset: int, count: int) -> list[int]:
    """Rising numbers of eight digits, with gaps, as a database hands out ids."""
    first = _FIRST_ID + offset + start * _ID_STEP
    return [first + at * _ID_STEP + (gap & 15) for at, gap in enumerate(rng.randbytes(count))]


def _mobile_numbers(rng: Random, start: int, offset: int, count: int) -> list[int]:
    """Chinese mobile numbers with their country's prefix."""
    return [8_613_800_000_000 + number for number in _numbers(rng, start, offset, count)]


def _few_numbers(rng: Random, start: int, offset: int, count: int) -> list[int]:
    """Numbers that many keys share."""
    return [1_000 + byte for byte in rng.randbytes(count)]


def _hex_digests(size: int) -> _Source:
    def digests(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
        text = rng.randbytes(size * count // 2).hex().encode()
        found = [text[at : at + size] for at in range(0, size * count, size)]
        # One digest in millions has no letter, and would be a number to any reader.
        return [b"f" + digest[1:] if digest.isdigit() else digest for digest in found]

    return digests


def _uuids(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
    text = rng.randbytes(15 * count).hex().encode()
    return [
        b"%b-%b-4%b-a%b-%b"
        % (
            text[at : at + 8],
            text[at + 8 : at + 12],
            text[at + 12 : at + 15],
            text[at + 15 : at + 18],
            text[at + 18 : at + 30],
        )
        for at in range(0, 30 * count, 30)
    ]


def _signs(alphabet: bytes, prefix: bytes, size: int) -> _Source:
    """Identifiers of ``size`` random signs behind a fixed beginning."""

    def identifiers(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
        text = rng.randbytes(size * count).translate(alphabet)
        return [prefix + text[at : at + size] for at in range(0, size * count, size)]

    return identifiers


def _dates(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
    """One day after the other, backwards."""
    return [date.fromordinal(_LAST_DAY - at).isoformat().encode() for at in range(start, start + count)]


def _busy_dates(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
    """Days of the last year, shared by many keys."""
    days = _dates(rng, 0, 0, _BUSY_DAYS)
    return rng.choices(days, k=count)


def _busy_days(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
    """The same without dashes."""
    return [day.replace(b"-", b"") for day in _busy_dates(rng, start, offset, count)]


def _addresses(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
    """IPv4 addresses from 11.0.0.0 upwards, with gaps."""
    first = (11 << 24) + start * _ID_STEP
    numbers = [first + at * _ID_STEP + (gap & 15) for at, gap in enumerate(rng.randbytes(count))]
    return [b"%d.%d.%d.%d" % (number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255) for number in numbers]


def _emails(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
    first, last = rng.choices(_FIRST_NAMES, k=count), rng.choices(_LAST_NAMES, k=count)
    hosts = rng.choices(_MAIL_HOSTS, k=count)
    return [
        b"%b.%b%d@%b" % (given, family, at, host)
        for at, (given, family, host) in enumerate(zip(first, last, hosts, strict=True), start)
    ]


def _nicknames(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
    """Chinese names of four signs, spread over all combinations."""
    base = len(_HANZI)
    found = []
    for at in range(start, start + count):
        number = at * 1_000_003 % base**4
        found.append(
            _HANZI[number % base]
            + _HANZI[number // base % base]
            + _HANZI[number // base**2 % base]
            + _HANZI[number // base**3]
        )
    return found


def _phrases(rng: Random, start: int, offset: int, count: int) -> list[bytes]:
    """What people type into a search box: five words with spaces, spread over all combinations."""
    return [b" ".join(_phrase(at)) for at in range(start, start + count)]


def _phrase(number: int) -> list[bytes]:
    combinations = 1
    for words in _PHRASE:
        combinations *= len(words)
    number = number * 1_000_003 % combinations
    found = []
    for words in _PHRASE:
        number, at = divmod(number, len(words))
        found.append(words[at])
    return found


_SOURCES: Final[dict[str, _Source]] = {
    "n": _numbers,
    "mobile": _mobile_numbers,
    "few": _few_numbers,
    "uuid": _uuids,
    "md5": _hex_digests(32),
    "sha1": _hex_digests(40),
    "sha256": _hex_digests(64),
    "date": _dates,
    "busy_date": _busy_dates,
    "day": _busy_days,
    "email": _emails,
    "ip": _addresses,
    "ulid": _signs(_BASE32, b"01K", 23),
    "jwt": _signs(_BASE64, b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjb250YWN0In0.", 43),
    "token": _signs(_BASE64, b"", 32),
    "nick": _nicknames,
    "phrase": _phrases,
    "one": _constant(b"1"),
    "two": _constant(b"2"),
    # What Java puts before a string of 24 bytes: stream magic, version, the type's code and the length.
    "java": _constant(b"\xac\xed\x00\x05t\x00\x18"),
    "gbk": _constant("门店库存".encode("gbk")),
}
_NUMBERS: Final = (_numbers, _mobile_numbers, _few_numbers)
