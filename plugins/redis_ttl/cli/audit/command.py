"""``redis-ttl audit URL``: the same audit as in Airflow, in a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from redis_ttl.adapters.policy_files.policy_file import load_policy
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
from redis_ttl.cli.audit.table import audit_tables
from redis_ttl.cli.store_folder import store_folder


def audit(  # one parameter an option: this is the command's signature
    url: Url,
    policy: Annotated[
        Path | None, typer.Option(help="The cluster's policy file: rules and exemptions to report by.")
    ] = None,
    load: LoadOption = None,
    shards: ShardsOption = None,
    sample: SampleOption = None,
    db: DbOption = None,
    source: SourceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
    details: Annotated[
        bool, typer.Option("--details", help="Also show types, use and example keys of each pattern.")
    ] = False,
    top: Annotated[int, typer.Option(min=0, help="Patterns to show; 0 shows all.")] = 40,
    store: Annotated[str | None, typer.Option(help="Keep the audit's documents in this folder.")] = None,
    username: UsernameOption = None,
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    tls_insecure: TlsInsecureOption = False,
) -> None:
    """Scan a keyspace and show which key patterns have no TTL, and how the other TTLs are distributed.

    Read-only: no key is changed or touched. The password is taken from the URL or from the environment variable
    REDISCLI_AUTH.
    """
    folder = None if store is None else store_folder(store, must_exist=False)
    chosen = None if policy is None else load_policy(policy)
    endpoint = endpoint_of(
        url, username=username, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key, tls_insecure=tls_insecure
    )
    options = options_of(chosen, endpoint.db, load=load, shards=shards, sample=sample, db=db, source=source)
    with audited(endpoint, options, chosen, folder) as done:
        if as_json:
            typer.echo(json.dumps(done.to_json(), ensure_ascii=False))
            return
        console = page_console()
        rows = top or len(done.patterns)
        limit = chosen.memory.limit_bytes if chosen else None
        console.print(audit_tables(done, width=console.width, rows=rows, details=details, memory_limit_bytes=limit))
        if folder is not None:
            place = folder / done.plan.cluster / "audits" / done.plan.audit_id
            console.print(f"Documents: {place}", style="dim", highlight=False)
