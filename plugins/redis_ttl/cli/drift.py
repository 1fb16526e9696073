"""``redis-ttl drift show CLUSTER``: what the last drift check found. Reads the store, asks no server."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from redis_ttl.adapters.store.store import Store
from redis_ttl.cli.store_folder import store_folder
from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.messages.pages.drift_page import drift_page
from redis_ttl.usecases.store.drift import DriftDocuments

app = typer.Typer(help="Show a cluster's drift.", no_args_is_help=True)


@app.callback()
def _drift() -> None:
    """Show a cluster's drift."""


@app.command("show", no_args_is_help=True)
def show(
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER", help="The cluster's name in its policy.")],
    store: Annotated[str, typer.Option(help="The folder of the store.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Print the last report: new keys without TTL, by pattern, with their owners and examples."""
    report = DriftDocuments(Store(store_folder(store)), cluster).last_report()
    if report is None:
        raise InvalidOption(
            "no drift check of this cluster in this store",
            where="CLUSTER",
            found=cluster,
            todo=f"Run redis_ttl.{cluster}.drift_check in Airflow first.",
        )
    typer.echo(json.dumps(to_plain(report), ensure_ascii=False) if as_json else drift_page(report), nl=as_json)
