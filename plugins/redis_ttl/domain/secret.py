"""What must not be seen: a password as a value that doesn't show itself, and texts of others with secrets taken out of them.

Libraries and servers put addresses, tokens and whole requests into their errors, and errors end up in logs and in the store. So what
comes from elsewhere goes through `without_secrets` where it becomes part of an error of ours.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final, Self
from urllib.parse import quote, quote_plus, unquote

MASK: Final = "***"
#: Shorter ones are replaced as whole words only, or any text would be full of asterisks.
_WORD_LENGTH: Final = 6
_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^\s\"'<>]*@)?([^\s\"'<>/?#@]*)([^\s\"'<>]*)")
_OPTION: Final = re.compile(
    r"((?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|authorization|bearer|auth)[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic)\s+)?)"
    r"[^\s\"'&,;)}]+",
    re.IGNORECASE,
)
#: Where Slack's tokens and its webhooks' paths are named without an address.
_SLACK: Final = re.compile(r"xox[a-z]-[0-9A-Za-z-]+|/services/[^\"'<>)]+")


class Secret(str):
    """A password: equal to its text and sent as it, but shown as asterisks wherever it would become part of another text."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """The secret of that text; of a secret, itself and not its asterisks."""
        return super().__new__(cls, "".join(text))

    def __repr__(self) -> str:
        return f"'{MASK}'"

    def __str__(self) -> str:
        return MASK

    def __format__(self, form: str) -> str:
        return format(MASK, form)

    def reveal(self) -> str:
        """The text itself, for the one who asks for it."""
        return "".join(self)


def secret(text: str | None) -> Secret | None:
    """The text as a secret; None for none."""
    return None if text is None else Secret(text)


def without_secrets(text: str, secrets: Iterable[str | None] = ()) -> str:
    """A text of somebody else's without these secrets, in whatever form they are written there, and without what looks like one:
    user names, passwords and paths in addresses, values of options named like a password, Slack's tokens.
    """
    for known in secrets:
        if known:
            text = _masked(text, "".join(known))
    text = _ADDRESS.sub(_shown_address, text)
    return _SLACK.sub(MASK, _OPTION.sub(rf"\1{MASK}", text))


def _shown_address(found: re.Match[str]) -> str:
    """Scheme and host: what is before an @ is a password, and a path may be a token."""
    scheme, user, host, path = found.groups()
    return f"{scheme}{'...@' if user else ''}{host}{'/...' if path.strip('/') else path}"


def _masked(text: str, known: str) -> str:
    raw = known.encode("utf-8", "surrogatepass")
    forms = {known, unquote(known), quote(known), quote(known, safe=""), quote_plus(known), repr(known)[1:-1]}
    forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex()}
    for form in sorted(filter(None, forms), key=len, reverse=True):
        around = r"(?<!\w){}(?!\w)" if len(form) < _WORD_LENGTH else "{}"
        text = re.sub(around.replace("{}", re.escape(form)), MASK, text)
    return text
