"""Signs what was asked and decided, so that writing to the store isn't enough to approve a plan.

A document is signed as it is stored: its canonical JSON and the cluster, by HMAC-SHA256 under a key that the store doesn't
have. Whoever changes a field, moves it elsewhere or makes one up can't sign it. The module doesn't know where keys come from,
and nothing that it writes or raises shows one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE: Final = "signature"
MAKE_A_KEY: Final = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'

_KEY_BYTES: Final = 32
_DISTINCT: Final = 10
"""A random key of that length has fewer different characters less than once in 10^6 (64 hexadecimal digits)."""
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_ID_DIGITS: Final = 12
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys of this Airflow, the newest first: the first signs, and each of them is believed.

    Without any (:data:`NO_KEYS`) nothing is signed, and what is signed isn't believed: then there is a key, and it is missing
    here, so that nobody could tell a forged document from a true one.
    """

    keys: tuple[bytes, ...] = field(repr=False)

    def signed(self, document: Mapping[str, Any], cluster: str) -> dict[str, Any]:
        """The document with its signature: the key's short id and the MAC, in hex."""
        bare = {name: value for name, value in document.items() if name != SIGNATURE}
        if not self.keys:
            return bare
        key = self.keys[0]
        return {**bare, SIGNATURE: {"key": _key_id(key), "mac": _mac(key, bare, cluster)}}

    def doubt(self, document: Mapping[str, Any], cluster: str) -> str | None:
        """Why the document isn't believed to be of this cluster and unchanged, in words; None when it is."""
        signature = document.get(SIGNATURE)
        if not self.keys:
            return None if signature is None else "it is signed, and this worker has no signing key"
        if signature is None:
            return "it isn't signed, though there is a signing key"
        named = signature.get("key") if isinstance(signature, dict) else None
        mac = signature.get("mac") if isinstance(signature, dict) else None
        if not isinstance(named, str) or not isinstance(mac, str):
            return "its signature can't be read"
        key = next((each for each in self.keys if _key_id(each) == named), None)
        if key is None:
            return f"it is signed by a key that isn't known here ({named[:_SHOWN]!r})"
        bare = {name: value for name, value in document.items() if name != SIGNATURE}
        if not hmac.compare_digest(_mac(key, bare, cluster).encode(), mac.encode("utf-8", "replace")):
            return "it was changed, or moved here, after it had been signed"
        return None


#: Where there is no key.
NO_KEYS: Final = SigningKeys(())


def parse_signing_keys(text: str | None, *, where: str) -> SigningKeys:
    """The keys in a text, the newest first, with commas or white space between them.

    Raises :class:`BadInput` for none at all, and for a key that holds less than 32 random bytes by its look. The error says
    which one it is and never what it is.
    """
    found = [each for each in re.split(r"[,\s]+", text or "") if each]
    allowed = f"{_KEY_BYTES} random bytes a key, as hex or base64"
    todo = f"Make one with {MAKE_A_KEY}."
    if not found:
        raise BadInput("it holds no signing key", where=where, allowed=allowed, todo=todo)
    for number, each in enumerate(found, 1):
        if why := _weakness(each):
            raise BadInput(f"its key number {number} is too weak", where=where, found=why, allowed=allowed, todo=todo)
    return SigningKeys(tuple(each.encode() for each in dict.fromkeys(found)))


def _weakness(key: str) -> str | None:
    """Why that can't be 32 random bytes."""
    bits = 4 if _HEX.fullmatch(key) else 6
    size = len(key.rstrip("=")) * bits // 8
    if size < _KEY_BYTES:
        return f"{size} bytes"
    if len(set(key)) < _DISTINCT:
        return f"{len(set(key))} different characters"
    if key in (key + key)[1:-1]:
        return "the same characters over and over"
    return None


def _key_id(key: bytes) -> str:
    """Names a key without giving it away."""
    return hashlib.sha256(b"redis_ttl signing key\n" + key).hexdigest()[:_ID_DIGITS]


def _mac(key: bytes, document: Mapping[str, Any], cluster: str) -> str:
    said = json.dumps({"cluster": cluster, "document": document}, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
