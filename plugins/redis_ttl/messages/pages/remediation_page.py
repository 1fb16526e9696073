"""What came of a remediation, as a Markdown page: finished, stopped or aborted."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.remediation.approval import Verdict
from redis_ttl.domain.remediation.parts import shard_part
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.messages.figures import code_span, count, duration, printable, ratio, size
from redis_ttl.messages.formats.markdown_table import markdown_table
from redis_ttl.messages.formats.markdown_text import markdown_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.remediation.approval import Decision
    from redis_ttl.domain.remediation.remediation import PartResult
    from redis_ttl.domain.remediation.verification import Verification, VerifiedRule

_SET_HEADER: Final = (
    "Rule", "Planned", "Ours", "Changed since", "TTL wiped", "Expired", "Gone", "Had a TTL", "Raced", "In use", "Missed", "No row",
)  # fmt: skip
_SET: Final = (
    "planned",
    "kept",
    "changed",
    "wiped",
    "expired",
    "gone",
    "had_ttl",
    "raced",
    "hot",
    "missed",
    "unjournalled",
)
_BARE_HEADER: Final = (
    "Rule", "No TTL now", "New since the audit", "TTL wiped", "Rewritten", "In use", "Not reached", "Unfinished", "Missed",
)  # fmt: skip
_BARE: Final = ("no_ttl_keys", "new", "wiped", "rewritten", "in_use", "left", "unfinished", "missed")


def remediation_page(
    plan: Plan, parts: Sequence[PartResult], decisions: Sequence[Decision], verification: Verification | None
) -> str:
    """The whole page. Without a verification it says so, and shows what the writers counted."""
    pages = [
        f"# Remediation of {plan.cluster}, plan {plan.plan_id}",
        _headline(plan, parts, verification),
        "## Before and after\n\n" + _before_and_after(plan, verification) if verification else "",
        "## Rules\n\n" + _rules(verification) if verification else "",
        "## Still without a TTL\n\n" + _bare(verification) if verification else "",
        "## Interruptions\n\n" + _interruptions(parts),
        "## Approval\n\n" + _approval(decisions),
        "## Rollback\n\n" + _way_back(plan, parts, decisions),
    ]
    if verification and verification.notes:
        pages.append("## Notes\n\n" + "\n".join(f"- {markdown_text(note)}" for note in verification.notes))
    return "\n\n".join(page for page in pages if page) + "\n"


def _headline(plan: Plan, parts: Sequence[PartResult], verification: Verification | None) -> str:
    # An attempt that was killed has left its journal, but no account.
    written = (
        sum(rule.journalled - rule.unfinished for rule in verification.rules)
        if verification
        else sum(part.changed for part in parts)
    )
    ended = next((part for part in reversed(parts) if part.outcome is not Outcome.DONE), None)
    done = verification.complete if verification else _complete(plan, parts)
    text = f"**{count(written)} of {count(plan.change_keys)} planned keys got a TTL.**"
    if not done:
        why = f" ({markdown_text(ended.reason or 'no reason given')})" if ended else ""
        how = "stopped" if ended and ended.outcome is Outcome.STOPPED else "ended"
        text += f" The run {how} before all shards were written{why}."
    if verification is None:
        return text + " Not verified yet."
    missed = "No key was missed." if not verification.missed else f"**{count(verification.missed)} keys were missed.**"
    text = f"{text} {count(verification.kept)} still have exactly that expiry. {missed}"
    if verification.unjournalled:
        text += f" **{count(verification.unjournalled)} keys have our expiry but no row in the journal.**"
    if verification.unreadable:
        text += f" **{count(len(verification.unreadable))} journal objects are damaged or missing.**"
    if verification.moving_slots:
        text += (
            f" **Slots moved during verification ({count(verification.moving_slots)}), so these figures may be off.**"
        )
    return text


def _complete(plan: Plan, parts: Sequence[PartResult]) -> bool:
    finished = {part.part for part in parts if part.outcome is Outcome.DONE}
    return all(shard_part(number) in finished for number in range(len(plan.shards)))


def _before_and_after(plan: Plan, verification: Verification) -> str:
    rows = [
        ["Keys", count(plan.keys), count(verification.scanned)],
        ["Keys without a TTL", count(plan.no_ttl_keys), count(verification.no_ttl_keys)],
        ["Share", _share(plan.no_ttl_keys, plan.keys), _share(verification.no_ttl_keys, verification.scanned)],
        ["Memory use", size(plan.forecast.used_bytes), size(verification.used_bytes)],
    ]
    foretold = plan.forecast.after_bytes
    text = markdown_table(("", "Audit", "Now"), rows, right=(1, 2))
    if foretold is not None:
        text += f"\n\nOnce all of these keys have expired, memory use will be about {size(foretold)}, other things being equal."
    return text


def _rules(verification: Verification) -> str:
    included = [rule for rule in verification.rules if rule.refusal is None]
    return markdown_table(_SET_HEADER, [_row(rule, _SET) for rule in included], right=range(1, len(_SET_HEADER)))


def _bare(verification: Verification) -> str:
    rows = [_row(rule, _BARE) for rule in verification.rules if rule.refusal is None]
    text = markdown_table(_BARE_HEADER, rows, right=range(1, len(_BARE_HEADER)))
    left_out = [
        f"- {code_span(printable(rule.pattern))}: {count(rule.no_ttl_keys)} keys, left out ({markdown_text(rule.refusal)})"
        for rule in verification.rules
        if rule.refusal is not None
    ]
    return text + ("\n\n" + "\n".join(left_out) if left_out else "")


def _row(rule: VerifiedRule, figures: Sequence[str]) -> list[str]:
    return [code_span(printable(rule.pattern)), *(count(getattr(rule, name)) for name in figures)]


def _interruptions(parts: Sequence[PartResult]) -> str:
    lines = [
        f"- {_time(each.at)} {part.part}: {markdown_text(each.reason)}, "
        + ("which ended the run" if each.ended else f"for {duration(each.lasted_s)}")
        for part in parts
        for each in part.interruptions
    ]
    return "\n".join(lines) if lines else "None."


def _approval(decisions: Sequence[Decision]) -> str:
    lines = [
        f"- {each.verdict.value} by {markdown_text(each.by or 'unknown')}, {_time(each.at)}, by {each.channel.value}"
        + (f": {markdown_text(each.comment)}" if each.comment else "")
        + (f" ({markdown_text(each.why)})" if each.why else "")
        for each in decisions
    ]
    return "\n".join(lines) if lines else "No decision is in the store."


def _way_back(plan: Plan, parts: Sequence[PartResult], decisions: Sequence[Decision]) -> str:
    if not any(part.journal_objects for part in parts):
        return "Nothing was written, so there is nothing to roll back."
    approved = [dt.datetime.fromisoformat(each.at) for each in decisions if each.verdict is Verdict.APPROVED]
    trigger = f"Trigger `redis_ttl.{plan.cluster}.rollback` with plan `{plan.plan_id}`."
    if not approved or not plan.included:
        return trigger
    since = max(approved)
    rows = [
        [
            code_span(printable(rule.pattern)),
            _moment(since + dt.timedelta(seconds=rule.ttl_s)),
            _moment(since + dt.timedelta(seconds=rule.ttl_s + rule.window_s + plan.forecast.late_s)),
        ]
        for rule in plan.included
    ]
    return (
        f"{trigger} Until the first date, all keys can be restored; between the two, those that haven't expired; after the last, none. "
        "Keys that the application has changed since are left as they are.\n\n"
        + markdown_table(("Rule", "Fully reversible until", "Partially until"), rows)
    )


def _share(part: int, whole: int) -> str:
    return ratio(part / whole) if whole else ratio(None)


def _time(text: str) -> str:
    return _moment(dt.datetime.fromisoformat(text))


def _moment(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
