"""``redis-ttl journal show PLAN``: what a plan changed, for whom, and by whose approval. Reads the store, asks no server."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redis_ttl.adapters.journal.summary import JournalSummary
from redis_ttl.adapters.store.store import Store
from redis_ttl.cli.store_folder import store_folder
from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.document_ids import check_document_id
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.messages.pages.journal_page import journal_page
from redis_ttl.usecases.store.plans import PlanDocuments, has_plan

if TYPE_CHECKING:
    from redis_ttl.domain.plan.plan import Plan

app = typer.Typer(help="Show a remediation's journal.", no_args_is_help=True)


@app.callback()
def _journal() -> None:
    """Show a remediation's journal."""


@app.command("show", no_args_is_help=True)
def show(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id, such as 20260220T190000Z-0a1b2c.")],
    store: Annotated[str, typer.Option(help="The folder of the store.")],
    cluster: Annotated[str | None, typer.Option(help="The cluster, if several have a plan with this id.")] = None,
    key: Annotated[str | None, typer.Option(help="Show only this key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show what was changed, for whom, who approved it, and when the keys expire."""
    documents = _documents(Store(store_folder(store)), plan, cluster)
    found = documents.plan()
    summary = JournalSummary(None if key is None else key.encode("utf-8", "surrogateescape"))
    for name in documents.journal_names():
        summary.add(name, documents.journal(name))
    if as_json:
        typer.echo(json.dumps(_plain(found, documents, summary), ensure_ascii=False))
    else:
        typer.echo(
            journal_page(found, documents.decisions(), summary.rules(), summary.objects, summary.of_key), nl=False
        )


def _documents(store: Store, plan: str, cluster: str | None) -> PlanDocuments:
    plan_id = check_document_id(plan, where="PLAN")
    clusters = [cluster] if cluster else store.names("")
    held = [each for each in clusters if has_plan(store, each, plan_id)]
    if len(held) != 1:
        raise InvalidOption(
            "there is no such plan in this store" if not held else "several clusters have a plan of this id",
            where="PLAN",
            found=plan_id if not held else ", ".join(held),
            todo="Look into the folders <cluster>/plans of the store." if not held else "Choose one with --cluster.",
        )
    return PlanDocuments(store, held[0], plan_id)


def _plain(plan: Plan, documents: PlanDocuments, summary: JournalSummary) -> dict[str, Any]:
    return {
        "plan": plan.to_json(),
        "decisions": [to_plain(decision) for decision in documents.decisions()],
        "objects": summary.objects,
        "rules": [asdict(row) for row in summary.rules()],
        "key": None if summary.of_key is None else [asdict(row) for row in summary.of_key],
    }
