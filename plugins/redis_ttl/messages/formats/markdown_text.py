"""Words from outside as GitHub's Markdown: the one place that makes them harmless there.

A name of a key, a pattern, a client or a file is code (`markdown_name`), in which nothing acts. Sentences that people or servers wrote
are text (`markdown_text`) in which every sign of markup is escaped; what GitHub makes a link of by itself (an address, ``www.``, an
e-mail address) can't be escaped, and becomes code.
"""

from __future__ import annotations

import re
from typing import Final

from redis_ttl.messages.figures import code_span, printable

#: What could be markup, HTML, an entity or a footnote.
_ACTS: Final = re.compile(r"[\\`*\[\]<>!~&]|(?<!\w)_+|_+(?!\w)")
#: Where nobody reads the source, whatever any dialect of Markdown could take for a sign.
_MAY_ACT: Final = re.compile(r"[\\`*_{}\[\]<>()#+!~&]")
#: What would be a heading, a list or a rule at the beginning of a line.
_BEGINS: Final = re.compile(r"^(?:(#{1,6}|[+-])(?=\s|$)|(?=[=-]{2})|(\d{1,9})(?=[.)](?:\s|$)))")
#: What GitHub's Markdown makes a link of without being told (GFM, section 6.9), with whatever touches it.
_LINKS: Final = re.compile(r"(\S*(?://|www\.|@|mailto:|xmpp:)\S*)", re.IGNORECASE)
_BARE_HOST: Final = re.compile(
    r"(\S*[\w-]\.(?:[a-z]{2}|com|net|org|info|biz|edu|gov|pro|web|xxx|aero|asia|coop|museum|name|shop|рф)(?![\w-])\S*)",
    re.IGNORECASE,
)


def markdown_name(text: str, width: int | None = None) -> str:
    """A name as code, control characters written out, cut to ``width``; an empty one as two quotation marks."""
    return code_span(printable(text, width) or '""')


def markdown_text(text: str, *, is_read: bool = True) -> str:
    """Somebody's sentence as text in which nothing acts; ``is_read`` says that people also read its source, as in a log."""
    pieces = _LINKS.split(printable(text).strip())
    return "".join(
        code_span(piece) if number % 2 else _words(piece, is_read=is_read) for number, piece in enumerate(pieces)
    )


def escaped(text: str, *, is_read: bool = True) -> str:
    """A text of ours in which no sign is markup; an address in it still is one."""
    inner = (_ACTS if is_read else _MAY_ACT).sub(_with_backslashes, text)
    return _BEGINS.sub(lambda found: f"{found[2]}\\" if found[2] else f"\\{found[1] or ''}", inner)


def _words(text: str, *, is_read: bool) -> str:
    # Programs that show Markdown may take a bare host name for a link, too.
    pieces = _BARE_HOST.split(text)
    return "".join(
        code_span(piece) if number % 2 else escaped(piece, is_read=is_read) for number, piece in enumerate(pieces)
    )


def _with_backslashes(found: re.Match[str]) -> str:
    return "".join(f"\\{sign}" for sign in found[0])
