"""Which changes of meaning are tried, and where they would mean nothing.

A change is one operator at one place of a module. cosmic-ray knows every replacement of every operator; these are the ones
that say something of their own: a bound that moves by one, a condition that is turned round, a step that is left out.
"""

from __future__ import annotations

import ast
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_item import MutationSpec, WorkItem

from mutants.own_operators import OWN_OPERATORS
from mutants.settings import Silent, read_silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BINARY: Final = (
    "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul BitOr_BitAnd BitAnd_BitOr LShift_RShift RShift_LShift"
)
_COMPARISON: Final = "Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is"
_UNARY: Final = "Delete_USub Delete_Not Delete_Invert"
_OTHERS: Final = (
    "AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd ReplaceBreakWithContinue "
    "ReplaceContinueWithBreak ExceptionReplacer NumberReplacer ZeroIterationForLoop"
)
_CHOSEN: Final = (
    *(f"core/ReplaceBinaryOperator_{each}" for each in _BINARY.split()),
    *(f"core/ReplaceComparisonOperator_{each}" for each in _COMPARISON.split()),
    *(f"core/ReplaceUnaryOperator_{each}" for each in _UNARY.split()),
    *(f"core/{each}" for each in _OTHERS.split()),
)

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """One change as a person reads it: the first line that differs, as it was and as it is now, in that definition."""

    module: str
    definition: str
    line: int
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line} in {self.definition}: `{self.was}` → `{self.now}`"


def all_changes(path: Path) -> Iterator[WorkItem]:
    """Every change of one module, as cosmic-ray keeps it in a session."""
    source = path.read_text()
    tree = get_ast(source)
    silent = _silent_places(ast.parse(source), read_silent())
    for name, operator in _operators().items():
        places = ((node, start, end) for node in ast_nodes(tree) for start, end in operator.mutation_positions(node))
        for occurrence, (node, start, end) in enumerate(places):
            if any(first <= start < last for first, last in silent):
                continue
            spec = MutationSpec(
                module_path=str(path),
                operator_name=name,
                occurrence=occurrence,
                start_pos=start,
                end_pos=end,
                definition_name=ASTQuery(node).get_definition_name(),
            )
            yield WorkItem.single(job_id=uuid.uuid4().hex, mutation=spec)


def changed_source(source: str, spec: MutationSpec) -> str | None:
    """The module with that change in it; None where there is nothing to change, or nothing that Python reads."""
    try:
        changed: str | None = mutate_code(source, _operators()[spec.operator_name], spec.occurrence)
    except AttributeError:  # cosmic-ray can replace an exception's name only where it has no dots
        return None
    if changed is None or changed == source:
        return None
    try:
        compile(changed, "changed", "exec")
    except SyntaxError:
        return None
    return changed


def describe(module: str, source: str, changed: str, spec: MutationSpec) -> Change:
    """The change in words."""
    before, after = source.splitlines(), changed.splitlines()
    at = next((number for number, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), 0)
    return Change(module, spec.definition_name or "the module", at + 1, before[at].strip(), after[at].strip())


def statement_lines(source: str) -> dict[int, tuple[int, ...] | None]:
    """For each line the lines of the innermost statement that it is part of (without its block); None outside of functions, where
    a statement runs when the module is imported.
    """
    found: dict[int, tuple[int, ...] | None] = {}

    def walk(node: ast.AST, *, in_function: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                last = child.end_lineno or child.lineno
                body = getattr(child, "body", None)
                head_last = max(child.lineno, body[0].lineno - 1) if body else last
                lines = tuple(range(child.lineno, head_last + 1))
                for line in range(child.lineno, last + 1):
                    found[line] = lines if in_function else None
            inside = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            walk(child, in_function=inside)

    walk(ast.parse(source), in_function=False)
    return found


def _operators() -> dict[str, Any]:
    if not _OPERATORS:
        _OPERATORS.update({name: cosmic_ray.plugins.get_operator(name)() for name in _CHOSEN})
        _OPERATORS.update({f"own/{each.__name__}": each() for each in OWN_OPERATORS})
    return _OPERATORS


_OPERATORS: Final[dict[str, Any]] = {}


def _silent_places(tree: ast.Module, silent: Silent) -> list[tuple[Place, Place]]:
    """Where a change means nothing at run time, or guards against our own mistakes only: annotations, decorators, what is there
    for the type checker, and what the settings name.
    """
    found: list[ast.AST | None] = []
    signatures: list[tuple[Place, Place]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found += node.decorator_list
            signatures += _signature(node)
        elif isinstance(node, ast.ClassDef):
            found += node.decorator_list
        elif isinstance(node, ast.Call) and _called(node) in silent.texts:
            found += [*node.args, *node.keywords]
        elif _is_silent(node, silent):
            found.append(node)
    return signatures + [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in found
        if isinstance(node, ast.expr | ast.stmt | ast.keyword)
    ]


def _called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return ast.unparse(node.func).rpartition(".")[-1]


def _is_silent(node: ast.AST, silent: Silent) -> bool:
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.keyword):
        return node.arg in silent.keywords
    return isinstance(node, ast.Call) and _called(node) in silent.calls


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[tuple[Place, Place]]:
    """From ``def`` to the body, without what stands in place of an argument."""
    defaults = [each for each in (*node.args.defaults, *node.args.kw_defaults) if each is not None]
    found, at = [], (node.lineno, node.col_offset)
    for default in sorted(defaults, key=lambda each: (each.lineno, each.col_offset)):
        found.append((at, (default.lineno, default.col_offset)))
        at = default.end_lineno or default.lineno, default.end_col_offset or default.col_offset
    return [*found, (at, (node.body[0].lineno, node.body[0].col_offset))]
