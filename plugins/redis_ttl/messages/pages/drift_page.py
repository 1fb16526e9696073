"""What a drift check found, as a page in Markdown and as the one text that a failed task shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from redis_ttl.domain.drift.churn import fitting_tolerance
from redis_ttl.domain.drift.drift import DriftKind, Verdict
from redis_ttl.messages.figures import code_span, count, printable
from redis_ttl.messages.formats.markdown_table import markdown_table
from redis_ttl.messages.formats.markdown_text import markdown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis_ttl.domain.drift.drift import DriftFinding, DriftReport

_KINDS: Final = {
    DriftKind.NEW_WRITER: "new writer",
    DriftKind.TTL_WIPED: "TTL wiped",
    DriftKind.RULE_MISSING: "no rule",
    DriftKind.OVERDUE: "overdue",
}
_MEANINGS: Final = {
    DriftKind.NEW_WRITER: "something writes these keys without a TTL. Have the writer set one, then remediate the existing keys",
    DriftKind.TTL_WIPED: "a remediation gave these keys a TTL, and something wrote them again without one, as SET does. Have the writer "
    "set or keep the TTL (strings: SET with EX or KEEPTTL; other types: EXPIRE again after replacing the key)",
    DriftKind.RULE_MISSING: "no rule or exemption matches these keys. Add one, together with their owner",
    DriftKind.OVERDUE: "the rule's `due` date has passed. Remediate, or agree on a new date",
}
_NAME_WIDTH: Final = 80
_PATTERNS_NAMED: Final = 3
_LINES_OF_TASK: Final = 10


def drift_page(report: DriftReport) -> str:
    """The whole report."""
    parts = [f"# Drift of {markdown_text(report.cluster)}", _headline(report)]
    if report.why is not None:
        parts.append(f"Accepted by **{markdown_text(report.by or 'unknown')}**: {markdown_text(report.why)}")
    if report.findings:
        parts += [_table(report.findings), *(_section(finding) for finding in report.findings)]
        kinds = dict.fromkeys(
            each.kind for each in report.findings if each.counted_keys or each.kind is DriftKind.OVERDUE
        )
        if kinds:
            parts.append("## What to do\n\n" + "\n".join(f"- **{_KINDS[kind]}**: {_MEANINGS[kind]}." for kind in kinds))
    if report.verdict is Verdict.DRIFT:
        parts.append(_way_out(report))
    if report.notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {markdown_text(note)}." for note in report.notes))
    parts.append(_comparison(report))
    return "\n\n".join(parts) + "\n"


def failure(report: DriftReport) -> tuple[str, str]:
    """What happened and what was found, for the error that fails the task."""
    failing = report.failing
    what = f"{_keys(sum(each.counted_keys for each in failing if each.kind is not DriftKind.OVERDUE))} without TTL that weren't accepted"
    overdue = [each for each in failing if each.kind is DriftKind.OVERDUE]
    if len(overdue) == len(failing):
        what = f"the due date of {_counted(len(overdue), 'rule')} has passed, and keys still have no TTL"
    lines = [_lines(each) for each in failing[:_LINES_OF_TASK]]
    if len(failing) > _LINES_OF_TASK:
        lines.append(f"and {len(failing) - _LINES_OF_TASK} more")
    return what, "\n  " + "\n  ".join(lines) + "\n"


def headline(report: DriftReport) -> str:
    """One sentence, for the end of a log."""
    return _headline(report).replace("**", "")


def _headline(report: DriftReport) -> str:
    new, total = count(report.new_keys), _keys(report.no_ttl_keys)
    match report.verdict:
        case Verdict.FIRST:
            return f"**First check: the {total} without TTL become the baseline.** Any key without TTL that appears later counts as new."
        case Verdict.CLEAN:
            return f"**No new keys without TTL.** {_gone(report)}"
        case Verdict.CHURN:
            return (
                f"**Churn: {_keys(report.churn_keys)} without TTL come and go, like others before them; "
                f"the rest is within the policy's tolerance.** {_gone(report)}"
            )
        case Verdict.TOLERATED:
            return f"**{_counted(report.new_keys, 'new key')} without TTL, within the policy's tolerance.** {_gone(report)}"
        case Verdict.DRIFT:
            failing = report.failing
            patterns = list(dict.fromkeys(code_span(printable(each.pattern, _NAME_WIDTH)) for each in failing))
            named = ", ".join(patterns[:_PATTERNS_NAMED])
            more = "" if len(patterns) <= _PATTERNS_NAMED else f" and {len(patterns) - _PATTERNS_NAMED} more"
            return f"**Drift: {_counted(len(failing), 'finding')} beyond the policy's tolerance, in {named}{more}.** {_gone(report)}"
        case Verdict.ACCEPTED:
            return f"**Accepted: the {total} without TTL, {new} of them new, are the new baseline.**"
        case _:
            assert_never(report.verdict)


def _table(findings: Sequence[DriftFinding]) -> str:
    rows = [
        (
            _KINDS[each.kind] + _standing(each),
            code_span(printable(each.pattern, _NAME_WIDTH)) + (f" db{each.db}" if each.db else ""),
            markdown_text(each.owner),
            count(each.new_keys),
            count(each.counted_keys),
            count(each.no_ttl_keys),
            count(each.keys),
            "exempt" if each.allowed_keys is None else count(each.allowed_keys),
            _growth(each),
            each.since[:10],
        )
        for each in findings
    ]
    header = ("Kind", "Pattern", "Owner", "New", "Counted", "No TTL", "Keys", "Allowed", "Per day", "Since")
    return markdown_table(header, rows, right=(3, 4, 5, 6, 7, 8))


def _section(finding: DriftFinding) -> str:
    lines = [f"### {code_span(printable(finding.pattern, _NAME_WIDTH))}: {_KINDS[finding.kind]}", ""]
    lines.append(f"{_figures(finding)}; {_responsible(finding, code_span, markdown_text)}.")
    lines += [f"\n{text}." for text in _aside(finding)]
    if finding.examples:
        lines += ["", *(f"- {code_span(printable(name, 2 * _NAME_WIDTH))}" for name in finding.examples)]
    return "\n".join(lines)


def _lines(finding: DriftFinding) -> str:
    """A finding in two lines of plain text."""
    where = f"{printable(finding.pattern, _NAME_WIDTH)}{f' (db{finding.db})' if finding.db else ''}"
    example = f", such as {printable(finding.examples[0], _NAME_WIDTH)}" if finding.examples else ""
    aside = "".join(f"\n    {text}" for text in _aside(finding))
    return f"{where}: {_KINDS[finding.kind]}, {_figures(finding)}{aside}\n    {_responsible(finding, str, printable)}{example}"


def _figures(finding: DriftFinding) -> str:
    if finding.kind is DriftKind.OVERDUE:
        return f"due {finding.due}, {_keys(finding.no_ttl_keys)} without TTL of {count(finding.keys)}"
    allowed = ""
    if finding.allowed_keys is not None:
        whole = "all ungoverned keys" if finding.rule is None else "its rule"
        allowed = f" (allowed: {count(finding.allowed_keys)} for {whole})"
    pace = "" if finding.growth_per_day is None else f", {_growth(finding)} per day"
    return f"{_counted(finding.new_keys, 'new key')}{allowed}{pace}, since {finding.since[:10]}"


def _responsible(finding: DriftFinding, quoted: Callable[[str], str], said: Callable[[str], str]) -> str:
    governor = "no rule"
    if finding.rule is not None:
        governor = f"rule {quoted(printable(finding.rule, _NAME_WIDTH))}"
    elif finding.exemption is not None:
        governor = f"exempted by {quoted(printable(finding.exemption, _NAME_WIDTH))}"
    return f"owner {said(finding.owner)}, {governor}"


def _way_out(report: DriftReport) -> str:
    return f"""\
## How to resolve

The check compares with the accepted baseline, not with yesterday. It fails every night until

- the keys are gone or have a TTL (a remediation, or the owner), or
- you accept them: trigger `redis_ttl.{report.cluster}.drift_check` with **accept** and a reason.{_come_and_go(report)}

Accepting doesn't clear an overdue rule: change its date in the policy."""


def _come_and_go(report: DriftReport) -> str:
    """What would let such keys pass, where the next audit may find them gone."""
    unheard_of = [each for each in report.failing if each.kind is not DriftKind.OVERDUE and each.is_unheard_of]
    if not unheard_of:
        return ""
    scopes = dict.fromkeys(each.rule for each in unheard_of)
    keys = {scope: sum(each.counted_keys for each in unheard_of if each.rule == scope) for scope in scopes}
    said = "; ".join(
        f"`drift: {{ungoverned: {{keys: {fitting_tolerance(number)}}}}}`"
        if scope is None
        else f"`drift: {{keys: {fitting_tolerance(number)}}}` of the rule {code_span(printable(scope, _NAME_WIDTH))}"
        for scope, number in keys.items()
    )
    return (
        "\n\nAre they short-lived, like locks? None of "
        f"{_keys(sum(keys.values()))} was in the previous audit. If the next audit finds them gone, the check counts them, and their "
        "successors, as churn and passes. A tolerance lets this many pass from the first night on, but also hides a leak of the same "
        f"size: {said}."
    )


def _standing(finding: DriftFinding) -> str:
    """Why a finding doesn't fail."""
    if finding.fails or finding.kind is DriftKind.OVERDUE:
        return ""
    if finding.new_keys and not finding.counted_keys:
        return " (churn)" if finding.churn_keys else " (self-expiring)"
    return " (tolerated)"


def _aside(finding: DriftFinding) -> list[str]:
    """What became of such keys since the audit before, and which aren't counted."""
    said = []
    if finding.seen_keys:
        text = (
            f"{count(finding.gone_keys or 0)} of the {_keys(finding.seen_keys)} that were new in the previous audit "
            f"{'is' if finding.gone_keys == 1 else 'are'} gone, {count(finding.stayed_keys or 0)} stayed"
        )
        said.append(text)
    if finding.churn_keys:
        growth = "no growth" if not finding.counted_keys else f"{_keys(finding.counted_keys)} accumulate on top"
        said.append(f"not counted as churn: {_keys(finding.churn_keys)} that come and go; {growth}")
    if finding.ending_keys:
        said.append(
            f"not counted: about {_keys(finding.ending_keys)} in self-expiring hashes, in which every field has a TTL"
        )
    return said


def _comparison(report: DriftReport) -> str:
    if report.baseline is None:
        base = "none yet"
    else:
        who = f"accepted by {markdown_text(report.accepted_by)}" if report.accepted_by else "from the first check"
        base = f"number {report.baseline} with {_keys(report.baseline_keys)}, {who}, {report.accepted_at[:10]}"
    return markdown_table(
        ("Compared", ""),
        [
            ("audit", f"{report.audit_id}, ended {report.audited_at[:16].replace('T', ' ')}"),
            ("baseline", base),
            ("previous audit", report.previous or "none comparable"),
            ("new baseline", f"number {report.next_baseline}"),
            ("keys without TTL", count(report.no_ttl_keys)),
            ("new", count(report.new_keys)),
            ("of these, churn", count(report.churn_keys)),
            ("of these, self-expiring", count(report.ending_keys)),
            ("left the baseline", count(report.left_keys)),
        ],
    )


def _gone(report: DriftReport) -> str:
    left = f"; {_keys(report.left_keys)} have left it" if report.left_keys else ""
    return f"Compared {_keys(report.no_ttl_keys)} without TTL with a baseline of {count(report.baseline_keys)}{left}."


def _growth(finding: DriftFinding) -> str:
    return "" if finding.growth_per_day is None else f"{finding.growth_per_day:+,.0f}"


def _keys(number: int) -> str:
    return _counted(number, "key")


def _counted(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"
