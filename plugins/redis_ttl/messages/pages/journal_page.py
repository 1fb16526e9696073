"""A plan's journal as a page that reads well in a terminal: what was changed, for whom, by which approval."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from redis_ttl.messages.figures import code_span, count, printable
from redis_ttl.messages.formats.markdown_table import markdown_table
from redis_ttl.messages.formats.markdown_text import markdown_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.plan.plan import Plan, PlannedRule
    from redis_ttl.domain.remediation.approval import Decision
    from redis_ttl.domain.rollback.journal_figures import JournalledKey, JournalledRule

_HEADER: Final = ("Rule", "Signed off by", "Journalled", "Had no TTL", "Restored", "First expiry", "Last expiry")


def journal_page(
    plan: Plan,
    decisions: Sequence[Decision],
    rules: Sequence[JournalledRule],
    objects: int,
    key: Sequence[JournalledKey] | None,
) -> str:
    """The whole page; with ``key``, the rows about one key at its end."""
    parts = [
        f"# Journal of plan {plan.plan_id} for {plan.cluster}",
        f"Built by {markdown_text(plan.run)}, {plan.created_at[:16].replace('T', ' ')} UTC. Digest: `{plan.digest}`",
        "## Approval\n\n" + ("\n".join(map(_decision, decisions)) or "No decision is in the store."),
        "## Keys\n\n" + (_rules(plan, rules) if rules else "Nothing was written by this plan."),
        f"In {count(objects)} journal objects. A key journalled by several attempts is counted once for each.",
    ]
    if key is not None:
        parts.append("## The key\n\n" + ("\n".join(_row(plan, row) for row in key) or "It isn't in the journal."))
    return "\n\n".join(parts) + "\n"


def _rules(plan: Plan, rules: Sequence[JournalledRule]) -> str:
    planned = {rule.number: rule for rule in plan.rules}
    rows = [
        [
            code_span(printable(planned[row.rule].pattern)),
            _signed(planned[row.rule]),
            count(row.rows),
            count(row.had_none),
            count(row.restored),
            _instant(row.first_ms),
            _instant(row.last_ms),
        ]
        for row in rules
    ]
    return markdown_table(_HEADER, rows, right=(2, 3, 4))


def _signed(rule: PlannedRule) -> str:
    if rule.sign_off is None:
        return "not signed off"
    ref = f", {markdown_text(rule.sign_off.ref)}" if rule.sign_off.ref else ""
    return f"{markdown_text(rule.sign_off.by)}, {rule.sign_off.on}{ref}"


def _decision(decision: Decision) -> str:
    why = decision.comment or decision.why
    return (
        f"- {decision.verdict.value} by {markdown_text(decision.by or 'unknown')}, {decision.at}, by {decision.channel.value}"
        + (f": {markdown_text(why)}" if why else "")
    )


def _row(plan: Plan, row: JournalledKey) -> str:
    pattern = next((rule.pattern for rule in plan.rules if rule.number == row.rule), "unknown")
    did = "restored" if row.undoes else "set"
    return (
        f"- db{row.db}, rule {code_span(printable(pattern))}: expiry was {_instant(row.was_ms)}, {did} to {_instant(row.set_ms)} "
        f"({code_span(row.object)})"
    )


def _instant(instant_ms: int | None) -> str:
    if instant_ms is None:
        return "none"
    return f"{dt.datetime.fromtimestamp(instant_ms / 1000, dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
