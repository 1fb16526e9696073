"""What teams must hear of a remediation: that its plan waits, what came of it, that it was taken back. Pure.

A team hears of the rules that are its own. Moments come from the documents, so that a task that is tried again tells the same.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from redis_ttl.domain.audit.node_memory import Fullest
from redis_ttl.domain.messages.facts.approval_requested import ApprovalRequested, PlannedFacts
from redis_ttl.domain.messages.facts.memory import Memory
from redis_ttl.domain.messages.facts.remediation_result import RemediationResult, WrittenFacts
from redis_ttl.domain.messages.facts.rollback_result import RestoredFacts, RollbackResult
from redis_ttl.domain.messages.facts.run_aborted import AbortCause, RunAborted
from redis_ttl.domain.plan.caution import Caution, CautionKind
from redis_ttl.domain.remediation.approval import Verdict, is_own_plan
from redis_ttl.domain.remediation.parts import CANARY
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.domain.rollback.rollback import RestoreAccount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.plan.plan import Forecast, Plan, PlannedRule
    from redis_ttl.domain.policy.policy import Owner, Policy
    from redis_ttl.domain.remediation.approval import ApprovalRequest, Decision
    from redis_ttl.domain.remediation.canary import CanaryReport
    from redis_ttl.domain.remediation.remediation import PartResult
    from redis_ttl.domain.remediation.verification import Verification, VerifiedRule
    from redis_ttl.domain.rollback.rollback import RestoreResult


def approval_requested(
    plan: Plan, request: ApprovalRequest, policy: Policy, *, link: str | None = None
) -> list[tuple[Owner, ApprovalRequested]]:
    """That the plan waits, to each team whose keys it would change."""
    asked = dt.datetime.fromisoformat(request.requested_at)
    return [
        (
            owner,
            ApprovalRequested(
                cluster=plan.cluster,
                owner=owner.team,
                plan_id=plan.plan_id,
                digest=plan.digest,
                request_id=request.request_id,
                gate=request.gate,
                answer_by=(asked + dt.timedelta(seconds=policy.remediation.approval_timeout_s)).isoformat(),
                rules=tuple(
                    PlannedFacts(
                        rule.pattern,
                        rule.priority,
                        rule.ttl_s,
                        rule.window_s + plan.forecast.late_s,
                        rule.change_keys,
                        rule.size_bytes,
                        _cautions(rule.warnings, rule.cautions),
                    )
                    for rule in rules
                ),
                plan_keys=plan.change_keys,
                keys=plan.keys,
                peak=_peak(plan.forecast),
                expiries_per_s=plan.forecast.expiries_per_s,
                undo_s=plan.forecast.first_expiry_s or 0,
                cautions=_cautions(plan.warnings, plan.cautions),
                approvers=tuple(
                    user
                    for user in policy.remediation.approvers
                    if not is_own_plan(plan, user, self_approval=policy.remediation.self_approval)
                ),
                link=link,
            ),
        )
        for owner, rules in _by_owner(plan, policy)
    ]


def _peak(forecast: Forecast) -> Memory:
    """Memory at its fullest while the plan is written."""
    known = forecast.fullest is not None and forecast.peak_ratio is not None
    fullest = Fullest(forecast.fullest or "", forecast.peak_ratio or 0.0) if known else None
    return Memory(forecast.peak_bytes, forecast.limit_bytes, forecast.limit_is_told, fullest)


def end_of_run(
    plan: Plan,
    parts: Sequence[PartResult],
    decisions: Sequence[Decision],
    verification: Verification | None,
    policy: Policy,
    *,
    canary: CanaryReport | None = None,
    link: str | None = None,
) -> list[tuple[Owner, RemediationResult]] | list[tuple[Owner, RunAborted]]:
    """How the run ended, to each team whose keys it changed or would have changed."""
    if verification is not None and verification.complete:
        return _result(plan, decisions, verification, policy, link)
    cause, reason, by, at = _abort(plan, parts, decisions, canary)
    changed: dict[int, int] = {}
    for part in parts:
        for number, account in part.accounts.items():
            changed[number] = changed.get(number, 0) + account.changed
    return [
        (
            owner,
            RunAborted(
                cluster=plan.cluster,
                owner=owner.team,
                plan_id=plan.plan_id,
                at=at,
                cause=cause,
                reason=reason,
                by=by,
                changed_keys=sum(changed.get(rule.number, 0) for rule in rules),
                planned_keys=sum(rule.change_keys for rule in rules),
                patterns=tuple(rule.pattern for rule in rules),
                link=link,
            ),
        )
        for owner, rules in _by_owner(plan, policy)
    ]


def rollback_result(
    plan: Plan, result: RestoreResult, found: RestoreResult, policy: Policy, *, link: str | None = None
) -> list[tuple[Owner, RollbackResult]]:
    """What was taken back, to each team whose keys were changed; nobody hears of a dry run. ``found`` is what a look afterwards
    would have restored still.
    """
    if result.dry_run:
        return []
    return [
        (
            owner,
            RollbackResult(
                cluster=plan.cluster,
                owner=owner.team,
                plan_id=plan.plan_id,
                ended_at=result.ended_at,
                rules=tuple(_restored(rule, result.accounts.get(rule.number, RestoreAccount())) for rule in rules),
                left=sum(
                    found.still_ours(rule.number) + found.accounts.get(rule.number, RestoreAccount()).unreached
                    for rule in rules
                ),
                holes=len(found.holes),
                link=link,
            ),
        )
        for owner, rules in _by_owner(plan, policy)
        if any(rule.number in {*result.accounts, *(found.leftovers or {})} for rule in rules)
    ]


def _cautions(warnings: Sequence[str], cautions: Sequence[Caution]) -> tuple[Caution, ...]:
    """The figures; a plan of an older version has sentences only."""
    return tuple(cautions) or tuple(Caution(CautionKind.TEXT, text=text) for text in warnings)


def _by_owner(plan: Plan, policy: Policy) -> list[tuple[Owner, tuple[PlannedRule, ...]]]:
    """The teams with rules in the plan, each with its own."""
    owners = {rule.pattern.text: policy.owner_of(rule) for rule in policy.rules}
    found = []
    for owner in (policy.owner, *policy.owners):
        rules = tuple(rule for rule in plan.included if owners.get(rule.pattern, policy.owner) == owner)
        if rules:
            found.append((owner, rules))
    return found


def _result(
    plan: Plan, decisions: Sequence[Decision], verification: Verification, policy: Policy, link: str | None
) -> list[tuple[Owner, RemediationResult]]:
    verified = {rule.number: rule for rule in verification.rules}
    approved = [each for each in decisions if each.verdict is Verdict.APPROVED]
    began = max((dt.datetime.fromisoformat(each.at) for each in approved), default=None)
    return [
        (
            owner,
            RemediationResult(
                cluster=plan.cluster,
                owner=owner.team,
                plan_id=plan.plan_id,
                ended_at=verification.ended_at,
                rules=tuple(_written(rule, verified[rule.number]) for rule in rules if rule.number in verified),
                keys_before=plan.keys,
                no_ttl_before=plan.no_ttl_keys,
                keys_after=verification.scanned,
                no_ttl_after=verification.no_ttl_keys,
                memory_after=Memory(verification.used_bytes, plan.forecast.limit_bytes, plan.forecast.limit_is_told),
                memory_expected_bytes=plan.forecast.after_bytes,
                approved_by=tuple(dict.fromkeys(each.by for each in approved if each.by)),
                undo_until=None
                if began is None
                else (began + dt.timedelta(seconds=plan.forecast.first_expiry_s or 0)).isoformat(),
                link=link,
            ),
        )
        for owner, rules in _by_owner(plan, policy)
    ]


def _written(rule: PlannedRule, verified: VerifiedRule) -> WrittenFacts:
    return WrittenFacts(
        pattern=rule.pattern,
        planned=rule.change_keys,
        kept=verified.kept,
        changed=verified.changed,
        wiped=verified.wiped,
        gone=verified.expired + verified.gone + verified.vanished,
        left_alone=verified.had_ttl + verified.raced + verified.hot,
        missed=verified.missed,
        no_ttl_keys=verified.no_ttl_keys,
    )


def _restored(rule: PlannedRule, account: RestoreAccount) -> RestoredFacts:
    return RestoredFacts(
        pattern=rule.pattern,
        journalled=account.keys,
        restored=account.restored + account.restored_before + account.as_before,
        changed=account.changed,
        gone=account.expired + account.gone,
    )


def _abort(
    plan: Plan, parts: Sequence[PartResult], decisions: Sequence[Decision], canary: CanaryReport | None
) -> tuple[AbortCause, str | None, str | None, str]:
    """What ended it, in whose words, by whom, when: the last of what the documents tell."""
    # A part that was tried again ended as its last attempt did.
    latest = {part.part: part for part in sorted(parts, key=lambda part: part.attempt)}
    ended = [part for part in latest.values() if part.outcome is not Outcome.DONE]
    if ended:
        last = max(ended, key=lambda part: part.ended_at)
        cause = AbortCause.OPERATOR if last.outcome is Outcome.STOPPED else AbortCause.GUARD
        return cause, last.reason, None, last.ended_at
    if canary is not None and not canary.passed and all(part.part == CANARY for part in parts):
        return AbortCause.GUARD, "; ".join(canary.reasons), None, canary.ended_at
    if not parts and decisions:
        decision = decisions[-1]
        match decision.verdict:
            case Verdict.TIMED_OUT:
                return AbortCause.TIMED_OUT, None, None, decision.at
            case Verdict.REJECTED:
                return AbortCause.REJECTED, decision.comment or decision.why, decision.by, decision.at
            case Verdict.INVALID:
                return AbortCause.INVALID, decision.why, None, decision.at
            case Verdict.APPROVED:
                pass
    return AbortCause.FAILED, None, None, max((part.ended_at for part in parts), default=plan.created_at)
