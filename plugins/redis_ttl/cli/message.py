"""``redis-ttl message preview KIND``: what a message says, made of the documents of the store. Sends nothing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redis_ttl.cli.store_folder import store_folder
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.messages.kind import Format, MessageKind
from redis_ttl.domain.policy.policy import Language, Owner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.messages.facts.any_facts import AnyFacts
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.messages.rendering import RenderedMessage

app = typer.Typer(help="Messages to the teams that own the keys.", no_args_is_help=True)

LATEST = "LATEST"
_EXAMPLE_ZONE = "Asia/Shanghai"


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
        str | None,
        typer.Option(envvar="REDIS_TTL_STORE", help="The store's folder; in Airflow, redis_ttl under AIRFLOW_HOME."),
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="The cluster's policy file.")] = None,
    which: Annotated[
        str,
        typer.Option("--audit", "--plan", "--event", help="The id of the audit, plan or event it is about, or LATEST."),
    ] = LATEST,
    owner: Annotated[str | None, typer.Option(help="Only the message to this team.")] = None,
    language: Annotated[Wanted | None, typer.Option(help="Instead of the owner's languages in the policy.")] = None,
    form: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.MARKDOWN,
    redact: Annotated[bool, typer.Option("--redact", help="Leave out key names.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the mail's HTML part to this file.")] = None,
    example: Annotated[bool, typer.Option("--example", help="Use the built-in example; needs no documents.")] = False,
) -> None:
    """Show a message as a team would receive it, in its languages."""
    chosen = None if policy is None else _policy(policy)
    facts = (
        _example(kind, chosen) if example else _facts(kind, None if not store else store_folder(store), chosen, which)
    )
    wanted = [each for each in facts if owner in (None, each[0].team)]
    if not wanted:
        raise BadInput(
            "there is nothing to say" if not facts else "there is nothing to say to that team",
            where=f"{kind.value} {which}",
            found=owner,
            allowed=", ".join(each[0].team for each in facts) or None,
        )
    for contact, each in wanted:
        if len(wanted) > 1:
            typer.echo(f"to {contact.team}", err=True)
        zone = _EXAMPLE_ZONE if chosen is None else chosen.timezone_of(contact)
        redacts = redact or (chosen is not None and chosen.messages.redacts_keys)
        message = _render(each, _languages(contact, language), zone, redacts=redacts)
        if html is not None:
            html.write_text(message.email_html, encoding="utf-8")
        _show(message, form)


def _show(message: RenderedMessage, form: Format) -> None:
    match form:
        case Format.SLACK:
            blocks = {"text": message.slack_text, "blocks": message.slack_blocks}
            typer.echo(json.dumps(blocks, ensure_ascii=False, indent=1))
        case Format.EMAIL:
            typer.echo(f"Subject: {message.subject}\n\n{message.email_text}", nl=False)
        case Format.MARKDOWN:
            typer.echo(message.markdown, nl=False)


def _render(facts: AnyFacts, languages: Sequence[Language], timezone: str, *, redacts: bool) -> RenderedMessage:
    from redis_ttl.messages.rendering import documents_of, render

    return render(documents_of(facts, languages=languages, timezone=timezone, redacts=redacts))


def _policy(path: Path) -> Policy:
    from redis_ttl.adapters.policy_files.policy_file import load_policy

    return load_policy(path)


def _example(kind: MessageKind, policy: Policy | None) -> Sequence[tuple[Owner, AnyFacts]]:
    from redis_ttl.domain.incident.messages import EXAMPLES

    facts = EXAMPLES[kind]
    owner = Owner(facts.owner, languages=tuple(Language)) if policy is None else policy.owner
    return [(owner, facts)]


def _facts(
    kind: MessageKind, folder: Path | None, policy: Policy | None, which: str
) -> Sequence[tuple[Owner, AnyFacts]]:
    from redis_ttl.adapters.counting.pattern_merger import read_patterns
    from redis_ttl.adapters.store.store import Store
    from redis_ttl.usecases.messages.message_sources import MessageSources

    if folder is None or policy is None:
        raise BadInput(
            "a message is made of documents, by a policy",
            where="redis-ttl message preview",
            found=" and ".join(
                f"no {name}" for name, value in (("--store", folder), ("--policy", policy)) if value is None
            ),
            todo="Name both, or take --example.",
        )
    return MessageSources(Store(folder), policy, read_patterns).facts_of(kind, which)


def _languages(contact: Owner, wanted: Wanted | None) -> tuple[Language, ...]:
    if wanted is None:
        return contact.languages
    return tuple(Language) if wanted is Wanted.BOTH else (Language(wanted.value),)
