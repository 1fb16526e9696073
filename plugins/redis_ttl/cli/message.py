"""``redis-ttl message preview KIND``: what a message says, made of the documents of the store. Sends nothing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redis_ttl.adapters.policy_file import load_policy
from redis_ttl.domain.document_ids import check_document_id
from redis_ttl.domain.duration import parse_duration
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.message import Format, MessageKind
from redis_ttl.domain.policy import Language

if TYPE_CHECKING:
    from redis_ttl.adapters.store import Store
    from redis_ttl.domain.message import RenderedMessage
    from redis_ttl.domain.policy import Policy
    from redis_ttl.domain.watch import BurstReport

app = typer.Typer(help="Messages to the teams that own the keys.", no_args_is_help=True)

LATEST = "LATEST"


class Wanted(StrEnum):
    """One language, or both in one message."""

    ENGLISH = Language.ENGLISH.value
    CHINESE = Language.CHINESE.value
    BOTH = "both"


@app.callback()
def _group() -> None:
    pass  # with a single command, typer would leave its name out


@app.command("preview")
def preview(  # one parameter an option: this is the command's signature
    kind: Annotated[MessageKind, typer.Argument(help="What the message is about.")],
    store: Annotated[
        Path, typer.Option(help="The folder with the documents: REDIS_TTL_STORE, or redis_ttl under AIRFLOW_HOME.")
    ],
    policy: Annotated[Path, typer.Option(help="The cluster's policy file.")],
    audit: Annotated[str, typer.Option(help="The id of an audit, or LATEST.")] = LATEST,
    language: Annotated[Wanted | None, typer.Option(help="Not the languages of the policy's owner.")] = None,
    form: Annotated[Format, typer.Option("--format", help="What it would be sent as.")] = Format.MARKDOWN,
    deadline: Annotated[str, typer.Option(help="How long after the audit the team has.")] = "14d",
    redact: Annotated[bool, typer.Option("--redact", help="Leave the names of keys out.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the HTML part of the mail into this file.")] = None,
) -> None:
    """Show a message as a team would get it, in its languages."""
    chosen = load_policy(policy)
    message = _action_required(kind, chosen, store, audit, language=language, deadline=deadline, redact=redact)
    if html is not None:
        html.write_text(message.email_html, encoding="utf-8")
    match form:
        case Format.SLACK:
            typer.echo(
                json.dumps({"text": message.slack_text, "blocks": message.slack_blocks}, ensure_ascii=False, indent=1)
            )
        case Format.EMAIL:
            typer.echo(f"Subject: {message.subject}\n\n{message.email_text}", nl=False)
        case Format.MARKDOWN:
            typer.echo(message.markdown, nl=False)


def _action_required(
    kind: MessageKind,
    policy: Policy,
    folder: Path,
    wanted: str,
    *,
    language: Wanted | None,
    deadline: str,
    redact: bool,
) -> RenderedMessage:
    import datetime as dt

    from redis_ttl.adapters.pattern_merger import read_patterns
    from redis_ttl.adapters.store import Store
    from redis_ttl.domain.message_facts import action_required
    from redis_ttl.messages.rendering import render
    from redis_ttl.usecases.documents import AuditFolder, finished_audits
    from redis_ttl.usecases.read_audit import read_audit

    store = Store(folder)
    audits = finished_audits(store, policy.cluster)
    audit_id = (
        (audits[0] if audits else None) if wanted.upper() == LATEST else check_document_id(wanted, where="--audit")
    )
    if audit_id is None or audit_id not in audits:
        raise BadInput(
            "there is no such finished audit",
            where=f"store {folder}, cluster {policy.cluster}",
            found=audit_id,
            allowed=", ".join(audits[:3]) or None,
            todo=f"Run redis_ttl.{policy.cluster}.audit first, or name another store.",
        )
    audit = read_audit(AuditFolder(store, policy.cluster, audit_id), read_patterns)
    facts = action_required(
        audit,
        policy,
        burst=_latest_burst(store, policy.cluster),
        deadline=dt.timedelta(seconds=parse_duration(deadline)),
    )
    if facts is None:
        raise BadInput(
            "there is nothing to say: every rule is kept, and no pattern without one is noticeable",
            where=f"audit {audit_id}, {kind.value}",
        )
    return render(facts, languages=_languages(policy, language), timezone=policy.audit.timezone, redact=redact)


def _languages(policy: Policy, wanted: Wanted | None) -> tuple[Language, ...]:
    if wanted is None:
        return policy.owner.languages
    return tuple(Language) if wanted is Wanted.BOTH else (Language(wanted.value),)


def _latest_burst(store: Store, cluster: str) -> BurstReport | None:
    from redis_ttl.domain.watch import BurstReport

    folder = f"{cluster}/watch/events"
    names = [name for name in store.names(folder) if name.endswith("-burst.json")]
    if not names:
        return None
    data: Any = json.loads(store.read(f"{folder}/{max(names)}"))
    return BurstReport.from_json(data)
