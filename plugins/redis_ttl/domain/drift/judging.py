"""What of new keys without TTL fails a drift check: against what the policy tolerates, without those that end by themselves and those
that come and go.

Knows nothing of columns, of the store, or of Airflow.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.domain.drift.churn import ChurnLevel, Coming, churn_of
from redis_ttl.domain.drift.drift import DriftFinding, DriftKind, NewKeys, PatternKeys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis_ttl.domain.drift.churn import Turnover
    from redis_ttl.domain.drift.drift import DriftReport
    from redis_ttl.domain.policy.policy import DriftTolerance, Policy, Rule

_DAY_S: Final = 86_400.0
#: Growth over less than this says more about the moment than about a day.
_LEAST_MEASURED_S: Final = 3_600.0
_COUNTS: Final = ("keys", "stayed", "old", "asked", "ending")

_Group = tuple[DriftKind, int, str, Governance, str | None]
_Place = tuple[int, str, Governance, str | None]


def judge(
    policy: Policy,
    new: Iterable[NewKeys],
    patterns: Sequence[PatternKeys],
    *,
    audited_at: dt.datetime,
    accepted_at: dt.datetime,
    before: DriftReport | None,
    turnovers: Sequence[Turnover] | None = None,
) -> list[DriftFinding]:
    """The findings, those that fail and the largest first, without examples.

    ``accepted_at`` is the moment that a budget per day counts from. ``before`` is the last report about an earlier audit
    and the same accepted baseline; None where there is none. ``turnovers`` say what became of what was new in the audit before;
    None where none can be compared.
    """
    new = [each for each in new if each.keys]
    rules = {rule.pattern.text: rule for rule in policy.rules}
    days = max(1.0, (audited_at - accepted_at).total_seconds() / _DAY_S)
    known = {} if before is None else {each.identity: each for each in before.findings}
    since_s = (
        audited_at - (accepted_at if before is None else dt.datetime.fromisoformat(before.audited_at))
    ).total_seconds()
    keys: dict[str | None, int] = {}
    of_pattern: dict[tuple[int, str], tuple[int, int]] = {}
    for row in patterns:
        keys[_scope(row)] = keys.get(_scope(row), 0) + row.keys
        held = of_pattern.get((row.db, row.pattern), (0, 0))
        of_pattern[row.db, row.pattern] = (held[0] + row.keys, held[1] + row.no_ttl_keys)
    sums = _sums(new)
    gone, levels = _by_group(turnovers), levels_of(before)
    aside = {
        group: _set_aside(
            group[0],
            counts,
            gone.get(_place(counts)),
            levels.get((counts.db, counts.pattern)),
            is_compared=turnovers is not None,
        )
        for group, counts in sums.items()
    }
    found: dict[str | None, int] = {}
    for group, counts in sums.items():
        scope = _scope_of(group[3], group[4])
        found[scope] = found.get(scope, 0) + counts.keys - aside[group].churn_keys - aside[group].ending_keys
    allowed = {
        scope: _tolerance(policy, rules.get(scope or "")).allowed_keys(of_keys=keys.get(scope, 0), days=days)
        for scope in found
    }

    def finding(kind: DriftKind, db: int, pattern: str, count: int, **facts: Any) -> DriftFinding:
        earlier = known.get((kind.value, db, pattern))
        growth = (
            (count - (0 if earlier is None else earlier.new_keys)) / since_s * _DAY_S
            if since_s >= _LEAST_MEASURED_S
            else None
        )
        return DriftFinding(
            kind=kind,
            db=db,
            pattern=pattern,
            new_keys=count,
            growth_per_day=None if growth is None else round(growth, 1),
            since=audited_at.isoformat() if earlier is None else earlier.since,
            **facts,
        )

    findings = []
    for group, counts in sums.items():
        kind, db, pattern, governance, governed_by = group
        count, without = counts.keys, aside[group]
        scope = governed_by if governance is Governance.RULE else None
        exempt = governance is Governance.EXEMPT
        total, no_ttl = of_pattern.get((db, pattern), (0, 0))
        rule = rules.get(scope or "")
        findings.append(
            finding(
                kind,
                db,
                pattern,
                count,
                rule=scope,
                exemption=governed_by if exempt else None,
                owner=policy.owner_of(rule).team,
                no_ttl_keys=max(no_ttl, count),
                keys=max(total, count),
                allowed_keys=None if exempt else allowed[scope],
                fails=not exempt and count > without.churn_keys + without.ending_keys and found[scope] > allowed[scope],
                due=None if rule is None or rule.due is None else rule.due.isoformat(),
                ending_keys=without.ending_keys,
                churn_keys=without.churn_keys,
                stayed_keys=None if turnovers is None else counts.stayed,
                seen_keys=without.seen_keys,
                gone_keys=without.gone_keys,
            )
        )
    for text, rule in rules.items():
        rows = [row for row in patterns if row.governance is Governance.RULE and row.governed_by == text]
        no_ttl = sum(row.no_ttl_keys - row.ending_keys for row in rows)
        if rule.due is not None and no_ttl and audited_at.astimezone(dt.UTC).date() > rule.due:
            findings.append(
                finding(
                    DriftKind.OVERDUE,
                    min(row.db for row in rows),
                    text,
                    sum(each.keys for each in new if _scope(each) == text and each.governance is Governance.RULE),
                    rule=text,
                    exemption=None,
                    owner=policy.owner_of(rule).team,
                    no_ttl_keys=no_ttl,
                    keys=sum(row.keys for row in rows),
                    allowed_keys=0,
                    fails=True,
                    due=rule.due.isoformat(),
                )
            )
    return sorted(findings, key=lambda each: (not each.fails, -each.new_keys, -each.no_ttl_keys, each.identity))


def levels_of(report: DriftReport | None) -> dict[tuple[int, str], int]:
    """The patterns that a report knows for keys that come and go, with how many."""
    return {} if report is None else {(each.db, each.pattern): each.keys for each in report.churn}


def churn_levels(
    new: Iterable[NewKeys], turnovers: Sequence[Turnover] | None, before: DriftReport | None
) -> tuple[ChurnLevel, ...]:
    """The patterns that are known for keys that come and go after a check: those that were, and those of tonight."""
    levels = levels_of(before)
    counted = {_place(counts): counts for (kind, *_), counts in _sums(new).items() if kind is not DriftKind.TTL_WIPED}
    for place, turnover in _by_group(turnovers).items():
        db, pattern, *_ = place
        _, level = _churn(counted.get(place), turnover, levels.get((db, pattern)))
        if level is not None:
            levels[db, pattern] = level
    return tuple(ChurnLevel(db, pattern, keys) for (db, pattern), keys in sorted(levels.items()))


def _sums(new: Iterable[NewKeys]) -> dict[_Group, NewKeys]:
    """Rows of one finding as one: a second folding gives several patterns one name."""
    sums: dict[_Group, NewKeys] = {}
    for each in new:
        group = (_kind(each), each.db, each.pattern, each.governance, each.governed_by)
        if (held := sums.get(group)) is None:
            sums[group] = each
        else:
            added = {name: getattr(held, name) + getattr(each, name) for name in _COUNTS}
            sums[group] = dataclasses.replace(held, **added)
    return sums


@dataclass(frozen=True, slots=True)
class _SetAside:
    """New keys of one finding that don't count, and what became of those of the audit before."""

    churn_keys: int
    ending_keys: int
    seen_keys: int | None = None
    gone_keys: int | None = None


def _set_aside(
    kind: DriftKind, counts: NewKeys, turnover: Turnover | None, level: int | None, *, is_compared: bool
) -> _SetAside:
    # Wiped keys are told by name: a TTL that we set is gone from each of them.
    churn = 0 if kind is DriftKind.TTL_WIPED or not is_compared else _churn(counts, turnover, level)[0]
    ending = (counts.keys - churn) * counts.ending // counts.asked if counts.asked else 0
    if not is_compared:
        return _SetAside(churn, ending)
    return _SetAside(churn, ending, *((0, 0) if turnover is None else (turnover.seen, turnover.gone)))


def _churn(counts: NewKeys | None, turnover: Turnover | None, level: int | None) -> tuple[int, int | None]:
    coming = Coming(0) if counts is None else Coming(counts.keys, counts.stayed, counts.old)
    if turnover is None:
        return churn_of(coming, seen=0, gone=0, gone_stayed=0, level=level)
    return churn_of(coming, seen=turnover.seen, gone=turnover.gone, gone_stayed=turnover.gone_stayed, level=level)


def _by_group(turnovers: Sequence[Turnover] | None) -> dict[_Place, Turnover]:
    """Rows of one group as one."""
    sums: dict[_Place, Turnover] = {}
    for each in turnovers or ():
        held = sums.get(place := _place(each))
        sums[place] = (
            each
            if held is None
            else dataclasses.replace(
                held,
                seen=held.seen + each.seen,
                gone=held.gone + each.gone,
                gone_stayed=held.gone_stayed + each.gone_stayed,
            )
        )
    return sums


def _place(row: NewKeys | Turnover) -> _Place:
    return (row.db, row.pattern, row.governance, row.governed_by)


def _kind(new: NewKeys) -> DriftKind:
    if new.wiped:
        return DriftKind.TTL_WIPED
    return DriftKind.RULE_MISSING if new.governance is Governance.NONE else DriftKind.NEW_WRITER


def _scope(row: NewKeys | PatternKeys) -> str | None:
    """What a tolerance is for: a rule by its pattern, or (None) all that nothing governs. Exempt keys have a scope that no rule has."""
    return _scope_of(row.governance, row.governed_by)


def _scope_of(governance: Governance, governed_by: str | None) -> str | None:
    if governance is Governance.EXEMPT:
        return f"exempt {governed_by}"
    return governed_by if governance is Governance.RULE else None


def _tolerance(policy: Policy, rule: Rule | None) -> DriftTolerance:
    if rule is None:
        return policy.drift.ungoverned
    return policy.drift.tolerance if rule.drift is None else rule.drift
