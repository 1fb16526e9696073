"""``redis-ttl plan URL``: what a remediation would do, from an audit that is made for it. Writes nothing."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated

import typer

from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.cli.audit.options import options_of
from redis_ttl.cli.audit.run import (
    DbOption,
    LoadOption,
    SampleOption,
    ShardsOption,
    SourceOption,
    TlsCaOption,
    TlsCertOption,
    TlsInsecureOption,
    TlsKeyOption,
    Url,
    UsernameOption,
    audited,
    endpoint_of,
    page_console,
)
from redis_ttl.cli.plan_table import plan_tables
from redis_ttl.cli.store_folder import store_folder
from redis_ttl.domain.document_ids import document_id
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.usecases.plan.build_plan import build_plan, inspect_primaries

#: What a plan that no DAG run made is for: reading.
TERMINAL_RUN = "terminal"


def plan(  # one parameter an option: this is the command's signature
    url: Url,
    policy: Annotated[Path, typer.Option(help="The cluster's policy file, with its rules.")],
    rules: Annotated[
        list[str] | None,
        typer.Option("--rule", "--rules", help="Only this rule, by its pattern; repeatable."),
    ] = None,
    load: LoadOption = None,
    shards: ShardsOption = None,
    sample: SampleOption = None,
    db: DbOption = None,
    source: SourceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
    audit_store: Annotated[str | None, typer.Option(help="Keep the audit's documents in this folder.")] = None,
    username: UsernameOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    tls_insecure: TlsInsecureOption = False,
) -> None:
    """Audit a keyspace and show what a remediation by this policy would do: which keys, when they expire, what it costs.

    Read-only. This plan can't be approved; the DAG that builds one for approval is `redis_ttl.<cluster>.remediate`.
    """
    folder = None if audit_store is None else store_folder(audit_store, where="--audit-store", must_exist=False)
    chosen = load_policy(policy)
    endpoint = endpoint_of(
        url, username=username, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key, tls_insecure=tls_insecure
    )
    options = options_of(chosen, endpoint.db, load=load, shards=shards, sample=sample, db=db, source=source)
    # Before an audit that may take its time: no audit could make up for it.
    inspect_primaries(RedisDeployment(endpoint, parse_load(options.load)), chosen, endpoint.db)
    with audited(endpoint, options, chosen, folder) as audit:
        now = SystemClock().now()
        made = build_plan(
            RedisDeployment(endpoint, parse_load(options.load)),
            audit,
            chosen,
            plan_id=document_id(now, secrets.token_hex(3)),
            run=TERMINAL_RUN,
            now=now,
            rules=rules or None,
        )
    if as_json:
        typer.echo(json.dumps(made.to_json(), ensure_ascii=False))
        return
    console = page_console()
    console.print(plan_tables(made))
    console.print()
    console.print(
        f"Nothing was written. To do this, trigger redis_ttl.{chosen.cluster}.remediate in Airflow: it makes its own plan and "
        "waits for an approval there.",
        highlight=False,
        markup=False,
    )
