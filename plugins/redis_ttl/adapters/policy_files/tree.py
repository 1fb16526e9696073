"""A policy file's YAML as a tree in which each piece knows its line and column. Knows nothing of what a policy says.

Every scalar stays the text that was written. So YAML 1.1 can't turn ``on`` into true, ``1:30`` into ninety, ``010``
into eight or a cluster named ``no`` into false; what a text means is decided where it is expected. Anchors, aliases,
tags and a second document are mistakes: a policy needs none of them, and aliases can make a small file expand without
end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from redis_ttl.adapters.policy_files.text import line_of

MAX_DEPTH: Final = 10
"""Levels of nesting; a policy has four."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the file; line and column count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Scalar:
    """One text as it was written, without its quotes."""

    mark: Mark
    text: str
    quoted: bool


@dataclass(slots=True)
class Sequence:
    """A list."""

    mark: Mark
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """A mapping; ``keys`` are the places where its keys stand."""

    mark: Mark
    values: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Mark] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class TreeMistake:
    """What is wrong with the YAML at one place; ``where`` names that place in the document's own words."""

    mark: Mark
    where: str
    found: str
    expected: str
    advice: str | None


def parse_tree(text: str) -> tuple[Node | None, list[TreeMistake]]:
    """The tree of a YAML text, and all that is wrong with it as YAML.

    None for an empty text, and where the syntax is broken: a tree that ends in the middle would only breed false
    mistakes.
    """
    builder = _Builder(text)
    try:
        return builder.document(), builder.mistakes
    except yaml.MarkedYAMLError as error:
        return None, [*builder.mistakes, _syntax_mistake(text, error)]
    except _TooDeep as error:
        found = f"nesting deeper than {MAX_DEPTH} levels"
        return None, [*builder.mistakes, TreeMistake(error.mark, "", found, "a policy, which has four", None)]


_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _TooDeep(Exception):
    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark


class _Builder:
    """Builds the tree out of the parser's events, so that nothing is expanded or resolved on the way."""

    def __init__(self, text: str) -> None:
        self.mistakes: list[TreeMistake] = []
        self._aliases: set[str | None] = set()
        # PyYAML's types don't say which event has an anchor, a tag or a value.
        self._events: Iterator[Any] = yaml.parse(text, Loader=_Loader)

    def document(self) -> Node | None:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), "", 0)
        next(self._events)  # the document's end
        event = next(self._events)
        if isinstance(event, yaml.DocumentStartEvent):
            self._add(
                _mark(event), "", "a second document", "one document", "One file is one cluster: make another file"
            )
        return root

    def _node(self, event: Any, where: str, depth: int) -> Node:
        mark = _mark(event)
        if depth > MAX_DEPTH:
            raise _TooDeep(mark)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._aliases:  # once each: a file made to explode has very many
                self._aliases.add(event.anchor)
                self._add(mark, where, f"the alias `*{event.anchor}`", _PLAIN, _unwanted("aliases", "*"))
            return Scalar(mark, "", quoted=False)
        if event.anchor is not None:
            self._add(mark, where, f"the anchor `&{event.anchor}`", _PLAIN, _unwanted("anchors", "&"))
        if event.tag not in (None, "!"):
            self._add(mark, where, f"the tag `{event.tag}`", _PLAIN, _unwanted("tags", "!"))
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(mark, event.value, quoted=bool(event.style))
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(mark, where, depth)
        return self._mapping(mark, where, depth)

    def _sequence(self, mark: Mark, where: str, depth: int) -> Sequence:
        sequence = Sequence(mark)
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            sequence.items.append(self._node(event, f"{where}[{len(sequence.items)}]", depth + 1))
        return sequence

    def _mapping(self, mark: Mark, where: str, depth: int) -> Mapping:
        mapping = Mapping(mark)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, where, depth + 1)
            name = key.text if isinstance(key, Scalar) else ""
            path = f"{where}.{name}" if where else name
            value = self._node(next(self._events), path, depth + 1)
            if not isinstance(key, Scalar):
                kind = "a list" if isinstance(key, Sequence) else "a mapping"
                self._add(key.mark, where, f"{kind} as a key", "a word", "Quote a text that begins with { or [")
            elif name in mapping.values:
                first = mapping.keys[name].line
                self._add(key.mark, path, f"`{name}` again", "each key once", f"It stands on line {first} already")
            else:
                mapping.values[name] = value
                mapping.keys[name] = key.mark
        return mapping

    def _add(self, mark: Mark, where: str, found: str, expected: str, advice: str) -> None:
        self.mistakes.append(TreeMistake(mark, where, found, expected, advice))


_PLAIN = "a plain value"


def _unwanted(kind: str, sign: str) -> str:
    return f"Policies have no {kind}; quote a text that begins with {sign}"


def _mark(event: yaml.Event) -> Mark:
    return _mark_at(event.start_mark)


def _mark_at(place: Any) -> Mark:
    return Mark(place.line + 1, place.column + 1) if place else Mark(1, 1)


def _syntax_mistake(text: str, error: yaml.MarkedYAMLError) -> TreeMistake:
    """PyYAML's complaint like any other mistake: at the place that wants a change, with advice on the usual causes."""
    problem = error.problem or "unreadable"
    unclosed = "unexpected end of stream" in problem
    # That a quote is still open at the end of the file helps nobody; where it was opened does.
    mark = _mark_at(error.context_mark if unclosed else error.problem_mark or error.context_mark)
    line = line_of(text, mark.line) or ""
    character = line[mark.column - 1 : mark.column]
    if unclosed:
        advice = "The quote that is opened here is never closed"
    elif character == "\t":
        advice = "Indent with spaces: YAML doesn't allow tabs"
    elif "cannot start any token" in problem:
        advice = f"Quote a text that begins with {character}"
    elif "mapping values are not allowed" in problem:
        advice = "Quote a text in which a space follows a colon, and check the indentation"
    elif _UNQUOTED_FLOW.search(line):
        advice = "Quote a text that begins with { or ["
    else:
        advice = "Check the indentation, and the quotes and brackets above"
    found = f"broken YAML ({problem}{' ' + error.context if error.context else ''})"
    return TreeMistake(mark, "", found, "YAML that can be read", advice)


_UNQUOTED_FLOW = re.compile(r"[:-]\s+[\[{]")
