"""Whether a name matches the regular expression of a pattern, in a time that nobody can blow up.

Python's ``re`` tries one way after the other: a pattern with a few placeholders side by side has more ways than there is time. Here
all ways are followed at once, so a character costs at most one look at each position of the expression, and mostly one look into
what was learned from earlier characters. Reads the small syntax that patterns are written in: literals, escapes, classes,
``(?:...)``, ``|``, ``?``, ``*``, ``+``, ``{n}``, ``{n,}`` and ``{n,m}``, all of it with ``.`` for any character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from redis_ttl.domain.keys.steps import CharacterSet, Effort

#: Automata that are kept, and what each has learned: DAG files are read again and again by one process.
_KEPT: Final = 1024
_LEARNED: Final = 256

_TOKEN: Final = re.compile(
    r"\[(?P<not>\^?)(?P<class>\]?(?:\\.|[^\]\\])*)\]|(?P<open>\(\?:)|(?P<close>\))|(?P<or>\|)"
    r"|(?P<quantifier>[?*+]|\{\d+(?:,\d*)?\})|(?P<any>\.)|(?P<character>\\.|[^\\()\[\]{}|?*+.^$])",
    re.DOTALL,
)
_CLASS_PART: Final = re.compile(r"(\\.|.)-(\\.|[^\\])|(\\.|.)", re.DOTALL)
_QUANTIFIERS: Final[dict[str, tuple[int, int | None]]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
_IDLE: Final = Effort()


@dataclass(frozen=True, slots=True)
class _One:
    """One character of a set."""

    taken: CharacterSet


@dataclass(frozen=True, slots=True)
class _Row:
    """One after the other."""

    nodes: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of these."""

    nodes: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeated:
    """The same ``least`` to ``most`` times; None knows no end."""

    node: _Node
    least: int
    most: int | None


_Node = _One | _Row | _Choice | _Repeated


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the expression that is built: the positions where it begins and ends, and whether it may be left out."""

    first: frozenset[int]
    last: frozenset[int]
    is_optional: bool


_EMPTY: Final = _Piece(frozenset(), frozenset(), is_optional=True)


@dataclass(slots=True)
class PatternAutomaton:
    """One expression, ready to match (Glushkov's construction: a position for each character that the expression names)."""

    _taken: list[CharacterSet] = field(default_factory=list)
    _after: list[frozenset[int]] = field(default_factory=list)
    _start: tuple[frozenset[int], bool] = (frozenset(), False)
    _last: frozenset[int] = frozenset()
    _learned: dict[tuple[frozenset[int], str], tuple[frozenset[int], bool]] = field(default_factory=dict)

    @classmethod
    def of(cls, expression: str) -> PatternAutomaton:
        """The automaton of an expression, without anchors. Raises ``ValueError`` for syntax that it doesn't know."""
        automaton = cls()
        whole = automaton._build(_Reader(expression).whole())  # its own
        automaton._start = (whole.first, whole.is_optional)  # its own
        automaton._last = whole.last  # its own
        return automaton

    def matches(self, text: str, effort: Effort = _IDLE) -> bool:
        """Whether the whole text matches. ``effort`` counts what it took; raises ``TooMuchEffort`` when that is used up."""
        ready, is_end = self._start
        for character in text:
            learned = self._learned.get((ready, character))
            if learned is None:
                effort.spend(len(ready) + 1)
                learned = self._learn(ready, character)
            else:
                effort.spend(1)
            ready, is_end = learned
            if not ready and not is_end:
                return False
        return is_end

    def _learn(self, ready: frozenset[int], character: str) -> tuple[frozenset[int], bool]:
        met = [position for position in ready if character in self._taken[position]]
        after = frozenset().union(*(self._after[position] for position in met))
        learned = (after, not self._last.isdisjoint(met))
        if len(self._learned) >= _LEARNED:
            self._learned.clear()
        self._learned[ready, character] = learned
        return learned

    def _build(self, node: _Node) -> _Piece:
        if isinstance(node, _One):
            self._taken.append(node.taken)
            self._after.append(frozenset())
            here = frozenset({len(self._taken) - 1})
            return _Piece(here, here, is_optional=False)
        if isinstance(node, _Row):
            row = _EMPTY
            for each in node.nodes:
                row = self._joined(row, self._build(each))
            return row
        if isinstance(node, _Choice):
            pieces = [self._build(each) for each in node.nodes]
            return _Piece(
                frozenset().union(*(piece.first for piece in pieces)),
                frozenset().union(*(piece.last for piece in pieces)),
                is_optional=any(piece.is_optional for piece in pieces),
            )
        return self._repeated(node)

    def _repeated(self, node: _Repeated) -> _Piece:
        row = _EMPTY
        # Without an end the last copy repeats itself.
        copies = max(1, node.least) if node.most is None else node.most
        for number in range(copies):
            piece = self._build(node.node)
            if node.most is None and number == copies - 1:
                self._follow(piece.last, piece.first)
            if number >= node.least:
                piece = _Piece(piece.first, piece.last, is_optional=True)
            row = self._joined(row, piece)
        return row

    def _joined(self, one: _Piece, two: _Piece) -> _Piece:
        self._follow(one.last, two.first)
        return _Piece(
            one.first | two.first if one.is_optional else one.first,
            two.last | one.last if two.is_optional else two.last,
            is_optional=one.is_optional and two.is_optional,
        )

    def _follow(self, last: frozenset[int], first: frozenset[int]) -> None:
        for position in last:
            self._after[position] |= first


@lru_cache(_KEPT)
def pattern_automaton(expression: str) -> PatternAutomaton:
    """The automaton of an expression, made once."""
    return PatternAutomaton.of(expression)


class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._at = 0

    def whole(self) -> _Node:
        node = self._choice()
        if self._at != len(self._expression):
            raise ValueError(f"an expression that isn't understood at character {self._at + 1}")
        return node

    def _choice(self) -> _Node:
        nodes = [self._row()]
        while self._expression.startswith("|", self._at):
            self._at += 1
            nodes.append(self._row())
        return nodes[0] if len(nodes) == 1 else _Choice(tuple(nodes))

    def _row(self) -> _Node:
        nodes: list[_Node] = []
        while found := _TOKEN.match(self._expression, self._at):
            if found["close"] or found["or"]:
                break
            self._at = found.end()
            if found["quantifier"]:
                if not nodes:
                    raise ValueError("a quantifier with nothing before it")
                nodes.append(_Repeated(nodes.pop(), *_times(found["quantifier"])))
            elif found["open"]:
                nodes.append(self._choice())
                if not self._expression.startswith(")", self._at):
                    raise ValueError("a group that is never closed")
                self._at += 1
            else:
                nodes.append(_One(_characters(found)))
        return _Row(tuple(nodes))


def _times(quantifier: str) -> tuple[int, int | None]:
    if quantifier in _QUANTIFIERS:
        return _QUANTIFIERS[quantifier]
    least, comma, most = quantifier[1:-1].partition(",")
    return int(least), (int(most) if most else None) if comma else int(least)


def _characters(found: re.Match[str]) -> CharacterSet:
    if found["any"]:
        return CharacterSet(frozenset(), negated=True)
    if found["class"] is None:
        return CharacterSet(frozenset(_literal(found["character"])))
    characters: set[str] = set()
    for first, last, single in _CLASS_PART.findall(found["class"]):
        if single:
            characters.add(_literal(single))
        else:
            characters |= {chr(code) for code in range(ord(_literal(first)), ord(_literal(last)) + 1)}
    return CharacterSet(frozenset(characters), negated=bool(found["not"]))


def _literal(text: str) -> str:
    if text[0] == "\\" and text[-1].isalnum():
        raise ValueError(f"the class {text}, which Python and Rust read differently")
    return text[-1]
