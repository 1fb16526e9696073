"""The bytes of a policy file as text, or the reason why they can't be. Knows nothing of YAML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis_ttl.domain.errors import InvalidPolicy
from redis_ttl.domain.policy_mistake import PolicyMistake

MAX_BYTES: Final = 1024 * 1024
"""Far above any policy (a rule takes some 120 bytes), far below what would keep a scheduler busy."""

# YAML 1.1 allows these line breaks; PyYAML counts lines by them.
LINE_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SAVE_AS_UTF8 = "Save the file as UTF-8"


def read_text(path: Path) -> str:
    """The text of a policy file; ``InvalidPolicy`` when it can't be read, is too large, or isn't UTF-8 text."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
            size = len(content) if len(content) <= MAX_BYTES else path.stat().st_size
    except OSError as error:
        raise _whole_file(
            path, f"a file that can't be read ({error.strerror})", "a file that this user may read"
        ) from error
    if size > MAX_BYTES:
        raise _whole_file(
            path,
            f"{size:,} bytes",
            f"at most {MAX_BYTES:,} bytes",
            "A policy file is one cluster's rules, not its data",
        )
    return decode(content, str(path))


def decode(content: bytes, file: str) -> str:
    """The text of a file's bytes; a UTF-8 byte order mark is dropped."""
    if content.startswith(_UTF_16_MARKS):
        raise _at(file, "", 0, "UTF-16 text", _SAVE_AS_UTF8)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        found = f"the byte 0x{content[error.start]:02x}, which is not UTF-8"
        raise _at(file, content.decode("utf-8-sig", "replace"), len(before), found, _SAVE_AS_UTF8) from error
    forbidden = _FORBIDDEN.search(text)
    if forbidden and forbidden[0] == "\0":
        raise _at(file, text, forbidden.start(), "a NUL byte", f"{_SAVE_AS_UTF8}; this looks like UTF-16")
    if forbidden:
        found = f"the control character U+{ord(forbidden[0]):04X}"
        raise _at(file, text, forbidden.start(), found, "Remove it; editors hide such characters")
    return text


def line_of(text: str, line: int) -> str | None:
    """The line of that number, from 1, without its end; None when there is none."""
    lines = LINE_BREAK.split(text)
    return lines[line - 1] if 0 < line <= len(lines) else None


@dataclass(frozen=True, slots=True)
class ClusterLine:
    """The line of a file that names its cluster; ``column``, from 1, is where the name begins."""

    cluster: str
    number: int
    column: int
    text: str


def find_cluster_line(content: bytes) -> ClusterLine | None:
    """The first line that begins with ``cluster:``, found without YAML; None where there is none."""
    match = _CLUSTER_LINE.search(content)
    if match is None:
        return None
    group = next(group for group in (1, 2, 3) if match[group] is not None)
    start, end = content.rfind(b"\n", 0, match.start(group)) + 1, content.find(b"\n", match.end())
    line = content[start : end if end >= 0 else len(content)].decode("utf-8-sig", "replace").rstrip()
    name = match[group].decode("utf-8", "replace")
    column = len(content[start : match.start(group)].decode("utf-8-sig", "replace")) + 1
    return ClusterLine(name, content.count(b"\n", 0, start) + 1, column, line)


_CLUSTER_LINE = re.compile(
    rb"""^(?:\xef\xbb\xbf)?cluster[ ]*:[ ]+(?:"([^"\n]+)"|'([^'\n]+)'|([^\s#'"]\S*))""", re.MULTILINE
)


def _at(file: str, text: str, index: int, found: str, advice: str) -> InvalidPolicy:
    lines = LINE_BREAK.split(text[:index])
    source = _FORBIDDEN.sub("\ufffd", line_of(text, len(lines)) or "") or None
    place = PolicyMistake(file, len(lines), len(lines[-1]) + 1, "", found, "UTF-8 text", advice, source)
    return InvalidPolicy(file, (place,))


def _whole_file(path: Path, found: str, expected: str, advice: str | None = None) -> InvalidPolicy:
    return InvalidPolicy(str(path), (PolicyMistake(str(path), 1, 1, "", found, expected, advice),))
