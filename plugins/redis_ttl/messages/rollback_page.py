"""What a rollback did, or would do, as a Markdown page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.messages.figures import code_span, count, printable
from redis_ttl.messages.markdown_table import markdown_table

if TYPE_CHECKING:
    from redis_ttl.domain.plan import Plan
    from redis_ttl.domain.rollback import RestoreAccount, RestoreResult

_HEADER: Final = (
    "Rule", "Journalled", "TTL removed", "Old TTL back", "Changed since", "As before", "Restored before", "Expired", "Gone",
)  # fmt: skip
_LEGEND: Final = """\
- Changed since: the application gave the key another TTL, which stands.
- As before: never written, or written anew by the application without a TTL.
- Restored before: by an earlier rollback of this plan.
- Gone: deleted or evicted before its time."""
_FIGURES: Final = ("keys", "removed", "put_back", "changed", "as_before", "restored_before", "expired", "gone")


def rollback_page(plan: Plan, result: RestoreResult) -> str:
    """The whole page: the sentence that matters, a row a rule, what the columns mean."""
    total = result.total
    rows = [
        [code_span(printable(rule.pattern)), *_figures(result.accounts[rule.number])]
        for rule in plan.rules
        if rule.number in result.accounts
    ]
    dry = result.dry_run
    does = "would have their former expiry, or none, again" if dry else "have their former expiry, or none, again"
    parts = [
        f"# {'Dry run of a rollback' if dry else 'Rollback'} of plan {plan.plan_id} for {plan.cluster}",
        f"**{count(total.restored)} of {count(total.keys)} journalled keys {does}.**"
        + (" Nothing was changed." if dry else "")
        + (
            f" {count(total.expired)} have expired already: nothing brings them back, but the application may write them again."
            if total.expired
            else ""
        ),
        markdown_table(_HEADER, [*rows, ["All", *_figures(total)]], right=range(1, len(_HEADER))),
        _LEGEND,
    ]
    if dry:
        parts.append("Trigger it again with *Dry run* off to take the TTLs back.")
    return "\n\n".join(parts) + "\n"


def _figures(account: RestoreAccount) -> list[str]:
    return [count(getattr(account, name)) for name in _FIGURES]
