"""What people write into forms, options, Variables and policies, before it means anything: how large a number may be, and
how an error shows what can't be used.

Bounds are in the patterns themselves, so that no text of any length ever becomes a number of that length. A pattern here
is one for Python's ``re.match`` and for JSON Schema alike: a trigger form refuses by the very pattern that the parser reads by.
"""

from __future__ import annotations

from typing import Final

#: Keys a second that anybody can ask for: some ten times what one server takes.
MOST_KEYS_PER_S: Final = 10_000_000
#: A whole number from 1 to :data:`MOST_KEYS_PER_S`, with or without separators between its digits.
KEYS_PER_S: Final = r"(?:[1-9](?:[_,]?[0-9]){0,6}|1(?:[_,]?0){7})"
_SPACE: Final = r"[ \t\r\n]*"
_SHOWN: Final = 80


def whole(pattern: str) -> str:
    r"""The pattern of a text that is all of this, with space around it.

    >>> whole("a")
    '^[ \\t\\r\\n]*(?:a)[ \\t\\r\\n]*$'
    """
    return f"^{_SPACE}(?:{pattern}){_SPACE}$"


def optional(pattern: str) -> str:
    r"""The pattern of a text that is all of this, or nothing, with space around it; in linear time, which ``whole("|a")`` isn't.

    >>> optional("a")
    '^[ \\t\\r\\n]*(?:(?:a)[ \\t\\r\\n]*)?$'
    """
    return f"^{_SPACE}(?:(?:{pattern}){_SPACE})?$"


def word(text: str) -> str:
    """The pattern of an English word in any case.

    >>> word("s")
    '[Ss]'
    """
    return "".join(f"[{letter.upper()}{letter}]" for letter in text)


def number_of(digits: str) -> int:
    """The number of a text that :data:`KEYS_PER_S` matched.

    >>> number_of("20,000")
    20000
    """
    return int(digits.replace("_", "").replace(",", ""))


def quoted(value: object) -> str:
    """What somebody wrote as an error shows it: on one line, with nothing in it that acts, and in 80 characters.

    >>> quoted("fsat"), len(quoted("9" * 5_000)), quoted(7)
    ("'fsat'", 80, 'a value of type int')
    """
    if not isinstance(value, str):
        return f"a value of type {type(value).__name__}"
    text = repr(value[:_SHOWN])
    return text if len(value) <= _SHOWN and len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
