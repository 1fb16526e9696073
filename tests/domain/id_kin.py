"""Families of random ids that don't look random one by one: without a digit, without a letter, with a sign that cuts them in two."""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random
from typing import Final

_LOWER: Final = "abcdefghijklmnopqrstuvwxyz"
_UPPER: Final = _LOWER.upper()
_DIGITS: Final = "0123456789"
_BASE62: Final = _DIGITS + _UPPER + _LOWER
_BASE58: Final = "".join(sign for sign in _BASE62 if sign not in "0OIl")
_BASE32: Final = _UPPER + "234567"
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GEOHASH: Final = "0123456789bcdefghjkmnpqrstuvwxyz"


def _signs(rng: Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


def _base64(rng: Random, size_bytes: int) -> str:
    return base64.b64encode(rng.randbytes(size_bytes)).decode()


def _hex(rng: Random, length: int) -> str:
    return f"{rng.getrandbits(4 * length):0{length}x}"


def _pairs(rng: Random, between: str, count: int = 6) -> str:
    return between.join(_hex(rng, 2) for _ in range(count))


def _digit_letter_digit(rng: Random, letters: str = _LOWER) -> str:
    return f"{rng.randrange(10**4):04}{rng.choice(letters)}{rng.randrange(10**3):03}"


KIN: Final[dict[str, tuple[str, Callable[[Random], str]]]] = {
    "base64 of 20 bytes": ("tok:{token}", lambda r: f"tok:{_base64(r, 20)}"),
    "without padding": ("bare:{token}", lambda r: f"bare:{_base64(r, 20).rstrip('=')}"),
    "URL-safe": ("urlsafe:{token}", lambda r: f"urlsafe:{base64.urlsafe_b64encode(r.randbytes(20)).decode()}"),
    "in the middle": ("sess:{token}:data", lambda r: f"sess:{_base64(r, 20)}:data"),
    "of 16 bytes": ("nonce:{token}:x", lambda r: f"nonce:{_base64(r, 16)}:x"),
    "of 32 bytes": ("sri:{token}", lambda r: f"sri:{_base64(r, 32)}"),
    "of 64 bytes": ("sig:{token}", lambda r: f"sig:{_base64(r, 64)}"),
    "of 12 bytes, without padding": ("short:{token}", lambda r: f"short:{_base64(r, 12)}"),
    "between slashes": ("cache/{token}/meta", lambda r: f"cache/{_base64(r, 20)}/meta"),
    "behind a hyphen": ("cache-{token}", lambda r: f"cache-{_base64(r, 20)}"),
    "in a hash tag": ("{{{token}}}:cart", lambda r: f"{{{_base64(r, 20)}}}:cart"),
    "in a query": ("get?sig={token}", lambda r: f"get?sig={_base64(r, 20)}"),
    "two of them": ("pair:{token}:{token}", lambda r: f"pair:{_base64(r, 20)}:{_base64(r, 20)}"),
    "MAC": ("mac:{mac}", lambda r: f"mac:{_pairs(r, ':')}"),
    "MAC, upper case": ("upper:{mac}", lambda r: f"upper:{_pairs(r, ':').upper()}"),
    "MAC with hyphens": ("dev:{mac}:state", lambda r: f"dev:{_pairs(r, '-').upper()}:state"),
    "MAC with dots": ("cisco:{mac}", lambda r: f"cisco:{'.'.join(_hex(r, 4) for _ in range(3))}"),
    "MAC in a hash tag": ("{{{mac}}}:lease", lambda r: f"{{{_pairs(r, ':')}}}:lease"),
    "EUI-64": ("eui:{mac}", lambda r: f"eui:{_pairs(r, ':', 8)}"),
    "fingerprint": ("cert:{mac}", lambda r: f"cert:{_pairs(r, ':', 20).upper()}"),
    "digits, letter, digits": ("v:{text}", lambda r: f"v:{_digit_letter_digit(r)}"),
    "in upper case": ("seat:{text}", lambda r: f"seat:{_digit_letter_digit(r, _UPPER)}"),
    "digits, letter": ("gate:{text}", lambda r: f"gate:{r.randrange(10**6):06}{r.choice(_UPPER)}"),
    "letter, digits": ("bin:{text}:stock", lambda r: f"bin:{r.choice(_UPPER)}{r.randrange(10**6):06}:stock"),
    "two letters, digits": ("pass:{text}", lambda r: f"pass:{_signs(r, _UPPER, 2)}{r.randrange(10**6):06}"),
    "4 hexadecimal digits": ("quad:{text}", lambda r: f"quad:{_hex(r, 4)}"),
    "6 behind a word": ("cart:guest_{text}", lambda r: f"cart:guest_{_hex(r, 6)}"),
    "a color": ("color:#{text}", lambda r: f"color:#{_hex(r, 6)}"),
    "7": ("commit:{text}", lambda r: f"commit:{_hex(r, 7)}"),
    "8": ("etag:{hex}", lambda r: f"etag:{_hex(r, 8)}"),
    "64, upper case": ("digest:{hex}", lambda r: f"digest:{_hex(r, 64).upper()}"),
    "UUID": ("uuid:{uuid}", lambda r: f"uuid:{_uuid(r, '-')}"),
    "UUID without hyphens": ("plain:{hex}", lambda r: f"plain:{_hex(r, 32)}"),
    "UUID with underscores": ("low:{uuid}", lambda r: f"low:{_uuid(r, '_')}"),
    "UUID with colons": ("colons:{uuid}", lambda r: f"colons:{_uuid(r, ':')}"),
    "ULID": ("ulid:{ulid}", lambda r: f"ulid:01{r.choice('GHJK')}{_signs(r, _CROCKFORD, 23)}"),
    "KSUID": ("ksuid:{token}", lambda r: f"ksuid:2{_signs(r, _BASE62, 26)}"),
    "nanoid": ("nanoid:{token}", lambda r: f"nanoid:{_signs(r, _BASE62 + '_-', 21)}"),
    "11 signs": ("video:{token}", lambda r: f"video:{_signs(r, _BASE62, 11)}"),
    "10 signs": ("link:{token}", lambda r: f"link:{_signs(r, _BASE62, 10)}"),
    "Stripe": ("st:cus_{token}", lambda r: f"st:cus_{_signs(r, _BASE62, 14)}"),
    "base58": ("btc:{token}", lambda r: f"btc:1{_signs(r, _BASE58, 33)}"),
    "base32": ("otp:{token}", lambda r: f"otp:{_signs(r, _BASE32, 16)}"),
    "base32 with padding": ("seed:{token}", lambda r: f"seed:{base64.b32encode(r.randbytes(16)).decode()}"),
    "geohash": ("geo:{text}", lambda r: f"geo:{_signs(r, _GEOHASH, 7)}"),
    "IPv4": ("ip:{ip}", lambda r: f"ip:{'.'.join(str(r.randrange(256)) for _ in range(4))}"),
    "IPv6": ("peer:{ip}", lambda r: f"peer:2a02:{':'.join(f'{r.getrandbits(16):x}' for _ in range(7))}"),
    "milliseconds": ("at:{n}", lambda r: f"at:{r.randrange(1_600_000_000_000, 1_800_000_000_000)}"),
    "version": ("release:{version}", lambda r: f"release:{r.randrange(20)}.{r.randrange(30)}.{r.randrange(100)}"),
    "e-mail": ("mail:{email}", lambda r: f"mail:{_signs(r, _LOWER, 6)}+{r.randrange(99)}@{_signs(r, _LOWER, 5)}.com"),
    "JWT": (
        "jwt:{jwt}",
        lambda r: f"jwt:eyJhbGciOiJIUzI1NiJ9.eyJ{_signs(r, _BASE62 + '_-', 40)}.{_signs(r, _BASE62 + '_-', 43)}",
    ),
}
"""What most people would call the id, the pattern that its family must come to, and a generator of its names."""


def _uuid(rng: Random, between: str) -> str:
    digits = _hex(rng, 32)
    return between.join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
