"""From the text of a policy file to its policy, or to all of its mistakes with their places. Opens no file.

Brings together the tree, which knows where everything stands, the shape, which knows what may stand there, and the
relations between entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from redis_ttl.adapters.policy_files.leaves.leaf import MISTAKE, describe, did_you_mean
from redis_ttl.adapters.policy_files.relations import relation_mistakes
from redis_ttl.adapters.policy_files.shape import PolicyEntry, known_keys
from redis_ttl.adapters.policy_files.text import find_cluster_line, line_of
from redis_ttl.adapters.policy_files.tree import Mapping, Mark, Node, Sequence, parse_tree
from redis_ttl.domain.errors import InvalidPolicy
from redis_ttl.domain.policy_mistake import PolicyMistake
from redis_ttl.domain.secret import without_secrets

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from redis_ttl.adapters.policy_files.relations import Location
    from redis_ttl.adapters.policy_files.tree import TreeMistake
    from redis_ttl.domain.policy.policy import Policy


MAX_MISTAKES: Final = 50
"""Of one file that are told at once; nobody mends more in one go, and a broken file may have a hundred thousand."""


def parse_policy(text: str, file: str) -> Policy:
    """The policy of a text; ``InvalidPolicy`` with all of its mistakes, which call the file by the name given."""
    root, tree_mistakes = parse_tree(text)
    mistakes = _Mistakes(text, file, tree_mistakes)
    entry: PolicyEntry | None = None
    if isinstance(root, Mapping):
        document = {key: _plain(node) for key, node in root.values.items()}
        entry = _read_shape(root, document, mistakes)
        for relation in relation_mistakes(document):
            if mistakes.are_too_many:
                break
            other = relation.other and f" ({_path(relation.other)}, line {_mark(root, relation.other).line})"
            found = f"{relation.found}{other or ''}"
            mistakes.add(relation.location, _mark(root, relation.location), found, relation.expected, relation.advice)
        _check_cluster_line(root, text, entry, mistakes)
    elif not mistakes.found:
        found = describe(_plain(root)) if root else "an empty file"
        mistakes.add((), root.mark if root else Mark(1, 1), found, "a policy, beginning with `cluster:`", None)
    if entry is None or mistakes.found:
        raise InvalidPolicy(file, tuple(sorted(mistakes.found, key=lambda mistake: (mistake.line, mistake.column))))
    return entry.value()


class _Mistakes:
    """The mistakes found so far in one text."""

    def __init__(self, text: str, file: str, tree_mistakes: list[TreeMistake]) -> None:
        self.found: list[PolicyMistake] = []
        self._text = text
        self._file = file
        for mistake in tree_mistakes:
            self._add(mistake.mark, mistake.where, mistake.found, mistake.expected, mistake.advice)
        self._misread = {mistake.mark for mistake in tree_mistakes}

    def add(self, location: Location, mark: Mark, found: str, expected: str, advice: str | None) -> None:
        """One more, unless YAML itself was wrong about that very place: then it isn't what it looks like."""
        if not location or mark not in self._misread:
            self._add(mark, _path(location), found, expected, advice)

    @property
    def are_too_many(self) -> bool:
        """Whether there is no point in looking for more."""
        return len(self.found) > MAX_MISTAKES

    def _add(self, mark: Mark, where: str, found: str, expected: str, advice: str | None) -> None:
        if self.are_too_many:
            return
        if len(self.found) == MAX_MISTAKES:
            where, found, expected = "", "more mistakes than are shown", f"{MAX_MISTAKES} at most"
            advice = "Mend these first"
        # Mistakes end up in logs: a password in a URL must not.
        source = without_secrets(line_of(self._text, mark.line) or "")
        self.found.append(PolicyMistake(self._file, mark.line, mark.column, where, found, expected, advice, source))


def _read_shape(root: Node, document: dict[str, object], mistakes: _Mistakes) -> PolicyEntry | None:
    try:
        return PolicyEntry.model_validate(document)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if mistakes.are_too_many:
                break
            location = detail["loc"]
            mark = _mark(root, location, at_key=detail["type"] == "extra_forbidden")
            mistakes.add(location, mark, *_explain(detail))
    return None


def _check_cluster_line(root: Node, text: str, entry: PolicyEntry | None, mistakes: _Mistakes) -> None:
    """The cluster's name must be where ``find_cluster_line`` finds it, or the file would go by two names."""
    if entry is None:
        return
    line = find_cluster_line(text.encode())
    if line is None or line.cluster != entry.cluster:
        expected = f"`cluster: {entry.cluster}` as a line of its own, from column 1"
        advice = "This line is also read without YAML, to find a cluster's file quickly"
        mistakes.add(("cluster",), _mark(root, ("cluster",)), "a name written in another way", expected, advice)


def _explain(detail: ErrorDetails) -> tuple[str, str, str | None]:
    """Found, expected and advice of one of pydantic's errors."""
    kind, value, name = detail["type"], detail["input"], str(detail["loc"][-1])
    if kind == MISTAKE:
        context = detail["ctx"]
        return context["found"], context["expected"], context["advice"]
    if kind == "missing":
        return f"no `{name}`", f"`{name}`, which can't be left out", None
    if kind == "extra_forbidden":
        known = known_keys(detail["loc"])
        return f"the unknown key `{name}`", f"one of {', '.join(known)}", did_you_mean(name, known)
    if kind == "tuple_type":
        return describe(value), "a list", "Begin each item on a line of its own with `- `" if value else None
    return describe(value), f"a mapping of {', '.join(known_keys((*detail['loc'], '')))}", None


def _plain(node: Node) -> object:
    """A tree as mappings, lists and texts; None where nothing was written."""
    if isinstance(node, Mapping):
        return {name: _plain(value) for name, value in node.values.items()}
    if isinstance(node, Sequence):
        return [_plain(item) for item in node.items]
    return None if not node.quoted and node.text in ("", "~", "null", "Null", "NULL") else node.text


def _mark(root: Node, location: Location, *, at_key: bool = False) -> Mark:
    """Where a piece of the document stands; where it is missing, the entry that should have it."""
    node = root
    for step in location:
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.values:
            if at_key and step == location[-1]:
                return node.keys[step]
            node = node.values[step]
        elif isinstance(node, Sequence) and isinstance(step, int):
            node = node.items[step]
        else:
            break
    return node.mark


def _path(location: Location) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
