"""``redis-ttl demo load``: the incident's keyspace on a server of yours, at any size.

A face of `write_keyspace`: options in, progress on stderr, the table of what an audit must find on stdout.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.incident.writer import write_keyspace
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import FULL_KEYS, Share, expected_patterns, scaled
from redis_ttl.messages.figures import printable

app = typer.Typer(no_args_is_help=True)

_DEFAULT_KEYS = FULL_KEYS // 10
_PLAIN_PROGRESS_EVERY_S = 2.0
_EXIT_INTERRUPTED = 130


@app.callback()
def demo() -> None:
    """Something to try an audit on."""


@app.command()
def load(
    url: Annotated[str, typer.Argument(metavar="URL", help="An empty database, such as redis://127.0.0.1:6379/0.")],
    keys: Annotated[int, typer.Option(help=f"Keys to write; {FULL_KEYS} is the incident's full size.")] = _DEFAULT_KEYS,
    seed: Annotated[int, typer.Option(help="The same seed gives the same keys and types.")] = 1,
    add: Annotated[
        bool, typer.Option("--add", help="Write into a database that already holds keys; nothing is removed.")
    ] = False,
    anywhere: Annotated[bool, typer.Option("--anywhere", help="Allow a server on another machine.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what an audit must find, as JSON.")] = False,
) -> None:
    """Write the incident's keyspace into a database or a Redis Cluster, and print what an audit must find there."""
    started = time.monotonic()
    shares = scaled(FAMILIES, keys)
    endpoint = endpoint_from_url(url)
    try:
        with _progress(keys) as on_progress:
            write_keyspace(endpoint, shares, seed=seed, add=add, anywhere=anywhere, on_progress=on_progress)
    except KeyboardInterrupt:
        typer.echo("stopped; the keys written so far stay there", err=True)
        raise typer.Exit(_EXIT_INTERRUPTED) from None
    duration_s = time.monotonic() - started
    if as_json:
        typer.echo(json.dumps(_expectation(shares, seed, duration_s), ensure_ascii=False, indent=2))
    else:
        _print_expectation(shares, duration_s)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Shows the keys written so far: as a bar in a terminal, as a line every few seconds elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines(total)
        return
    columns = (
        TextColumn("writing keys"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:,.0f} keys/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, rate=0.0)
        started = time.monotonic()
        yield lambda keys: bar.update(task, completed=keys, rate=keys / max(time.monotonic() - started, 0.001))


def _plain_lines(total: int) -> Callable[[int], None]:
    started = shown = time.monotonic()

    def show(keys: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < _PLAIN_PROGRESS_EVERY_S and keys < total:
            return
        shown = now
        rate = keys / max(now - started, 0.001)
        typer.echo(f"{keys:,} of {total:,} keys, {rate:,.0f} keys/s, {(total - keys) / rate:.0f} s left", err=True)

    return show


def _expectation(shares: Sequence[Share], seed: int, duration_s: float) -> dict[str, Any]:
    patterns = expected_patterns(shares)
    return {
        "seed": seed,
        "keys": sum(count.keys for count in patterns.values()),
        "no_ttl_keys": sum(count.no_ttl_keys for count in patterns.values()),
        "duration_s": round(duration_s, 3),
        "patterns": [
            {"pattern": text, "keys": count.keys, "no_ttl_keys": count.no_ttl_keys} for text, count in patterns.items()
        ],
    }


def _print_expectation(shares: Sequence[Share], duration_s: float) -> None:
    patterns = expected_patterns(shares)
    keys = sum(count.keys for count in patterns.values())
    no_ttl_keys = sum(count.no_ttl_keys for count in patterns.values())
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("pattern", overflow="fold")
    table.add_column("keys", justify="right", no_wrap=True)
    table.add_column("no TTL", justify="right", no_wrap=True)
    for text, count in sorted(patterns.items(), key=lambda row: -row[1].keys):
        table.add_row(Text(printable(text)), f"{count.keys:,}", f"{count.no_ttl_keys:,}")
    console = Console()
    console.print(table)
    console.print(
        f"{keys:,} keys, {no_ttl_keys:,} of them without TTL ({no_ttl_keys / keys:.1%}), written in {duration_s:.1f} s"
        f" ({keys / duration_s:,.0f} keys/s)",
        highlight=False,
        soft_wrap=True,
    )
