"""The options that every command that audits has, and the audit that they ask for."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.counting.pattern_merger import PatternMerger
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.cli.audit.scan_process import ScanJob, scan_all
from redis_ttl.cli.audit.scan_progress import ScanProgress
from redis_ttl.domain.document_ids import document_id
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.messages.pages.audit_report import audit_page
from redis_ttl.messages.server_text import server_lines
from redis_ttl.usecases.audit.inspect_server import inspect_server
from redis_ttl.usecases.audit.merge_audit import merge_audit
from redis_ttl.usecases.audit.plan_shards import plan_shards
from redis_ttl.usecases.store.audits import AuditFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis_ttl.adapters.connection.endpoint import Endpoint
    from redis_ttl.domain.audit.audit import Audit, AuditOptions
    from redis_ttl.domain.policy.policy import Policy

#: Where a password comes from when the URL has none, so that it needn't stand in the process list; redis-cli reads the
#: same one.
PASSWORD_VARIABLE = "REDISCLI_AUTH"  # noqa: S105  # the variable's name
_EXIT_INTERRUPTED = 130
_PAGE_WIDTH = 200

Url = Annotated[
    str, typer.Argument(help="redis://, rediss://, unix:// or redis+sentinel://, such as redis://localhost:6379/0.")
]
LoadOption = Annotated[
    str | None, typer.Option(help="gentle, fast, or keys per second such as 20000/s. (default: gentle)")
]
ShardsOption = Annotated[
    int | None, typer.Option(min=1, max=64, help="Number of shards to scan in parallel. (default: 1)")
]
SampleOption = Annotated[
    str | None, typer.Option(help="Share of keys sampled for type and size, such as 1%; 0% samples none. (default: 1%)")
]
DbOption = Annotated[str | None, typer.Option(help="A database number, or all. (default: the URL's)")]
SourceOption = Annotated[str | None, typer.Option(help="primary, or replica to read from one. (default: primary)")]
UsernameOption = Annotated[str | None, typer.Option(help="User name, if the URL has none.")]
TlsCaOption = Annotated[Path | None, typer.Option("--tls-ca", help="CA certificates to trust, for rediss://.")]
TlsCertOption = Annotated[Path | None, typer.Option("--tls-cert", help="Client certificate, for rediss://.")]
TlsKeyOption = Annotated[Path | None, typer.Option("--tls-key", help="Key of the client certificate.")]
TlsInsecureOption = Annotated[bool, typer.Option("--tls-insecure", help="Accept any certificate.")]


def endpoint_of(
    url: str,
    *,
    username: str | None,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_insecure: bool,
) -> Endpoint:
    """The server that a URL and the options beside it mean; a password that isn't there comes from the environment."""
    endpoint = endpoint_from_url(url, overrides=_overrides(username, tls_ca, tls_cert, tls_key, insecure=tls_insecure))
    if endpoint.password is None:
        endpoint = replace(endpoint, password=os.environ.get(PASSWORD_VARIABLE) or None)
    return endpoint


@contextmanager
def audited(endpoint: Endpoint, options: AuditOptions, policy: Policy | None, store: Path | None) -> Iterator[Audit]:
    """The audit, made now with its progress on standard error; its documents are in ``store``, or else last as long as the
    ``with`` block. Ctrl-C ends the program with a word and a status.
    """
    with ExitStack() as stack:
        place = store or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-ttl-")))
        try:
            done = _run(endpoint, options, policy, place, Console(stderr=True))
        except KeyboardInterrupt:
            typer.echo("stopped; nothing on the server was changed", err=True)
            raise typer.Exit(_EXIT_INTERRUPTED) from None
        yield done


def page_console() -> Console:
    """Standard output: a file has room, a terminal hasn't."""
    console = Console()
    if not console.is_terminal:
        console.width = _PAGE_WIDTH
    return console


def _run(endpoint: Endpoint, options: AuditOptions, policy: Policy | None, place: Path, console: Console) -> Audit:
    clock = SystemClock()
    redis = RedisDeployment(endpoint, parse_load(options.load))
    inspection = inspect_server(redis, options)
    for server in inspection.servers:
        for line in server_lines(server):
            console.print(line, style="dim", highlight=False, markup=False)
    started = clock.now()
    cluster = policy.cluster if policy else _folder_name(endpoint.label)
    audit_id = document_id(started, secrets.token_hex(3))
    folder = AuditFolder(Store(place), cluster, audit_id)
    plan = plan_shards(
        folder,
        redis,
        inspection,
        options,
        audit_id=audit_id,
        cluster=cluster,
        started_at=started.isoformat(),
        policy=policy,
    )
    job = ScanJob(endpoint, place, policy, plan)
    with ScanProgress(plan, console) as progress:
        scan_all(job, progress.shard)
        progress.merging()
        done = merge_audit(folder, PatternMerger(), job.tools(progress.shard))
    folder.write_report(audit_page(done, memory_limit_bytes=policy.memory.limit_bytes if policy else None))
    return done


def _folder_name(label: str) -> str:
    """What an audit without a policy is filed under: the server's address, in characters that every file system takes."""
    return re.sub(r"[^0-9A-Za-z.-]+", "_", label).strip("_.")


def _overrides(
    username: str | None, ca: Path | None, cert: Path | None, key: Path | None, *, insecure: bool
) -> dict[str, Any]:
    given: dict[str, Any] = {
        "username": username,
        "ssl_ca_certs": None if ca is None else str(ca),
        "ssl_certfile": None if cert is None else str(cert),
        "ssl_keyfile": None if key is None else str(key),
        "ssl_cert_reqs": "none" if insecure else None,
    }
    return {name: value for name, value in given.items() if value is not None}
