"""What may stand in the path of a document: nothing that leads out of the store, or to another document than it says.

Paths are relative, with ``/`` between their parts. Ids, cluster names, parts of a run and threads of messages become parts of
paths, and some of them come from people, from XComs and from names that other documents bear. The module knows no store.
"""

from __future__ import annotations

import re
from typing import Final

from redis_ttl.domain.errors import StoreProblem

#: Beyond the dot at its beginning, which hides a name: separators of other systems, what object stores' libraries read as a
#: version, a generation or a pattern (``? # * [ ]``), spaces, control characters, and everything that isn't ASCII.
_PART: Final = re.compile(r"[A-Za-z0-9_~=@+,-][A-Za-z0-9_.~=@+,-]*", re.ASCII)
#: File systems take no longer names; a draft's has ten characters more.
_LONGEST_PART: Final = 240
_SHOWN: Final = 200


def path_parts(path: str) -> tuple[str, ...]:
    """The parts of a document's path. Raises :class:`StoreProblem`, which names the path, unless each is a plain name."""
    parts = tuple(path.split("/"))
    if not all(len(part) <= _LONGEST_PART and _PART.fullmatch(part) for part in parts):
        raise _refusal(path)
    return parts


def path_part(name: str) -> str:
    """The name, which is to be one part of a path. Raises :class:`StoreProblem`, which names it, where it wouldn't be one."""
    if len(path_parts(name)) != 1:
        raise _refusal(name)
    return name


def _refusal(path: str) -> StoreProblem:
    shown = repr(path) if len(path) <= _SHOWN else f"{path[:_SHOWN]!r} and {len(path) - _SHOWN:,} characters more"
    return StoreProblem(
        "this is no path of a document",
        where=shown,
        allowed=f"names of up to {_LONGEST_PART} ASCII letters, digits and any of _.~=@+,- with / between them, none of them empty "
        "or beginning with a dot",
        todo="Somebody may have changed an id, in an XCom or in the store; clear the task that made it.",
    )
