"""The ``redis-ttl`` command: its subcommands, and how an error becomes a message and an exit status."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING

import typer

import redis_ttl
from redis_ttl.cli import demo, drift, journal, message, plan, policy
from redis_ttl.cli.audit import command as audit
from redis_ttl.domain.errors import BadInput, RedisTtlError

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(
    name="redis-ttl",
    help="Find Redis keys that never expire, by pattern.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("audit")(audit.audit)
app.command("plan")(plan.plan)
app.add_typer(policy.app, name="policy")
app.add_typer(journal.app, name="journal")
app.add_typer(drift.app, name="drift")
app.add_typer(message.app, name="message")
app.add_typer(demo.app, name="demo")

#: The audit didn't succeed; the operator's words were wrong. 128 and more: a signal stopped it, 130 for Ctrl-C.
EXIT_FAILED, EXIT_USAGE, _EXIT_BY_SIGNAL = 1, 2, 128


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f"redis-ttl {redis_ttl.__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command; errors of ours are one message on standard error, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a key's name that this locale has no letters for is no reason to fail
            stream.reconfigure(errors="backslashreplace")
    try:
        with _tidy_end_by_signals():
            app()
    except RedisTtlError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        sys.exit(EXIT_USAGE if isinstance(error, BadInput) else EXIT_FAILED)


@contextmanager
def _tidy_end_by_signals() -> Iterator[None]:
    """Within, a kill or the end of the terminal ends the program as Ctrl-C does: temporary files and workers go with it.

    A signal that somebody switched off (nohup) stays off.
    """

    def end(number: int, _frame: object) -> None:
        sys.exit(_EXIT_BY_SIGNAL + number)

    before = {sign: signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGHUP)}
    switched = [sign for sign, handler in before.items() if handler is signal.SIG_DFL]
    for sign in switched:
        signal.signal(sign, end)
    try:
        yield
    finally:
        for sign in switched:
            signal.signal(sign, signal.SIG_DFL)


if __name__ == "__main__":
    main()
