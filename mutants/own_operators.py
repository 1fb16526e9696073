"""Changes that cosmic-ray has no operator for: a step that is left out, a choice that is turned round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import parso
from cosmic_ray.operators.operator import Operator

if TYPE_CHECKING:
    from collections.abc import Iterator

_CALL_PARTS: Final = 2
_SWAPPED: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}


class LeaveOutStatement(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """Puts ``pass`` in the place of a bare call, a ``raise`` or an augmented assignment."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """The statements that are left out."""
        if _is_statement(node) and (_is_bare_call(node) or _is_raise(node) or _is_augmented(node)):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002  # cosmic-ray's signature
        """Nothing instead of the statement."""
        return parso.parse(f"{node.get_first_leaf().prefix}pass").children[0]

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: the results say what it does."""
        return ()


class SwapChoice(Operator):  # type: ignore[misc]  # cosmic-ray has no types
    """``any`` for ``all``, ``min`` for ``max``, ``in`` for ``not in``, and the other way round."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """The names and the words."""
        if (node.type == "name" and node.value in _SWAPPED and _is_called(node)) or _is_in(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ARG002  # cosmic-ray's signature
        """The other one."""
        if node.type == "name":
            node.value = _SWAPPED[node.value]
            return node
        if node.type == "keyword":
            node.value = "not in"
            return node
        first, second = node.children
        second.prefix = first.prefix
        return second

    @classmethod
    def examples(cls) -> tuple[()]:
        """None: the results say what it does."""
        return ()


OWN_OPERATORS: Final = (LeaveOutStatement, SwapChoice)


def _is_statement(node: Any) -> bool:
    return node.parent is not None and node.parent.type == "simple_stmt" and node.type not in {"newline", "string"}


def _is_bare_call(node: Any) -> bool:
    if node.type not in {"atom_expr", "power"} or len(node.children) < _CALL_PARTS:
        return False
    last = node.children[-1]
    return bool(last.type == "trailer" and last.children[0].value == "(")


def _is_raise(node: Any) -> bool:
    return bool(node.type == "raise_stmt" or (node.type == "keyword" and node.value == "raise"))


def _is_augmented(node: Any) -> bool:
    return node.type == "expr_stmt" and any(
        (child.type == "operator" and child.value.endswith("=") and child.value != "=") or child.type == "augassign"
        for child in node.children
    )


def _is_called(node: Any) -> bool:
    following = node.get_next_sibling()
    return following is not None and following.type == "trailer" and following.children[0].value == "("


def _is_in(node: Any) -> bool:
    if node.parent is None or node.parent.type != "comparison":
        return False
    if node.type == "keyword":
        return bool(node.value == "in")
    return node.type == "comp_op" and [child.value for child in node.children] == ["not", "in"]
