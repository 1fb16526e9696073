"""Gives keys their TTLs as an approved plan says: a few of each rule first, then all of them, shard by shard.

What one part does is in :mod:`redis_ttl.usecases.remediation.part_work`; here stands what must have been before each of them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from redis_ttl.domain.audit.shards import SplitRule
from redis_ttl.domain.errors import Aborted, BadInput, ServerChanged, TooManyMatches
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.remediation.parts import CANARY, shard_part
from redis_ttl.domain.remediation.quota import Survey
from redis_ttl.domain.remediation.remediation import Outcome, PartResult, RuleAccount
from redis_ttl.usecases.remediation.apply_tools import ApplyTools
from redis_ttl.usecases.remediation.canary_watch import CanaryWatch
from redis_ttl.usecases.remediation.part_work import PartWork
from redis_ttl.usecases.remediation.write_gate import ApprovalWatch
from redis_ttl.usecases.remediation.write_limits import latest_survey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.audit.shards import Shard
    from redis_ttl.domain.plan.plan import NodeIdentity, Plan
    from redis_ttl.domain.policy.guards import Reading
    from redis_ttl.domain.remediation.approval import Approval
    from redis_ttl.domain.remediation.canary import CanaryReport
    from redis_ttl.usecases.remediation.write_ports import WritableNode

__all__ = ["ApplyTools", "apply_canary", "apply_shard", "check_canary"]


def apply_canary(plan: Plan, tools: ApplyTools) -> PartResult:
    """Count what each rule would change, refuse if that is more than planned, and write the canary's keys only.

    Raises :class:`TooManyMatches` before anything is written, :class:`Aborted` when a guard or an operator ended it
    (its result is written then), and what ``approve`` raises.
    """
    approval = _approved(plan, tools)
    settings = tools.policy.remediation.canary
    work = PartWork(plan, tools, approval, CANARY)
    picked = tools.redis.new_canary(settings.ratio, settings.keys)
    before: dict[str, Reading] = {}
    attempts = tuple(sorted({each.attempt for each in tools.documents.begun()}))
    with work.recorded(), ExitStack() as nodes:
        opened: dict[tuple[str, int], WritableNode] = {}
        for number, shard in enumerate(plan.shards):
            place = (shard.node, shard.db)
            if place not in opened:
                address = tools.redis.primary_of(_identity(plan, shard))
                opened[place] = nodes.enter_context(tools.redis.connect(address, shard.db))
                if shard.node not in before:
                    before[shard.node] = opened[place].health()
            work.survey(number, shard, opened[place], picked)
        after = {address: node.health() for (address, _), node in opened.items()}
        _refuse_too_many(plan, work.accounts)
        _approved(plan, tools)
        for number, standing in work.standing.items():
            for rule, keys in picked.counts([number]).items():
                standing[rule] = standing.get(rule, 0) + keys
        tools.documents.write_survey(
            Survey(plan.plan_id, plan.digest, work.attempt, work.surveyed, work.standing, attempts)
        )
        tools.documents.write_canary_baseline(
            work.began_at, {address: (each, after[address]) for address, each in before.items()}
        )
        for place, node in opened.items():
            numbers = _shards_of(plan, place)
            work.write_picked(node, before[place[0]], picked, numbers)
    return work.result()


def check_canary(plan: Plan, tools: ApplyTools) -> CanaryReport:
    """Watch the servers for as long as the policy says, and write down whether the rest may follow.

    Raises :class:`Aborted` when the canary isn't passed.
    """
    _require_canary_written(plan, tools)
    approval = _approved(plan, tools)
    patience_s = tools.policy.remediation.guards.patience_s
    watch = CanaryWatch(plan, tools, ApprovalWatch(tools.approve, tools.clock, patience_s, approval.valid_until_ms))
    report = watch.run()
    tools.documents.write_canary_report(report)
    if not report.passed:
        raise Aborted(
            "the canary wasn't passed",
            where=plan.plan_id,
            found="; ".join(report.reasons),
            todo="The canary's keys have their TTLs; the rollback takes them off. Nothing else was written.",
        )
    return report


def apply_shard(plan: Plan, number: int, tools: ApplyTools) -> PartResult:
    """Write one shard of the plan, from its beginning; what has our expiry already is left as it is.

    Raises :class:`Aborted` when the canary hasn't been passed, a limit of the plan is reached, or a guard or an operator
    ended the work (its result is written then), :class:`ServerChanged` (try again) when another process answers, and what
    ``approve`` raises.
    """
    approval = _approved(plan, tools)
    _require_canary_passed(plan, tools)
    latest_survey(plan, tools.documents)
    shard = plan.shards[number]
    work = PartWork(plan, tools, approval, shard_part(number))
    address = tools.redis.primary_of(_identity(plan, shard))
    with ExitStack() as open_:
        node = open_.enter_context(tools.redis.connect(address, shard.db))
        work.run_id = node.run_id()
        open_.enter_context(work.recorded())
        work.write_shard(shard, node, [number])
        while not work.whole and _answered_by_others(plan, shard, tools, work.run_id):
            # Shards are cut by the hash of one process. With another one's some keys are in none of them.
            tools.log("shards of this database were read from another server process: reading all of it")
            work.whole = True
            whole = replace(shard, rule=SplitRule.SEQUENTIAL, number=0, of=1, first=0, last=0)
            work.write_shard(whole, node, _shards_of(plan, (shard.node, shard.db)))
        if node.run_id() != work.run_id:
            raise ServerChanged("the server was restarted or failed over meanwhile", where=address)
    return work.result()


def _approved(plan: Plan, tools: ApplyTools) -> Approval:
    """The approval of exactly this plan, for exactly this policy."""
    if plan.policy_hash != tools.policy.hash:
        raise BadInput(
            "the policy was changed after the plan was made",
            where=f"policy of {plan.cluster}",
            todo="Trigger the remediation again, for a new plan.",
        )
    approval = tools.approve()
    if (approval.plan_id, approval.digest) != (plan.plan_id, plan.digest):
        raise BadInput("the approval is another plan's", where=plan.plan_id, found=approval.plan_id)
    # Words that can't be read are refused before anything is written, not in the middle.
    parse_rate(plan.rate)
    parse_load(plan.load)
    return approval


def _refuse_too_many(plan: Plan, accounts: Mapping[int, RuleAccount]) -> None:
    for rule in plan.included:
        account = accounts.get(rule.number, RuleAccount())
        found = account.left + account.already_ours
        if found > rule.limit_keys:
            raise TooManyMatches(
                f"the rule {rule.pattern} matches more keys than were planned",
                where=plan.plan_id,
                found=f"{found:,} keys",
                allowed=f"at most {rule.limit_keys:,} (planned {rule.change_keys:,})",
                todo="Nothing was written. Audit again and make a new plan, or correct the rule.",
            )
    found = sum(each.left + each.already_ours for each in accounts.values())
    if plan.limit_keys is not None and found > plan.limit_keys:
        raise TooManyMatches(
            "the rules together match more keys than one run may change",
            where=plan.plan_id,
            found=f"{found:,} keys",
            allowed=f"at most {plan.limit_keys:,} (planned {plan.change_keys:,})",
            todo="Nothing was written. Audit again and make a new plan, take fewer rules at a time, or raise the policy's caps.",
        )


def _require_canary_written(plan: Plan, tools: ApplyTools) -> None:
    done = any(each.part == CANARY and each.outcome is Outcome.DONE for each in tools.documents.parts())
    if not done:
        raise Aborted(
            "the canary of this plan hasn't been written",
            where=plan.plan_id,
            todo="Clear the task apply_canary, and let it run; marking it does nothing.",
        )


def _require_canary_passed(plan: Plan, tools: ApplyTools) -> None:
    _require_canary_written(plan, tools)
    checks = tools.documents.canary_reports()
    if not checks or not checks[-1].passed or checks[-1].digest != plan.digest:
        raise Aborted(
            "the canary of this plan hasn't been passed",
            where=plan.plan_id,
            found="; ".join(checks[-1].reasons) if checks else "no check",
            todo="Clear the task check_canary, and let it run; marking it does nothing.",
        )


def _answered_by_others(plan: Plan, shard: Shard, tools: ApplyTools, run_id: str) -> bool:
    """Whether a shard of the same database was finished over another server process, and none read all of it."""
    numbers = {shard_part(number) for number in _shards_of(plan, (shard.node, shard.db))}
    done = [each for each in tools.documents.parts() if each.part in numbers and each.outcome is Outcome.DONE]
    return any(each.run_id != run_id for each in done) and not any(each.whole for each in done)


def _shards_of(plan: Plan, place: tuple[str, int]) -> list[int]:
    """The plan's shards of one database of one server."""
    return [number for number, shard in enumerate(plan.shards) if (shard.node, shard.db) == place]


def _identity(plan: Plan, shard: Shard) -> NodeIdentity:
    return next(node for node in plan.nodes if node.address == shard.node)
