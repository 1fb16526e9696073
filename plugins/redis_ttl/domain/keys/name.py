"""How a key's bytes become the text that is folded, matched and shown. Knows nothing of patterns."""

from __future__ import annotations


def key_text(key: bytes) -> str:
    r"""The text of a key: UTF-8, with each byte that isn't written as ``\xNN``, so that nothing is lost and nothing fails."""
    return key.decode("utf-8", "backslashreplace")
