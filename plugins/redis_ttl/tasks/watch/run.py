"""The work of the watch's task: wires adapters to the use case, and tells Airflow and its log what came of it.

It runs every few minutes for every cluster, so it imports what a burst needs only when there is one.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.observability import stats

import redis_ttl.tasks.polars_memory  # noqa: F401  # before anything that imports polars

# isort: split
from redis_ttl.adapters.policy_files.cron_windows import interval_s, jobs_between
from redis_ttl.adapters.server.watched_deployment import WatchedDeployment
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.errors import RedisTtlError, WorseThanBefore
from redis_ttl.messages.pages.watch_page import burst_lines, change_lines, sample_line
from redis_ttl.tasks.airflow_api import runs_between
from redis_ttl.tasks.connection import endpoint_of
from redis_ttl.tasks.notify.notifying import notify_events, run_link
from redis_ttl.tasks.store import open_store
from redis_ttl.usecases.watch.watch_cluster import WatchTools, watch_cluster

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow.sdk import Context

    from redis_ttl.adapters.store.store import Store
    from redis_ttl.domain.policy.policy import Policy
    from redis_ttl.domain.watch.sample import Sample

_log = logging.getLogger(__name__)
#: Between looks of a watch that is run by hand only.
_BY_HAND_S = 300.0


def sample(policy: Policy, context: Context) -> dict[str, Any]:
    """Look once, log what was seen, tell the owner of changes, send its figures out as metrics; returns the few that a grid may want to
    show. Also sends what other tasks had to leave: nothing else runs so often.

    Raises :class:`WorseThanBefore` when a level has got worse or a burst began.
    """
    store, endpoint = open_store(), endpoint_of(policy.connection)
    tools = WatchTools(
        redis=WatchedDeployment(endpoint, policy.audit.source, policy.audit.databases or (endpoint.db,)),
        store=store,
        clock=SystemClock(),
        interval_s=_BY_HAND_S if policy.watch.schedule is None else interval_s(policy.watch.schedule),
        audited=partial(_audited, store, policy),
        jobs=partial(_jobs, policy),
    )
    seen = watch_cluster(policy, tools)
    _log.info("%s", sample_line(seen.sample))
    for oddity in seen.oddities:
        _log.warning("%s: %s", oddity.kind.value, oddity.what)
    lines = [line for change in seen.changes for line in change_lines(change)]
    if seen.burst is not None:
        lines += burst_lines(seen.burst)
    for line in lines:
        _log.warning("%s", line)
    _send_out(policy.cluster, seen.sample)
    notify_events(policy, run_link(context))
    worse = [change_lines(change)[0] for change in seen.changes if change.is_worse]
    if seen.burst is not None:
        worse.append(burst_lines(seen.burst)[0])
    if worse:
        raise WorseThanBefore("; ".join(worse), where=policy.cluster, todo="The log above says more.")
    return {
        "keys": seen.sample.keys,
        "no_ttl_ratio": _rounded(seen.sample.no_ttl_ratio),
        "memory_ratio": _rounded(seen.sample.memory_ratio),
        "fullest_node_ratio": _rounded(seen.sample.memory.worst_ratio),
        "levels": {measure.value: state.level.value for measure, state in seen.levels.items()},
        "is_bursting": seen.is_bursting,
    }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 6)


def _audited(store: Store, policy: Policy) -> tuple[str, Mapping[str, int]] | None:
    """The latest audit's id, and its keys by pattern."""
    from redis_ttl.adapters.counting.pattern_merger import read_patterns
    from redis_ttl.usecases.audit.read_audit import read_audit
    from redis_ttl.usecases.store.audits import AuditFolder, finished_audits

    audits = finished_audits(store, policy.cluster)
    if not audits:
        return None
    keys: dict[str, int] = {}
    for row in read_audit(AuditFolder(store, policy.cluster, audits[0]), read_patterns).patterns:
        keys[row.pattern] = keys.get(row.pattern, 0) + row.keys
    return audits[0], keys


def _jobs(policy: Policy, since: datetime, until: datetime) -> Sequence[str]:
    """The DAG runs and declared jobs of that time; what can't be asked is left out with a warning."""
    found = jobs_between(policy.watch.jobs, policy.audit.timezone, since, until)
    try:
        found += runs_between(since, until)
    except RedisTtlError as error:
        _log.warning("cannot tell which DAG runs overlap: %s", error)
    return found


def _send_out(cluster: str, seen: Sample) -> None:
    figures = {
        "keys": seen.keys,
        "no_ttl_keys": seen.no_ttl_keys,
        "no_ttl_ratio": seen.no_ttl_ratio,
        "memory_ratio": seen.memory_ratio,
        "fullest_node_ratio": seen.memory.worst_ratio,
        "used_memory_bytes": seen.used_bytes,
        "evicted_keys": seen.evicted_keys,
        "clients": seen.clients,
        "hit_ratio": seen.hit_ratio,
        "stale_ratio": seen.stale_ratio,
        "expire_cap_hits": seen.expire_cap_hits,
        "fragmentation": seen.fragmentation,
    }
    for name, value in figures.items():
        if value is not None:
            stats.gauge(f"redis_ttl.{name}", value, tags={"cluster": cluster})
