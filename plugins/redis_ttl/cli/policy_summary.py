"""One policy as a page of text: what is audited, and for each rule what it would match and do. Knows rich and no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from rich.text import Text

from redis_ttl.domain.keys.steps import Effort
from redis_ttl.domain.messages.delivery import reach
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.duration import format_duration
from redis_ttl.messages.figures import printable

if TYPE_CHECKING:
    from redis_ttl.domain.keys.pattern import KeyPattern
    from redis_ttl.domain.policy.policy import Exemption, Owner, Policy, Rule

#: Steps of comparing a rule with those before it; beyond them it is said to share names, as in any doubt.
_EFFORT_PER_RULE: Final = 200_000


def policy_summary(file: str, policy: Policy) -> Text:
    """The page; the same words with and without colours."""
    page = Text()
    page.append(f"{file}: {policy.cluster}\n", style="bold")
    page.append(f"  owner {policy.owner.team}, connection {policy.connection}\n")
    page.append(f"  {_audit_line(policy)}\n")
    for owner in (policy.owner, *policy.owners):
        page.append(f"  {_messages_line(policy, owner)}\n")
    for exemption in policy.exemptions:
        _add_exemption(page, exemption)
    for number, rule in enumerate(policy.rules, 1):
        _add_rule(page, policy, number, rule)
    if not policy.rules:
        page.append("\n  no rules: audits report, nothing is ever written\n")
    page.rstrip()
    return page


def _audit_line(policy: Policy) -> str:
    audit = policy.audit
    when = f"at {audit.schedule} {audit.timezone}" if audit.schedule else "manually"
    return f"audited {when}, load {audit.load}"


def _messages_line(policy: Policy, owner: Owner) -> str:
    contact, routes = reach(owner, policy.messages)
    if not routes:
        return f"messages to {owner.team} stay in the store: no contact, or no connection under messages"
    ways = ", ".join(f"{' '.join(route.to) or 'a webhook'} by {route.connection}" for route in routes)
    return f"messages to {owner.team} go to {ways}" + ("" if contact == owner else f" ({contact.team}, the fallback)")


def _add_exemption(page: Text, exemption: Exemption) -> None:
    page.append("\n  exempt  ", style="cyan")
    page.append(f"{printable(exemption.pattern.text)}\n", style="bold")
    page.append(f"          {printable(exemption.reason)}\n")
    _add_examples(page, exemption.pattern)


def _add_rule(page: Text, policy: Policy, number: int, rule: Rule) -> None:
    page.append(f"\n  rule {number:<3}", style="cyan")
    page.append(f"{printable(rule.pattern.text)}\n", style="bold")
    owner = f"; owner {rule.owner}" if rule.owner else ""
    page.append(f"          {_deed(rule)}; priority {rule.priority}{owner}\n")
    if rule.sign_off is None:
        page.append("          not signed off: reported, never applied\n", style="yellow")
    else:
        reference = f" ({rule.sign_off.ref})" if rule.sign_off.ref else ""
        page.append(f"          signed off by {rule.sign_off.by} on {rule.sign_off.on}{reference}\n", style="green")
    _add_examples(page, rule.pattern)
    for other in _deciding_before(policy, number - 1):
        page.append(f"          may overlap with {printable(other)}, which comes first\n", style="yellow")


def _deed(rule: Rule) -> str:
    ttl = format_duration(rule.ttl_s)
    jitter_s = round(rule.ttl_s * rule.jitter_ratio)
    spread = f" plus up to {format_duration(jitter_s)}" if jitter_s else ""
    match rule.mode:
        case Mode.SET:
            keys = "keys without a TTL"
        case Mode.CAP:
            keys = f"keys without a TTL or with more than {ttl}"
        case Mode.EXTEND:
            keys = f"keys with less than {ttl} left"
        case _:
            assert_never(rule.mode)
    return f"{rule.mode}: {keys} get {ttl}{spread}"


def _add_examples(page: Text, pattern: KeyPattern) -> None:
    page.append(f"          matches        {printable(pattern.example())}\n")
    other = pattern.counterexample()
    if other is not None:
        page.append(f"          doesn't match  {printable(other)}\n", style="dim")


def _deciding_before(policy: Policy, index: int) -> list[str]:
    """What comes before a rule and may match some of its names."""
    pattern = policy.rules[index].pattern
    effort = Effort(_EFFORT_PER_RULE)
    exemptions = [f"exempt {entry.pattern}" for entry in policy.exemptions if entry.pattern.overlaps(pattern, effort)]
    rules = [
        f"rule {number} {entry.pattern}"
        for number, entry in enumerate(policy.rules[:index], 1)
        if entry.pattern.overlaps(pattern, effort)
    ]
    return exemptions + rules
