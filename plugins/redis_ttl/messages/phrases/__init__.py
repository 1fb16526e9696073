"""Languages. One file each, named by its code, with a ``PHRASES`` of the type below: adding a language is adding a file.

A sentence is a template with ``{placeholders}``; a language that leaves one out, or has one of its own, fails the tests. Each kind of
message has a class of its own here, so that the type checker sees what a language forgets.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvicePhrases:
    """How the TTL of a key is set where the key is written, by the kind of its value."""

    string: str
    counter: str
    hash: str
    list: str
    set: str
    zset: str
    stream: str
    other: str
    unknown: str
    """For keys whose types weren't sampled."""
    field: str
    """For single fields of a hash, where the server can."""
    share: str
    """After a pattern that has several kinds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CautionPhrases:
    """What to know before saying yes to a plan, by :class:`redis_ttl.domain.plan.caution.CautionKind`."""

    heading: str
    evictable: str
    unguarded: str
    renews: str
    other_waits: str
    other_unread: str
    in_place: str
    strings: str
    in_use: str
    in_use_left: str
    big: str
    big_unknown: str
    fields_end: str
    fields_cut: str
    fields_mixed: str
    extended: str
    text: str
    of_rule: str
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPhrases:
    """What the guards of a writing watch, by their keys in ``remediation.guards``."""

    memory: str
    evicted_keys: str
    expire_cap_hits: str
    replica_lag_bytes: str
    replica_lag: str
    replicas: str
    server: str
    misses: str
    errors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequiredPhrases:
    """``action_required``."""

    title: str
    title_longer: str
    see_heading: str
    ending: str
    grows: str
    growth: str
    rules_heading: str
    column_now: str
    column_proposed: str
    never: str
    about: str
    mixed: str
    longer: str
    mixed_longer: str
    agreed: str
    freed: str
    unknown_heading: str
    unknown_intro: str
    others: str
    we_heading: str
    we_apply: str
    we_apply_agreed: str
    we_watch: str
    you_review: str
    you_change: str
    you_burst: str
    burst_clients: str
    you_own: str
    by_when: str
    otherwise: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequestedPhrases:
    """``approval_requested``."""

    title: str
    intro: str
    rules_heading: str
    column_ttl: str
    column_expire: str
    between: str
    whole_plan: str
    peak: str
    peak_unknown: str
    expiries: str
    expiries_few: str
    undo: str
    button: str
    where: str
    until: str
    approvers: str
    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationResultPhrases:
    """``remediation_result``."""

    title: str
    title_missed: str
    intro: str
    column_planned: str
    column_kept: str
    column_changed: str
    column_wiped: str
    column_gone: str
    column_left_alone: str
    column_missed: str
    before_after: str
    memory: str
    memory_unknown: str
    memory_falls: str
    wiped: str
    missed: str
    undo: str
    approved: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackResultPhrases:
    """``rollback_result``."""

    title: str
    title_left: str
    intro: str
    column_journalled: str
    column_restored: str
    column_changed: str
    column_gone: str
    never: str
    left: str
    title_holes: str
    holes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFoundPhrases:
    """``drift_found``."""

    title: str
    title_overdue: str
    intro: str
    intro_accepted: str
    column_cause: str
    column_new: str
    column_growth: str
    column_since: str
    new_writer: str
    ttl_wiped: str
    rule_missing: str
    overdue: str
    churn: str
    ending: str
    unheard_of: str
    do_new_writer: str
    do_ttl_wiped: str
    do_rule_missing: str
    do_overdue: str
    until: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLevelPhrases:
    """``memory_level``."""

    title_memory_critical: str
    title_memory_warn: str
    title_memory_less: str
    title_memory_ok: str
    title_no_ttl_warn: str
    title_no_ttl_ok: str
    above: str
    below: str
    trend: str
    reaches: str
    reaches_between: str
    never_reaches: str
    bound_warn: str
    bound_critical: str
    bound_maxmemory: str
    do_look: str
    do_agree: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstDetectedPhrases:
    """``burst_detected``."""

    title: str
    intro: str
    patterns_heading: str
    column_share: str
    column_audited: str
    column_ttl: str
    interval: str
    clients_heading: str
    client: str
    client_unnamed: str
    jobs_heading: str
    no_audit: str
    no_randomkey: str
    no_keyspace: str
    no_client_list: str
    do_stop: str
    do_tell: str
    do_ttl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAbortedPhrases:
    """``run_aborted``."""

    title_guard: str
    title_operator: str
    title_rejected: str
    title_timed_out: str
    title_invalid: str
    title_failed: str
    reason: str
    said_by: str
    changed: str
    nothing: str
    patterns: str
    go_on: str
    take_back: str
    new_plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """All that is said in one language."""

    count: Callable[[int], str]
    rounded: Callable[[int], str]
    """A number that is estimated anyway, in the words in which people say large ones."""
    duration: Callable[[int], str]
    """Seconds, as people say them, to two units."""
    about: Callable[[int], str]
    """The same of what was measured: to one unit."""
    date: Callable[[dt.date], str]
    moment: Callable[[dt.datetime], str]
    """To the minute, with the zone."""
    between: str
    """Between names in a row."""
    between_sentences: str
    and_more: str
    """After names of which not all are shown."""

    greeting: str
    memory: str
    memory_no_limit: str
    memory_limit_unknown: str
    memory_unknown: str
    fullest: str
    """The fullest of several nodes, after a sentence about all of them."""
    unknown: str
    """In place of a figure."""
    no_ttl: str
    no_ttl_unknown: str
    eviction_volatile: str
    eviction_none: str
    eviction_all: str
    eviction_unknown: str
    cost: str
    cost_noted: str
    column_pattern: str
    column_keys: str
    column_no_ttl: str
    column_priority: str
    column_size: str
    you_heading: str
    examples: str
    in_airflow: str
    reminder: str
    update: str
    new: str
    """Below the greeting of an update."""
    summary: str
    """The title of a message that has several small ones."""

    advice: AdvicePhrases
    cautions: CautionPhrases
    guards: GuardPhrases
    action_required: ActionRequiredPhrases
    approval_requested: ApprovalRequestedPhrases
    remediation_result: RemediationResultPhrases
    rollback_result: RollbackResultPhrases
    drift_found: DriftFoundPhrases
    memory_level: MemoryLevelPhrases
    burst_detected: BurstDetectedPhrases
    run_aborted: RunAbortedPhrases


def phrases_of(language: str) -> Phrases:
    """The phrases of that language. Raises `LookupError` for one that there is no file of."""
    if language not in languages():
        raise LookupError(f"no phrases for the language {language!r}; there are {', '.join(languages())}")
    found: Phrases = importlib.import_module(f"{__name__}.{language}").PHRASES
    return found


def languages() -> list[str]:
    """The codes of all languages."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))
