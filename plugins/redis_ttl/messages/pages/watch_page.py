"""What a look at a cluster saw, in a line; and what happened, in a few."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.watch.levels import Measure
from redis_ttl.messages.figures import count, duration, printable, ratio, size

if TYPE_CHECKING:
    from redis_ttl.domain.watch.events import BurstReport, LevelChange
    from redis_ttl.domain.watch.sample import Sample
    from redis_ttl.domain.watch.trend import Forecast

_WIDTH = 100
#: maxmemory, or the policy's ``memory.limit`` where the server has none.
_BOUNDS = {"maxmemory": "the memory limit"}


def sample_line(sample: Sample) -> str:
    """Keys, keys without a TTL, memory: one line."""
    nodes = sample.memory
    limit = f" of {size(nodes.limit_bytes)} ({ratio(nodes.ratio)})"
    if nodes.limit_bytes is None:
        limit = ", no limit known" if nodes.limit_is_told else ", limit unknown"
    if nodes.fullest is not None:
        limit += f", fullest node {nodes.fullest.address} at {ratio(nodes.fullest.ratio)}"
    fragmentation = "unknown" if sample.fragmentation is None else f"{sample.fragmentation:.2f}"
    return (
        f"{count(sample.keys)} keys, {count(sample.no_ttl_keys)} ({ratio(sample.no_ttl_ratio)}) without TTL; memory "
        f"{size(sample.used_bytes)}{limit}; {count(sample.clients)} clients, {count(sample.evicted_keys)} keys evicted so far"
        f"{_most_evicted(sample)}, hit rate {ratio(sample.hit_ratio)}{_worst_hits(sample)}, "
        f"expired but not removed {ratio(sample.stale_ratio)}, fragmentation {fragmentation}"
    )


def _most_evicted(sample: Sample) -> str:
    """The node that has evicted most, where there are several."""
    known = [(node.evicted_keys, node.address) for node in sample.nodes if node.evicted_keys]
    if len(sample.nodes) == 1 or not known:
        return ""
    most, address = max(known)
    return f" ({count(most)} by {address})"


def _worst_hits(sample: Sample) -> str:
    """The node with the lowest hit rate, where there are several."""
    known = [(node.hit_ratio, node.address) for node in sample.nodes if node.hit_ratio is not None]
    if len(sample.nodes) == 1 or not known:
        return ""
    least, address = min(known)
    return f" ({ratio(least)} on {address})"


def change_lines(change: LevelChange) -> list[str]:
    """The new level, what it stands on, what is ahead, what it costs."""
    what = "memory" if change.measure is Measure.MEMORY else "the share of keys without a TTL"
    limit = ""
    if change.measure is Measure.MEMORY:
        where = "" if change.fullest is None else f" on {change.fullest.address}; all nodes"
        limit = f"{where}: {size(change.used_bytes)} of {size(change.limit_bytes)}"
    lines = [f"{what} is {change.level.value}, was {change.before.value}: {ratio(change.ratio)}{limit}"]
    lines.append(
        f"{count(change.no_ttl_keys)} of {count(change.keys)} keys have no TTL; eviction policy {change.eviction_policy or 'unknown'}"
    )
    if change.forecast is not None:
        lines += _forecast_lines(change.forecast)
    if change.is_worse and change.scaling_usd_per_month is not None:
        note = f" ({printable(change.scaling_note)})" if change.scaling_note else ""
        lines.append(f"a larger cluster would cost {change.scaling_usd_per_month:g} US dollars more a month{note}")
    return lines


def burst_lines(report: BurstReport) -> list[str]:
    """How much came in, which patterns, who writes, what ran."""
    rate = count(None if report.keys_per_s is None else round(report.keys_per_s))
    lines = [
        (
            f"burst: {count(report.keys)} new keys since {report.since[:16].replace('T', ' ')} ({rate}/s), "
            f"{size(report.used_bytes)}, {count(report.no_ttl_keys)} of them without TTL"
        )
    ]
    for pattern in report.patterns:
        ttl = "TTL unknown" if pattern.ttl_s is None else f"TTL about {duration(pattern.ttl_s)}"
        ttl = "none have a TTL" if pattern.no_ttl_ratio == 1 else ttl
        lines.append(
            f"pattern {printable(pattern.pattern, _WIDTH)}: {ratio(pattern.share)} of all keys ({ratio(pattern.share_low)} to "
            f"{ratio(pattern.share_high)}), about {count(pattern.keys)} keys ({count(pattern.audited_keys)} in the last audit); "
            f"{ttl}; such as {', '.join(printable(name, _WIDTH) for name in pattern.examples)}"
        )
    lines += [
        f"client {printable(each.name) or 'unnamed'}, user {printable(each.user) or 'unknown'}, {each.host}: "
        f"{count(each.connections)} connections, last {', '.join(each.commands)}"
        for each in report.clients
    ]
    if report.calls:
        calls = ", ".join(f"{name} {count(calls)}" for name, calls in report.calls)
        lines.append(f"commands since the previous sample: {calls}")
    lines += [f"ran at the time: {printable(job)}" for job in report.jobs]
    lines += [f"unknown: {each}" for each in report.missing]
    return lines


def _forecast_lines(forecast: Forecast) -> list[str]:
    lines = [
        (
            f"trend over {forecast.days} days: {_signed(forecast.bytes_per_day)} a day ({_signed(forecast.low_bytes_per_day)} to "
            f"{_signed(forecast.high_bytes_per_day)})"
        )
    ]
    for name, earliest, likely, latest in forecast.reaches:
        lines.append(
            f"{_BOUNDS.get(name, name)} would be reached about {_day(likely)} (between {_day(earliest)} and {_day(latest)})"
            if likely
            else f"{_BOUNDS.get(name, name)} isn't reached at this rate"
        )
    return lines


def _signed(change_bytes: float) -> str:
    return f"{'-' if change_bytes < 0 else '+'}{size(abs(change_bytes))}"


def _day(moment: str | None) -> str:
    return "no date in sight" if moment is None else moment[:10]
