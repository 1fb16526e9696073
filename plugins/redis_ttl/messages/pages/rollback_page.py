"""What a rollback did, or would do, as a Markdown page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.domain.rollback.rollback import RestoreAccount
from redis_ttl.messages.figures import code_span, count, printable
from redis_ttl.messages.formats.markdown_table import markdown_table

if TYPE_CHECKING:
    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.rollback.rollback import RestoreResult

_HEADER: Final = (
    "Rule", "Journalled", "TTL removed", "Old TTL back", "Changed since", "As before", "Restored before", "Expired", "Gone",
    "Unreached",
)  # fmt: skip
_LEGEND: Final = """\
- Changed since: the application has set another TTL, which stays.
- As before: never written, or written again by the application without a TTL.
- Restored before: by an earlier rollback of this plan.
- Gone: deleted or evicted before it expired.
- Unreached: its node didn't answer in time."""
_STILL_OURS: Final = (
    "\n- Still ours: keys anywhere in the keyspace that still have the plan's expiry, journalled or not."
)
_FIGURES: Final = (
    "keys",
    "removed",
    "put_back",
    "changed",
    "as_before",
    "restored_before",
    "expired",
    "gone",
    "unreached",
)


def rollback_page(plan: Plan, result: RestoreResult, found: RestoreResult | None = None) -> str:
    """The whole page: the sentence that matters, what is wrong, a row a rule, what the columns mean. ``found`` is a look afterwards."""
    total = result.total
    numbers = {*result.accounts, *({} if found is None else (found.leftovers or {}))}
    rows = [
        [
            code_span(printable(rule.pattern)),
            *_figures(result.accounts.get(rule.number, RestoreAccount())),
            *([] if found is None else [count(found.still_ours(rule.number))]),
        ]
        for rule in plan.rules
        if rule.number in numbers
    ]
    header = _HEADER if found is None else (*_HEADER, "Still ours")
    sums = [*_figures(total), *([] if found is None else [count(found.all_still_ours)])]
    dry = result.dry_run
    does = "would get back their previous expiry (or none)" if dry else "have their previous expiry (or none) back"
    parts = [
        f"# {'Dry run of a rollback' if dry else 'Rollback'} of plan {plan.plan_id} for {plan.cluster}",
        f"**{count(total.restored)} of {count(total.keys)} journalled keys {does}.**"
        + (" Nothing was changed." if dry else "")
        + (
            f" {count(total.expired)} have expired and can't be restored; the application may write them again."
            if total.expired
            else ""
        ),
        *_problems(result, found),
        markdown_table(header, [*rows, ["All", *sums]], right=range(1, len(header))),
        _LEGEND + ("" if found is None else _STILL_OURS),
        *_interruptions(result),
    ]
    if dry:
        parts.append("To restore them, trigger this again with *Dry run* off.")
    return "\n\n".join(parts) + "\n"


def _problems(result: RestoreResult, found: RestoreResult | None) -> list[str]:
    """What isn't as it should be, a bold line each."""
    seen = result if found is None else found
    lines = []
    if found is not None and found.all_still_ours:
        examples = ", ".join(code_span(printable(key)) for key in found.examples)
        lines.append(
            f"**{count(found.all_still_ours)} keys still have the plan's expiry.**"
            + (f" Among them: {examples}." if examples else "")
        )
    if seen.total.unreached:
        lines.append(f"**{count(seen.total.unreached)} keys weren't reached: their nodes didn't answer.**")
    if result.total.outlived:
        lines.append(
            f"**{count(result.total.outlived)} keys keep the plan's TTL: their old TTL has run out, so restoring it would delete them.**"
        )
    holes = tuple(dict.fromkeys([*result.holes, *seen.holes]))
    if holes:
        named = "\n".join(f"- {code_span(printable(name))}" for name in holes)
        lines.append(
            f"**{count(len(holes))} journal objects are missing or damaged; the keys in them are unknown and weren't restored:**\n\n{named}"
        )
    return lines


def _interruptions(result: RestoreResult) -> list[str]:
    if not result.interruptions:
        return []
    lines = [f"- {each.at}: {printable(each.reason)}, for {each.lasted_s:.0f} s" for each in result.interruptions]
    return ["Pauses:\n\n" + "\n".join(lines)]


def _figures(account: RestoreAccount) -> list[str]:
    return [count(getattr(account, name)) for name in _FIGURES]
