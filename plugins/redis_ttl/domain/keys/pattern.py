"""The pattern of a rule: how it is written, what it matches, how two of them relate. Knows nothing of TTLs or servers.

``MARKETING:COUPON:UNREAD:{userId}`` is literal text with placeholders:

* ``{name}`` stands for one or more characters other than the one that follows it in the pattern (its separator). At the
  end of the pattern nothing follows: there it stops at ``:``, and at ``/`` or ``|`` where the pattern itself uses that
  one.
* A name that is one of the shapes of ``redis_ttl.domain.keys.folding`` (``{n}``, ``{uuid}``, ...) stands for that shape
  only, so that a pattern can be copied out of a report. A shape that came later than the first policies (``{mac}``)
  also takes what it took before, when it was just a name.
* ``{{`` and ``}}`` are literal braces: ``cart:{{{userId}}}`` matches ``cart:{42}``, whose braces are a hash tag of
  Redis Cluster.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.keys.automaton import pattern_automaton
from redis_ttl.domain.keys.shapes import EXAMPLES, PatternShape, pattern_shape
from redis_ttl.domain.keys.steps import CharacterSet, Effort, Step, TooMuchEffort, can_meet, includes

MAX_LENGTH: Final = 1024
"""Characters that a pattern may have. Longer ones are accidents, and the time to compare two grows with both."""

MAX_PLACEHOLDERS: Final = 32
"""Placeholders that a pattern may have. Names have a handful of parts that vary; matching looks at all of them at once."""

_KEPT = 4096
"""Patterns that are kept in memory once read: DAG files are parsed again and again, by one process."""
_NAME = re.compile(r"[^\W\d][\w-]*")
_FURTHER_SEPARATORS = "/|"
_BEFORE, _BEHIND = "(?s)^", "$"
_REGEX_SIGNS = frozenset(r"\.+*?()|[]{}^$&~#-")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One ``{name}``: the shape that it stands for, or else the characters that it stops at."""

    name: str
    shape: PatternShape | None
    stops_at: str


Part = str | Placeholder
"""Literal text, or a placeholder. In a pattern two placeholders never touch."""


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """One pattern, and what follows from its text."""

    text: str
    parts: tuple[Part, ...] = field(init=False, repr=False, compare=False)
    regex: str = field(init=False, repr=False, compare=False)
    """Matches whole names, in the syntax that Python's ``re.fullmatch`` and Rust's regex read alike."""
    literal_prefix: str = field(init=False, repr=False, compare=False)
    """What every matching name begins with; may be empty."""

    def __post_init__(self) -> None:
        """Raises ``InvalidOption`` when the text is not a pattern, or is one that would match almost anything."""
        parts = _parse(self.text)
        regex = _BEFORE + "".join(_part_regex(part) for part in parts) + _BEHIND
        for name, value in (
            ("parts", parts),
            ("regex", regex),
            ("literal_prefix", parts[0] if isinstance(parts[0], str) else ""),
        ):
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        return self.text

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole of a key's text (``redis_ttl.domain.keys.name.key_text``)."""
        return self._matches(text, Effort())

    def overlaps(self, other: KeyPattern, effort: Effort | None = None) -> bool:
        """Whether some name may match both. Never False when one does; True in doubt, where shapes differ, or where it would
        take more steps than ``effort`` has left.
        """
        try:
            return self._may_share_prefix(other) and can_meet(
                _steps(self.parts), _steps(other.parts), effort or Effort()
            )
        except TooMuchEffort:
            return True

    def covers(self, other: KeyPattern, effort: Effort | None = None) -> bool:
        """Whether every name that ``other`` matches is matched by this one too. Never True when one isn't.

        ``effort`` counts the steps; raises ``TooMuchEffort`` when they are more than it allows.
        """
        effort = effort or Effort()
        # Most pairs of a policy share no prefix, and most of the others differ on the first name tried.
        return (
            self._may_share_prefix(other)
            and self._matches(other.example(), effort)
            and includes(_steps(self.parts), _steps(other.parts), effort)
        )

    def example(self) -> str:
        """A name that the pattern matches, for showing."""
        return "".join(part if isinstance(part, str) else _part_example(part) for part in self.parts)

    def counterexample(self) -> str | None:
        """A name much like ``example()`` that the pattern doesn't match; None for a pattern that takes all of those."""
        example = self.example()
        others = (f"{example}:more", f"more:{example}", example[:-1])
        return next((name for name in others if not self.matches(name)), None)

    def _matches(self, text: str, effort: Effort) -> bool:
        effort.spend(1)
        # Most names are no match because a literal part isn't there at all, which is seen at once.
        at = 0
        for part in self.parts:
            if isinstance(part, str):
                found = text.find(part, at)
                if found < 0:
                    return False
                at = found + len(part)
        return text.startswith(self.literal_prefix) and pattern_automaton(self._body).matches(text, effort)

    @property
    def _body(self) -> str:
        return self.regex.removeprefix(_BEFORE).removesuffix(_BEHIND)

    def _may_share_prefix(self, other: KeyPattern) -> bool:
        mine, theirs = self.literal_prefix, other.literal_prefix
        return mine.startswith(theirs) or theirs.startswith(mine)


@lru_cache(_KEPT)
def _parse(text: str) -> tuple[Part, ...]:
    """The parts of a pattern's text, checked."""
    if not text:
        raise InvalidOption("an empty pattern", found="nothing", allowed="a pattern such as user:{userId}")
    if len(text) > MAX_LENGTH:
        raise InvalidOption("a pattern too long", found=f"{len(text)} characters", allowed=f"at most {MAX_LENGTH}")
    if "*" in text:
        raise InvalidOption(
            "an asterisk in a pattern",
            found=shown(text),
            allowed="placeholders, as in user:{userId}",
            todo="Patterns are not globs: name the part that varies, {name}; it also matches a real asterisk",
        )
    tokens = _tokens(text)
    for token, next_token in itertools.pairwise(tokens):
        if token[0] and next_token[0]:
            raise InvalidOption(
                "two placeholders side by side",
                found=f"`{{{token[1]}}}{{{next_token[1]}}}`",
                allowed="a separator between two placeholders",
                todo="Use one placeholder, or put the literal text that separates them in between",
            )
    placeholders = sum(named for named, _ in tokens)
    if placeholders > MAX_PLACEHOLDERS:
        raise InvalidOption(
            "a pattern with too many placeholders",
            found=f"{placeholders} placeholders",
            allowed=f"at most {MAX_PLACEHOLDERS}",
            todo="One placeholder may stand for everything up to the next separator",
        )
    separators = ":" + "".join(
        c for c in _FURTHER_SEPARATORS if any(not named and c in words for named, words in tokens)
    )
    parts: list[Part] = []
    for index, (named, words) in enumerate(tokens):
        if not named:
            parts.append(words)
        else:
            stops_at = tokens[index + 1][1][0] if index + 1 < len(tokens) else separators
            parts.append(Placeholder(words, pattern_shape(words), stops_at))
    if not any(_says_something(part) for part in parts):
        raise InvalidOption(
            "a pattern that matches almost everything",
            found=shown(text),
            allowed="a letter or digit, or a placeholder with a shape such as {n}",
            todo="A pattern must name the keys that it is about",
        )
    return tuple(parts)


def _tokens(text: str) -> list[tuple[bool, str]]:
    """Literal texts (False) and names of placeholders (True), in order; neighbouring literals are one."""
    tokens: list[tuple[bool, str]] = []
    words = ""
    at = 0
    while at < len(text):
        character = text[at]
        if character not in "{}":
            words += character
            at += 1
        elif text[at : at + 2] == character * 2:
            words += character
            at += 2
        elif character == "}":
            raise InvalidOption(
                "a closing brace without an opening one",
                found=_pointed(text, at),
                allowed="{name}",
                todo="A literal brace is written }}",
            )
        else:
            end = text.find("}", at)
            name = text[at + 1 : end if end >= 0 else len(text)]
            if end < 0:
                raise InvalidOption(
                    "a brace that is never closed",
                    found=_pointed(text, at),
                    allowed="{name}",
                    todo="A literal brace is written {{",
                )
            if not _NAME.fullmatch(name):
                raise InvalidOption(
                    "not the name of a placeholder",
                    found=f"`{{{name}}}`",
                    allowed="letters, digits, _ and -, beginning with a letter or _",
                    todo="Literal braces, as of a hash tag, are written {{ and }}",
                )
            if words:
                tokens.append((False, words))
            tokens.append((True, name))
            words = ""
            at = end + 1
    if words:
        tokens.append((False, words))
    return tokens


def _says_something(part: Part) -> bool:
    return (
        any(c.isalnum() for c in part)
        if isinstance(part, str)
        else part.shape is not None and part.shape.tells_names_apart
    )


def _part_regex(part: Part) -> str:
    if isinstance(part, str):
        return _escaped(part)
    name = f"[^{_escaped(part.stops_at)}]+"
    if part.shape is None:
        return name
    return f"(?:{part.shape.regex}|{name})" if part.shape.is_also_a_name else f"(?:{part.shape.regex})"


@lru_cache(_KEPT)
def _steps(parts: tuple[Part, ...]) -> tuple[Step, ...]:
    return tuple(step for part in parts for step in _part_steps(part))


def _part_steps(part: Part) -> tuple[Step, ...]:
    if isinstance(part, str):
        return tuple(Step(CharacterSet(frozenset(c))) for c in part)
    name = CharacterSet(frozenset(part.stops_at), negated=True)
    if part.shape is None:
        return (Step(name, repeats=True),)
    if part.shape.is_also_a_name:
        # Two of them take the same texts only where they stop at the same signs.
        return (Step(name | part.shape.characters, repeats=True, shape=f"{part.name} up to {part.stops_at}"),)
    return (Step(part.shape.characters, repeats=True, shape=part.name),)


def _part_example(part: Placeholder) -> str:
    if part.shape:
        return EXAMPLES[part.name]
    return "".join(c for c in EXAMPLES["n"] if c not in part.stops_at)


def _escaped(text: str) -> str:
    # Not re.escape: it escapes spaces and newlines too, which is Python's taste and not Rust's.
    return "".join("\\" + c if c in _REGEX_SIGNS else c for c in text)


def shown(text: str) -> str:
    """A text in backquotes for an error: shortened where it is long, and with nothing in it that acts on a terminal."""
    short = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 30]}...{text[-20:]}"
    return "`" + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short) + "`"


_SHOWN = 80
"""Characters of a text that an error shows."""


def _pointed(text: str, at: int) -> str:
    return f"{shown(text[at : at + 20])} at character {at + 1}"
