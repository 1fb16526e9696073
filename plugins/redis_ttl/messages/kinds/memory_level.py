"""The message that memory, or the share of keys without a TTL, has reached another level: what is ahead, what it costs, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.watch.levels import Level, Measure
from redis_ttl.messages.figures import ratio, size
from redis_ttl.messages.formats.document import (
    Bullets,
    Document,
    Heading,
    Line,
    Paragraph,
    Part,
    link,
    name,
    say,
    strong,
)
from redis_ttl.messages.message_context import CRITICAL, GOOD, WARNING

if TYPE_CHECKING:
    from redis_ttl.domain.messages.facts.memory_level import MemoryLevel
    from redis_ttl.domain.watch.trend import Forecast
    from redis_ttl.messages.message_context import MessageContext

_DAY_S = 86_400


def memory_level_document(facts: MemoryLevel, context: MessageContext) -> Document:
    """The message in one language."""
    phrases, own = context.phrases, context.phrases.memory_level
    memory = context.memory(facts.cluster, facts.memory, facts.at)
    no_ttl = context.no_ttl(facts.no_ttl_keys, facts.keys)
    told, other = (memory, no_ttl) if facts.measure is Measure.MEMORY else (no_ttl, memory)
    if facts.threshold_ratio is not None:
        template = own.above if facts.is_worse else own.below
        threshold = say(template, threshold=f"{100 * facts.threshold_ratio:.3g}%")
        told = (*told, *say(phrases.between_sentences), *threshold)
    parts: list[Part] = [
        Paragraph(say(phrases.greeting, owner=strong(facts.owner))),
        Paragraph(told),
        Paragraph(other),
    ]
    if facts.is_worse:
        parts.append(Paragraph(context.eviction(facts.eviction_policy)))
    if facts.forecast is not None:
        parts += [Paragraph(line) for line in _forecast(facts.forecast, context)]
    if facts.is_worse:
        look = say(own.do_look, dag=name(f"redis_ttl.{facts.cluster}.audit"))
        parts += [Heading(phrases.you_heading), Bullets((look, say(own.do_agree)))]
        if facts.cost is not None:
            parts.append(Paragraph(context.cost(facts.cost)))
    if facts.link is not None:
        parts.append(Paragraph((link(facts.link, phrases.in_airflow),)))
    title = _title(facts, context).format(cluster=facts.cluster, ratio=ratio(facts.ratio))
    accent = GOOD if facts.level is Level.OK else CRITICAL if facts.level is Level.CRITICAL else WARNING
    return Document(context.language, title, accent, tuple(parts))


def _title(facts: MemoryLevel, context: MessageContext) -> str:
    own = context.phrases.memory_level
    if facts.measure is Measure.NO_TTL:
        return own.title_no_ttl_warn if facts.is_worse else own.title_no_ttl_ok
    if not facts.is_worse:
        return own.title_memory_ok if facts.level is Level.OK else own.title_memory_less
    return own.title_memory_critical if facts.level is Level.CRITICAL else own.title_memory_warn


def _forecast(forecast: Forecast, context: MessageContext) -> list[Line]:
    """The trend, and when it comes to the thresholds."""
    own = context.phrases.memory_level
    bounds = {"warn": own.bound_warn, "critical": own.bound_critical, "maxmemory": own.bound_maxmemory}
    lines = [
        say(
            own.trend,
            days=context.phrases.duration(forecast.days * _DAY_S),
            change=strong(_signed(forecast.bytes_per_day)),
            low=_signed(forecast.low_bytes_per_day),
            high=_signed(forecast.high_bytes_per_day),
        )
    ]
    for bound, earliest, likely, latest in forecast.reaches:
        said = bounds[bound]
        if likely is None:
            lines.append(say(own.never_reaches, bound=said))
        elif earliest is None or latest is None:
            lines.append(say(own.reaches, bound=said, likely=strong(context.date(likely))))
        else:
            dates = {"earliest": context.date(earliest), "latest": context.date(latest)}
            lines.append(say(own.reaches_between, bound=said, likely=strong(context.date(likely)), **dates))
    return lines


def _signed(change_bytes: float) -> str:
    return f"{'-' if change_bytes < 0 else '+'}{size(abs(change_bytes))}"
