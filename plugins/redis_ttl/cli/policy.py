"""``redis-ttl policy check``: every mistake of policy files, or what each rule would match. Asks no server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from redis_ttl.adapters.policy_files.policy_file import load_files, policy_files
from redis_ttl.cli.policy_summary import policy_summary
from redis_ttl.domain.errors import InvalidPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

app = typer.Typer(help="Check policy files.", no_args_is_help=True)

EXIT_MISTAKES = 1


@app.callback()
def _policy() -> None:
    """Check policy files."""


@app.command("check", no_args_is_help=True)
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", exists=True, help="Policy files or folders.")],
) -> None:
    """Show what each rule would match, or every mistake with its line; exit with 1 if there is any."""
    console = Console(soft_wrap=True, highlight=False)
    results = load_files(_expanded(files))
    problems = [result for result in results.values() if isinstance(result, InvalidPolicy)]
    for path, result in results.items():
        if isinstance(result, InvalidPolicy):
            console.print(Text(str(result), style="red"))
        else:
            console.print(policy_summary(str(path), result))
        console.print()
    if problems:
        mistakes = sum(len(problem.mistakes) for problem in problems)
        console.print(f"{_count(mistakes, 'mistake')} in {len(problems)} of {_count(len(results), 'file')}.")
        raise typer.Exit(EXIT_MISTAKES)
    console.print(f"{_count(len(results), 'file')}, no mistakes.")


def _expanded(paths: Iterable[Path]) -> list[Path]:
    """The files, with those of a folder in its place, each once."""
    files = [file for path in paths for file in (policy_files(path) if path.is_dir() else [path])]
    return list({file.resolve(): file for file in files}.values())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
