"""A plan as one Markdown page: what somebody reads who is about to approve it.

What is dangerous comes first, then what will happen in one sentence, then everything that it rests on. Dates count as if
the plan were approved when it was made, and "until" is the latest that can be: for keys that are written when the approval
ends. Names of keys act nowhere: they stand in code spans.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final, assert_never

from redis_ttl.domain.plan.expiry import UNNOTICED_EXPIRIES_PER_S
from redis_ttl.domain.plan.other_plans import OtherState
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.policy.duration import format_duration
from redis_ttl.domain.policy.rate import parse_rate
from redis_ttl.messages.figures import code_span, count, duration, printable, ratio, size
from redis_ttl.messages.formats.markdown_table import markdown_table
from redis_ttl.messages.formats.markdown_text import markdown_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.plan.plan import Forecast, Plan, PlannedRule
    from redis_ttl.domain.policy.policy import Policy

RULE_HEADER: Final = ("Rule", "Action", "Keys", "TTL", "Expires from", "until", "Frees")
OTHERS_HEADER: Final = ("Plan", "Rule", "Keys", "Expire from", "until", "State")
_OTHERS: Final = (
    "Keys of other plans that haven't expired yet: as journalled, or as planned while they are being written. They count towards "
    "the peak expiry rate, and this plan's windows are fitted around them."
)
_PATTERN_WIDTH: Final = 80
_EXAMPLE_WIDTH: Final = 100


def plan_page(plan: Plan, policy: Policy) -> str:
    """The whole page."""
    parts = [
        f"# Plan {plan.plan_id} for {plan.cluster}",
        *[f"- **Warning: {_named(warning)}**" for warning in warnings_of(plan)],
        f"{summary(plan)} {conditions(plan, policy)}",
        f"Digest: `{plan.digest}`",
        "## What will happen\n\n" + markdown_table(RULE_HEADER, _rules(plan), right=(2, 6)),
        "## Memory\n\n" + markdown_table(("When", "Used", "Of the limit", "Why"), memory_rows(plan), right=(1, 2)),
        "## Examples\n\n"
        + markdown_table(("Rule", "Keys such as"), [[_code(rule.pattern), _examples(rule)] for rule in plan.included]),
    ]
    if rows := other_plan_rows(plan):
        parts.append("## Other plans\n\n" + _OTHERS + "\n\n" + markdown_table(OTHERS_HEADER, rows, right=(2,)))
    if skipped := skipped_rows(plan):
        rows = [[_named(who), count(keys), _named(why)] for who, keys, why in skipped]
        parts.append("## Skipped\n\n" + markdown_table(("Keys of", "Keys", "Why"), rows, right=(1,)))
    if refused := [rule for rule in plan.rules if rule.refusal is not None]:
        rows = [[_code(rule.pattern), count(rule.concerned_keys), _named(rule.refusal or "")] for rule in refused]
        parts.append("## Rules left out\n\n" + markdown_table(("Rule", "Would change", "Why"), rows, right=(1,)))
    parts.append("## Inputs\n\n" + "\n".join(f"- {line}" for line in ground_lines(plan)))
    # Warnings are one list: an empty line between two of its items would make them paragraphs.
    return re.sub(r"(?m)^(- \*\*Warning: .*)\n\n(?=- \*\*Warning: )", r"\1\n", "\n\n".join(parts)) + "\n"


def summary(plan: Plan) -> str:
    """What will happen, in one sentence."""
    forecast = plan.forecast
    included = plan.included
    sums = {action: sum(rule.changes.get(action, 0) for rule in included) for action in Action}
    acts = [_act(action, keys) for action, keys in sums.items() if keys]
    sizes = [rule.size_bytes for rule in included]
    freed = (
        "; how much that frees is unknown"
        if None in sizes
        else f", which frees about {size(sum(each or 0 for each in sizes))}"
    )
    return (
        f"This will {' and '.join(acts)}, by {len(included)} rule{'' if len(included) == 1 else 's'}: "
        f"{ratio(plan.change_keys / plan.keys if plan.keys else 0.0)} of the {count(plan.keys)} keys in the audit. "
        f"If approved now, they expire between {_day(plan, forecast.first_expiry_s or 0)} and "
        f"{_day(plan, forecast.last_expiry_s or 0)} UTC{freed}. Each key lives for at least its TTL, counted from the write."
    )


def conditions(plan: Plan, policy: Policy) -> str:
    """What it takes, and until when it can be taken back."""
    settings = policy.remediation
    who = f"from {_either(settings.approvers)}" if settings.approvers else "from any Airflow user allowed to answer"
    approvals = "1 approval" if settings.approvals == 1 else f"{settings.approvals} approvals by different people"
    return (
        f"Needs {approvals}, {who}, within {format_duration(settings.approval_timeout_s)}; no answer means no. "
        f"Until the first key expires, {duration(plan.forecast.first_expiry_s or 0)} after approval, all of it can be rolled back"
        + ("; a lengthened TTL only as long as the old one hasn't run out." if _lengthens(plan) else ".")
    )


def _lengthens(plan: Plan) -> bool:
    return any(rule.changes.get(Action.EXTEND) for rule in plan.included)


def _either(names: Sequence[str]) -> str:
    """``ann, bob or eve``."""
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def warnings_of(plan: Plan) -> list[str]:
    """The plan's warnings and its rules', each rule's with its pattern in front."""
    own = [f"{warning[:1].upper()}{warning[1:]}." for warning in plan.warnings]
    return own + [f"`{rule.pattern}`: {warning}." for rule in plan.included for warning in rule.warnings]


def rule_row(plan: Plan, rule: PlannedRule) -> list[str]:
    """One rule under `RULE_HEADER`."""
    freed = size(rule.size_bytes)
    if rule.size_low_bytes is not None and rule.size_high_bytes is not None:
        freed += f" ({size(rule.size_low_bytes)} to {size(rule.size_high_bytes)})"
    return [
        printable(rule.pattern, _PATTERN_WIDTH),
        actions(rule),
        count(rule.change_keys),
        format_duration(rule.ttl_s),
        _day(plan, rule.ttl_s),
        _day(plan, rule.ttl_s + rule.window_s + plan.forecast.late_s),
        freed if rule.size_bytes is not None else "unknown",
    ]


def _act(action: Action, keys: int) -> str:
    """What is done to so many keys, after "will"."""
    match action:
        case Action.SET:
            return f"set a TTL on {count(keys)} keys that have none"
        case Action.CAP:
            return f"shorten the TTL of {count(keys)} keys"
        case Action.EXTEND:
            return f"lengthen the TTL of {count(keys)} keys"
        case _:
            assert_never(action)


def actions(rule: PlannedRule) -> str:
    """What is done to the rule's keys: one action, or several with how many keys each."""
    done = [(action, rule.changes[action]) for action in rule.mode.actions if rule.changes.get(action)]
    text = ", ".join(f"{action} {count(keys)}" for action, keys in done)
    if len(done) <= 1:
        text = (done[0][0] if done else rule.mode.actions[0]).value
    if rule.cold is not None:
        text += ", cold keys only"
    if len(rule.databases) > 1 or any(each.db for each in rule.databases):
        text += " in " + ", ".join(f"db{each.db}" for each in rule.databases)
    return text


def memory_rows(plan: Plan) -> list[list[str]]:
    """Now, at the peak, and at the end: when, bytes, share of the limit, why."""
    forecast = plan.forecast
    growth = f"{size(forecast.ttl_bytes)} for the TTLs (measured: 40.4 bytes a key, Redis 7.0, jemalloc)"
    if forecast.table_bytes:
        growth += f", {size(forecast.table_bytes)} for the TTL table, which doubles in this run"
    is_unknown = forecast.peak_bytes is None or not forecast.limit_is_told
    if forecast.allowed_ratio is not None and (forecast.peak_ratio is not None or is_unknown):
        fullest = "the fullest server" + ("" if forecast.fullest is None else f", {forecast.fullest},")
        growth += f"; {fullest} reaches {ratio(forecast.peak_ratio)} ({ratio(forecast.allowed_ratio)} allowed)"
    after = "all of these keys have expired, nothing else has changed"
    return [
        ["now", size(forecast.used_bytes), _share(forecast, forecast.used_bytes), _limit(forecast)],
        ["peak while applied", size(forecast.peak_bytes), _share(forecast, forecast.peak_bytes), growth],
        [
            _day(plan, forecast.last_expiry_s or 0),
            size(forecast.after_bytes),
            _share(forecast, forecast.after_bytes),
            after,
        ],
    ]


def other_plan_rows(plan: Plan) -> list[list[str]]:
    """Keys of other plans that haven't expired yet: whose, which, how many, between when and when, how far that plan is."""
    return [
        [
            other.plan_id,
            _code(rule.pattern),
            count(rule.keys),
            _instant(rule.first_ms),
            _instant(rule.last_ms),
            other.state.value,
        ]
        for other in plan.others
        for rule in other.rules
    ]


def skipped_rows(plan: Plan) -> list[tuple[str, int, str]]:
    """Keys that are skipped: whose, how many, and why."""
    rows = [(f"`{rule.pattern}`", each.keys, each.why) for rule in plan.included for each in rule.skipped]
    rows += [("an exemption", each.keys, each.why) for each in plan.exempt]
    if plan.ungoverned_keys:
        rows.append(("no rule", plan.ungoverned_keys, "match no rule"))
    return rows


def ground_lines(plan: Plan) -> list[str]:
    """What the plan was made of, how fast it goes, how far it may deviate."""
    at_most = "" if plan.limit_keys is None else f", refused if more than {count(plan.limit_keys)} keys match by then"
    return [
        f"Audit {plan.audit_id}, finished {_minute(plan.audit_finished_at)}, and the policy with hash {plan.policy_hash[:12]}.",
        f"Built {_minute(plan.created_at)} by run {markdown_text(plan.run)}; valid for this run only{at_most}.",
        (
            f"Write rate per server: {parse_rate(plan.rate)}; read load: {plan.load}; {count(len(plan.shards))} "
            f"shard{'' if len(plan.shards) == 1 else 's'}. Each key's old expiry goes to the journal first."
        ),
        (
            "Canary: a few keys of each rule are written first; the servers are "
            + (f"watched for {duration(plan.canary_watch_s)}" if plan.canary_watch_s else "not watched")
            + " before the rest."
        ),
        (
            f"Peak expiry rate over all servers: {_rate(plan.forecast.expiries_per_s)}{_of_others(plan)}; "
            f"safe limit {UNNOTICED_EXPIRIES_PER_S:,}/s."
        ),
        *[
            f"Server {node.address}, replication id {node.lineage[:12] or 'unknown'}, run_id {node.run_id[:12] or 'unknown'}."
            for node in plan.nodes
        ],
    ]


def _rate(per_s: float) -> str:
    return f"{count(round(per_s))}/s" if per_s >= 1 else "under 1/s"


def _of_others(plan: Plan) -> str:
    counted = [other.plan_id for other in plan.others if other.state is not OtherState.WAITING and other.rules]
    if not counted:
        return ""
    plans = "plan" if len(counted) == 1 else "plans"
    return f", including {plans} {', '.join(counted)} (up to {_rate(plan.forecast.others_per_s)})"


def _rules(plan: Plan) -> list[list[str]]:
    return [[_code(rule.pattern), *rule_row(plan, rule)[1:]] for rule in plan.included]


def _examples(rule: PlannedRule) -> str:
    return " ".join(code_span(printable(key, _EXAMPLE_WIDTH)) for key in rule.examples) or "none known"


def _code(pattern: str) -> str:
    return code_span(printable(pattern, _PATTERN_WIDTH))


def _named(text: str) -> str:
    """A sentence with patterns in backticks: what stands between them acts no more than the patterns do."""
    plain = printable(text)
    pieces = plain.split("`")
    if len(pieces) % 2 == 0:  # a backtick of the pattern's own: then all of it is text
        return markdown_text(plain.replace("`", "'"))
    return "".join(code_span(piece) if number % 2 else _spaced(piece) for number, piece in enumerate(pieces))


def _spaced(text: str) -> str:
    """Words between two patterns, with the spaces around them."""
    kept = text.strip(" ")
    return text.replace(kept, markdown_text(kept)) if kept else text


def _share(forecast: Forecast, bytes_used: int | None) -> str:
    if bytes_used is None or (forecast.limit_bytes is None and not forecast.limit_is_told):
        return "unknown"
    if forecast.limit_bytes is None:
        return "no limit"
    return ratio(bytes_used / forecast.limit_bytes)


def _limit(forecast: Forecast) -> str:
    if forecast.limit_bytes is None:
        return "maxmemory none" if forecast.limit_is_told else "maxmemory unknown"
    return f"{'no maxmemory; memory.limit' if forecast.limit_is_policys else 'maxmemory'} {size(forecast.limit_bytes)}"


def _day(plan: Plan, after_s: int) -> str:
    return f"{dt.datetime.fromisoformat(plan.created_at) + dt.timedelta(seconds=after_s):%Y-%m-%d %H:%M}"


def _instant(ms: int) -> str:
    return f"{dt.datetime.fromtimestamp(ms / 1000, dt.UTC):%Y-%m-%d %H:%M}"


def _minute(moment: str) -> str:
    return f"{dt.datetime.fromisoformat(moment).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
