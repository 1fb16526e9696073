"""An audit as a Markdown page that also reads well as plain text in a task log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.domain.audit.ttl_histogram import TTL_CLASSES
from redis_ttl.domain.keys.name import key_text
from redis_ttl.domain.policy.duration import format_duration
from redis_ttl.messages.figures import (
    code_span,
    count,
    duration,
    estimated_size,
    printable,
    ratio,
    size,
    ttl_spread,
)
from redis_ttl.messages.formats.markdown_table import markdown_table
from redis_ttl.messages.formats.markdown_text import markdown_text
from redis_ttl.messages.pages.field_lines import ending_text, field_lines, fields_text
from redis_ttl.messages.server_text import server_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.node_memory import NodesMemory
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics

#: Rows that the page shows; the documents beside it hold all of them, and the page says so.
ROWS_SHOWN: Final = 40
RULE_HEADER: Final = ["Rule", "Priority", "TTL", "Mode", "Signed off", "Keys", "No TTL", "Longer"]
_PATTERN_WIDTH: Final = 70
_EXAMPLES_SHOWN: Final = 2
_TYPE_WIDTH: Final = 24


def audit_page(audit: Audit, *, rows: int = ROWS_SHOWN, memory_limit_bytes: int | None = None) -> str:
    """The whole report: headline, server, completeness, TTL spread, one row a pattern, notes. ``memory_limit_bytes`` is what the
    policy lets a server without maxmemory use.
    """
    parts = [
        f"# Audit of {audit.plan.cluster}, {audit.plan.started_at[:16].replace('T', ' ')} UTC",
        headline(audit, memory_limit_bytes),
        "## Server\n\n```\n"
        + "\n".join(line for server in audit.plan.servers for line in server_lines(server))
        + "\n```",
        *(["## Rules\n\n" + _rule_table(audit)] if audit.plan.rules else []),
        "## Patterns\n\n" + _pattern_table(audit, rows),
        "## TTL distribution\n\n" + _histogram(audit),
        "## Types and use\n\n" + _details_table(audit.patterns[:rows]),
        "## Accuracy\n\n" + "\n".join(f"- {markdown_text(line)}" for line in counting_lines(audit)),
    ]
    if audit.warnings:
        parts.insert(2, "## Notes\n\n" + "\n".join(f"- {markdown_text(warning)}" for warning in audit.warnings))
    return "\n\n".join(parts) + "\n"


def headline(audit: Audit, memory_limit_bytes: int | None = None) -> str:
    """Two or three sentences: the leak, and what it means for memory."""
    leak = f"{count(audit.no_ttl_keys)} of {count(audit.keys)} keys ({ratio(audit.no_ttl_ratio)}) have no TTL."
    policies = sorted({server.eviction_policy for server in audit.plan.servers if server.eviction_policy})
    memory = _memory(audit.memory(memory_limit_bytes))
    if audit.no_ttl_keys and any(policy.startswith("volatile-") for policy in policies):
        memory += f" The eviction policy {', '.join(policies)} can't evict keys without a TTL."
    return f"**{leak}**{ending_text(audit)} {memory}"


def _memory(nodes: NodesMemory) -> str:
    """How full the server is, and the fullest node where there are several."""
    if nodes.ratio is not None:
        memory = f"Memory is at {ratio(nodes.ratio)} ({size(nodes.used_bytes)} of {size(nodes.limit_bytes)})."
    else:
        limit = "the server has no limit" if nodes.limit_is_told else "the limit is unknown"
        if nodes.limit_bytes is not None:
            limit = f"the limit is {size(nodes.limit_bytes)}"
        memory = f"Memory in use is {size(nodes.used_bytes)}; {limit}."
    if nodes.fullest is not None:
        memory += f" The fullest node, {nodes.fullest.address}, is at {ratio(nodes.fullest.ratio)}."
    return memory


def counting_lines(audit: Audit) -> list[str]:
    """How far the figures can be trusted, one fact a line."""
    lines = []
    for split in audit.plan.splits:
        how = "one sequential cursor" if split.shards == 1 else f"{split.shards} shards by {split.rule}"
        lines.append(f"{split.node} db{split.db}: {how} ({split.why})")
    lines += _own_counts(audit)
    lines += field_lines(audit)
    if audit.vanished:
        lines.append(f"{count(audit.vanished)} keys vanished between SCAN and PTTL and are not counted.")
    checked = audit.completeness
    if checked.samples:
        unseen = (
            "all were seen or are gone"
            if not checked.unseen
            else f"all but {count(checked.unseen)} were seen or are gone"
        )
        lines.append(f"Completeness: of {count(checked.samples)} keys drawn at random before the scan, {unseen}.")
    else:
        lines.append("Completeness: not checked, as no keys could be drawn at random.")
    lines += [f"Not complete: {each}." for each in (*checked.left_out, *checked.doubts)]
    lines += [f"Scanned again: {label}." for label in checked.scanned_again]
    sampled = count(sum(pattern.sizes.count for pattern in audit.patterns))
    if audit.size_bytes is not None:
        total = estimated_size(audit.size_bytes)
        lines.append(f"Bytes are estimated from {sampled} keys (MEMORY USAGE), with a 95% interval: {total} in all.")
    speed = audit.keys / audit.duration_s if audit.duration_s else 0.0
    lines.append(
        f"Took {duration(audit.duration_s)} at load {audit.plan.options.load} ({count(round(speed))} keys/s). Audit {audit.plan.audit_id}."
    )
    return lines


def _own_counts(audit: Audit) -> list[str]:
    """The scan's totals beside those of INFO keyspace."""
    if audit.counted_off is None:
        return [
            (
                f"Counted {count(audit.keys)} keys, {count(audit.no_ttl_keys)} without TTL. There is nothing to check this against: the "
                "server doesn't report INFO keyspace."
            )
        ]
    before, after = (sum(held.keys for held in counts) for counts in (audit.keyspace_before, audit.keyspace_after))
    explained = "consistent" if not audit.counted_off else f"off by {count(abs(audit.counted_off))}"
    own_before, own_after = (
        sum(held.no_ttl_keys for held in counts) for counts in (audit.keyspace_before, audit.keyspace_after)
    )
    return [
        f"Counted {count(audit.keys)} keys; INFO keyspace reported {count(before)} before and {count(after)} after: {explained}.",
        f"Counted {count(audit.no_ttl_keys)} without TTL; INFO keyspace reported {count(own_before)} before and {count(own_after)} after.",
    ]


def governed_text(pattern: PatternStatistics) -> str:
    """The rule or exemption that governs a pattern, or that none does."""
    if pattern.governance is Governance.NONE:
        return "none"
    name = printable(pattern.governed_by or "")
    return name if pattern.governance is Governance.RULE else f"exempt: {name}"


def rule_rows(audit: Audit) -> list[list[str]]:
    """The rules in the policy's order: pattern, priority, TTL, mode, sign-off, keys, without TTL, longer than allowed."""
    return [
        [
            printable(rule.pattern),
            rule.priority,
            format_duration(rule.ttl_s),
            rule.mode,
            "yes" if rule.signed_off else "no",
            count(kept.keys) if kept.keys else "none match",
            count(kept.no_ttl_keys),
            count(kept.over_rule_keys),
        ]
        for rule, kept in audit.by_rule()
    ]


def types_text(pattern: PatternStatistics) -> str:
    """The sampled keys' types with their shares, most frequent first: ``hash``, or ``string 90% hash 10%``; and which of the
    hashes have fields with TTLs.
    """
    named = {printable(name, _TYPE_WIDTH): keys for name, keys in pattern.named_types.items()}
    total = sum(named.values())
    if len(named) == 1:
        return next(iter(named)) + fields_text(pattern)
    ordered = sorted(named.items(), key=lambda item: -item[1])
    return " ".join(f"{name} {ratio(keys / total)}" for name, keys in ordered) + fields_text(pattern) or "unknown"


def use_text(pattern: PatternStatistics) -> str:
    """How much the sampled keys are used: the share in use, and the mean LFU counter (0 to 255) or time since the last use; the time
    since the last write where the server tells that only.
    """
    hot = "" if pattern.hot_ratio is None else f"{ratio(pattern.hot_ratio)} in use, "
    if (frequency := pattern.freqs.mean) is not None:
        return f"{hot}freq {frequency:.0f}, at most {pattern.freqs.largest:.0f}"
    if (idle_s := pattern.idles_s.mean) is not None:
        return f"{hot}idle {duration(idle_s)}, at most {duration(pattern.idles_s.largest)}"
    if (unwritten_s := pattern.unwritten_s.mean) is not None:
        return f"not written for {duration(unwritten_s)}, at most {duration(pattern.unwritten_s.largest)}; use unknown"
    return "unknown"


def examples_text(pattern: PatternStatistics) -> str:
    """A few keys of the pattern, as they are."""
    return "  ".join(key_text(key) for key in pattern.examples[:_EXAMPLES_SHOWN])


def ttl_of_all(patterns: Sequence[PatternStatistics]) -> list[tuple[str, int]]:
    """Keys by TTL class over all patterns: first keys that never expire, then about how many end with their last field, if any."""
    totals = [sum(pattern.ttl_histogram[index] for pattern in patterns) for index in range(len(TTL_CLASSES))]
    labels = ["more than 1y" if name == "more" else f"up to {name}" for name in TTL_CLASSES]
    never = [("never", sum(pattern.lasting_keys for pattern in patterns))]
    if ending := sum(pattern.ending_keys or 0 for pattern in patterns):
        never.append(("self-expiring hashes (estimated)", ending))
    return [*never, *zip(labels, totals, strict=True)]


def _governed_markdown(pattern: PatternStatistics) -> str:
    if pattern.governed_by is None:
        return "none"
    name = code_span(printable(pattern.governed_by))
    return name if pattern.governance is Governance.RULE else f"exempt: {name}"


def _pattern_table(audit: Audit, shown: int) -> str:
    several = len({pattern.db for pattern in audit.patterns}) > 1
    header = ["Pattern", "Keys", "No TTL", "Share", "Bytes", "TTL", "Rule"]
    table = [
        [
            (f"db{pattern.db} " if several else "") + code_span(printable(pattern.pattern, _PATTERN_WIDTH)),
            count(pattern.keys),
            count(pattern.no_ttl_keys),
            ratio(pattern.no_ttl_ratio),
            estimated_size(pattern.size_bytes),
            ttl_spread(pattern),
            _governed_markdown(pattern),
        ]
        for pattern in audit.patterns[:shown]
    ]
    text = markdown_table(header, table, right=(1, 2, 3, 4)) if table else "No keys."
    rest = audit.patterns[shown:]
    if rest:
        text += (
            f"\n\nAnd {count(len(rest))} more patterns with {count(sum(p.keys for p in rest))} keys, "
            f"{count(sum(p.no_ttl_keys for p in rest))} of them without TTL: all rows are in patterns.parquet and audit.json."
        )
    return text


def _rule_table(audit: Audit) -> str:
    rows = [[code_span(pattern), *figures] for pattern, *figures in rule_rows(audit)]
    return markdown_table(RULE_HEADER, rows, right=(5, 6, 7))


def _details_table(patterns: Sequence[PatternStatistics]) -> str:
    rows = [
        [
            code_span(printable(pattern.pattern, _PATTERN_WIDTH)),
            types_text(pattern),
            use_text(pattern),
            " ".join(code_span(printable(key_text(key), _PATTERN_WIDTH)) for key in pattern.examples[:_EXAMPLES_SHOWN]),
        ]
        for pattern in patterns
    ]
    return markdown_table(["Pattern", "Types", "Use", "Examples"], rows, right=()) if rows else "No keys."


def _histogram(audit: Audit) -> str:
    rows = [
        [label, count(keys), ratio(keys / audit.keys if audit.keys else 0.0)]
        for label, keys in ttl_of_all(audit.patterns)
    ]
    return markdown_table(["TTL", "Keys", "Share"], rows, right=(1, 2))
