"""The work of the rollback's tasks: wires adapters to use cases, and tells Airflow and its log what came of it.

Imports everything that the work needs, so only a task that has begun may import it.
"""

from __future__ import annotations

import logging
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any

import redis_ttl.tasks.polars_memory  # noqa: F401  # before anything that imports polars
from redis_ttl.domain.codec import from_plain, to_plain

# isort: split
from redis_ttl.adapters.journal.links import EndedRows, LaterRows
from redis_ttl.adapters.journal.reader import NewestRows
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.adapters.writing.key_restorer import KeyRestorer
from redis_ttl.domain.document_ids import check_document_id
from redis_ttl.domain.errors import BadInput, RedisTtlError
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.policy.load import LoadKind, parse_load
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.domain.rollback.rollback import RestoreResult, add_results, refuse_unfinished
from redis_ttl.messages.figures import count
from redis_ttl.messages.pages.rollback_page import rollback_page
from redis_ttl.tasks.connection import endpoint_of
from redis_ttl.tasks.notify.notifying import notify, run_link
from redis_ttl.tasks.pools import refuse_missing_pools
from redis_ttl.tasks.remediate.control import VariableControl
from redis_ttl.tasks.signing import signing_keys
from redis_ttl.tasks.store import open_store, open_store_for_writing
from redis_ttl.usecases.rollback.end_approval import end_approval
from redis_ttl.usecases.rollback.journal_parts import JournalPart
from redis_ttl.usecases.rollback.journal_parts import load_journal as cut_journal
from redis_ttl.usecases.rollback.restore_journal import look_again, refuse_out_of_turn, restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions, RestoreTools, chosen_rules
from redis_ttl.usecases.store.plans import PlanDocuments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.policy.policy import Policy

_log = logging.getLogger(__name__)


def load_journal(policy: Policy, context: Context) -> list[dict[str, Any]]:
    """Refuse what can't be meant; returns what each mapped task needs to find its part of the journal."""
    refuse_missing_pools(context["dag_run"].conf, policy.cluster)
    open_store_for_writing()
    documents = _documents(policy, context)
    plan = documents.plan()
    options = _options(plan, context["params"])
    parse_rate(context["params"]["rate"])
    parts = cut_journal(documents, parts=policy.audit.parallel)
    refuse_out_of_turn(plan, options, _tools(policy, context, documents, plan, 1))
    _log.info(
        "plan %s, digest %s: %s journal objects in %d parts%s",
        plan.plan_id,
        plan.digest,
        count(sum(part.objects for part in parts)),
        len(parts),
        "; a dry run" if options.dry_run else "",
    )
    if not options.dry_run:
        run = f"{context['dag_run'].dag_id}/{context['dag_run'].run_id}"
        end_approval(_signing(documents), run=run, clock=SystemClock())
        _log.info("the plan's approval has ended: nothing is written by it any more")
    return [{**part.to_json(), "of": len(parts), "label": f"{part.number + 1}/{len(parts)}"} for part in parts]


def restore_shard(policy: Policy, context: Context, part: Mapping[str, Any]) -> dict[str, Any]:
    """Restore one part of the journal, or say what would be restored; returns its result."""
    documents = _documents(policy, context)
    plan = documents.plan()
    chosen, of = JournalPart.from_json(part), part.get("of")
    if not isinstance(of, int) or isinstance(of, bool) or not chosen.number < of:
        raise BadInput(
            "this is no part of a journal",
            where="the part that a task was given",
            found=f"number {chosen.number} of {of!r}"[:200],
            todo="Clear load_journal with its downstream tasks.",
        )
    sharers = min(policy.audit.parallel, of)
    result = restore_part(
        plan, chosen, _options(plan, context["params"]), _tools(policy, context, documents, plan, sharers)
    )
    total = result.total
    _log.info(
        "part %d/%d: %s of %s keys %s",
        chosen.number + 1,
        of,
        count(total.restored),
        count(total.keys),
        "would be restored" if result.dry_run else "restored",
    )
    return to_plain(result)


def verify(policy: Policy, context: Context, restored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """After a real run look at every key of the journal once more, and through the whole keyspace for the plan's instants; raises
    when anything of the plan is left, wasn't reached, or isn't known, and after a dry run when it would be.
    """
    documents = _documents(policy, context)
    plan = documents.plan()
    options = _options(plan, context["params"])
    summed = add_results([_of_plan(plan, each) for each in restored])
    found, moving = summed, False
    if not options.dry_run:
        found, moving = look_again(plan, options, _tools(policy, context, documents, plan, 1))
    path = documents.write_rollback(summed, found)
    _log.info("the result is in the store: %s", path)
    if not options.dry_run:
        notify(policy, MessageKind.ROLLBACK_RESULT, plan.plan_id, run_link(context))
    try:
        refuse_unfinished(summed, found, moving=moving)
    except BaseException:
        # The report doesn't come to its turn.
        _log_page(plan, summed, found)
        raise
    return {"restored": to_plain(summed), "found": to_plain(found), "left": 0}


def report(policy: Policy, context: Context, verified: Mapping[str, Any]) -> dict[str, Any]:
    """Log the page, line by line; returns the sums."""
    plan = _documents(policy, context).plan()
    result, found = _of_plan(plan, verified["restored"]), _of_plan(plan, verified["found"])
    _log_page(plan, result, found)
    total = result.total
    return {
        "plan_id": plan.plan_id,
        "dry_run": result.dry_run,
        "restored": total.restored,
        **{name: getattr(total, name) for name in total.__slots__},
    }


def _log_page(plan: Plan, result: RestoreResult, found: RestoreResult) -> None:
    for line in rollback_page(plan, result, None if result.dry_run else found).splitlines():
        _log.info("%s", line)


def _of_plan(plan: Plan, data: Mapping[str, Any]) -> RestoreResult:
    """A result from another task, if it is one of this plan's."""
    try:
        result = from_plain(RestoreResult, data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            "this is no result of a rollback",
            where="the result that a task was given",
            found=repr(error)[:200],
            todo="Clear load_journal with its downstream tasks.",
        ) from error
    if result.plan_id != plan.plan_id:
        raise BadInput(
            "this is a result of another plan",
            where="the result that a task was given",
            found=repr(result.plan_id)[:100],
            allowed=plan.plan_id,
            todo="Clear load_journal with its downstream tasks.",
        )
    return result


def _options(plan: Plan, params: Mapping[str, Any]) -> RestoreOptions:
    return RestoreOptions(
        dry_run=bool(params["dry_run"]),
        rules=chosen_rules(plan, params["rules"] or []),
        any_lineage=bool(params["any_lineage"]),
    )


def _documents(policy: Policy, context: Context) -> PlanDocuments:
    plan_id = check_document_id(str(context["params"]["plan"]).strip(), where="plan")
    return PlanDocuments(open_store(), policy.cluster, plan_id)


def _signing(documents: PlanDocuments) -> PlanDocuments:
    """The documents with a signer, where there is one: what ends an approval counts unsigned, too, and no key may stop a rollback."""
    try:
        return documents.signed_by(signing_keys())
    except RedisTtlError as error:
        _log.warning("that the approval has ended is kept unsigned: %s", error)
        return documents


def _tools(policy: Policy, context: Context, documents: PlanDocuments, plan: Plan, sharers: int) -> RestoreTools:
    rate = parse_rate(context["params"]["rate"])
    # Who asks for no limit means looking, too.
    load = parse_load(plan.load if rate.keys_per_s is not None else LoadKind.FAST.value)
    endpoint = endpoint_of(policy.write_connection or policy.connection)
    return RestoreTools(
        documents=documents,
        open_restorer=partial(KeyRestorer, endpoint, load.share(sharers), rate.share(sharers)),
        new_rows=NewestRows,
        new_later_rows=LaterRows,
        new_ended_rows=EndedRows,
        policy=policy,
        control=VariableControl(policy.cluster, "rollback"),
        rate=rate.share(sharers),
        sharers=sharers,
        progress=_log_progress,
        log=_log.info,
        clock=SystemClock(),
        token=secrets.token_hex(3),
    )


def _log_progress(done: int, of: int) -> None:
    _log.info("%s of %s journal objects", count(done), count(of))
