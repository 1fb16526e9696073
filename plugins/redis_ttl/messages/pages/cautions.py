"""What a plan warns of, in the reader's language: shown above the place where it is approved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.messages.figures import printable, size
from redis_ttl.messages.formats.document import Bullets, Heading, Line, Part, Span, name, say, strong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis_ttl.domain.plan.caution import Caution
    from redis_ttl.messages.message_context import MessageContext

#: Of more it is said how many: the plan's page has them all.
_MOST: Final = 20
_TEXT_WIDTH: Final = 400


def caution_parts(cautions: Sequence[tuple[str | None, Caution]], context: MessageContext) -> list[Part]:
    """A heading and a line for each caution with the pattern that it is about, None for the plan; nothing without any."""
    if not cautions:
        return []
    own = context.phrases.cautions
    lines = [_line(pattern, caution, context) for pattern, caution in cautions[:_MOST]]
    if left := len(cautions) - _MOST if len(cautions) > _MOST else 0:
        lines.append(say(own.more, number=strong(context.phrases.count(left))))
    return [Heading(own.heading), Bullets(tuple(lines))]


def _line(pattern: str | None, caution: Caution, context: MessageContext) -> Line:
    said = _said(caution, context)
    return said if pattern is None else say(context.phrases.cautions.of_rule, pattern=name(pattern), caution=said)


def _said(caution: Caution, context: MessageContext) -> Line:
    values: dict[str, Span | str | Line] = {
        "name": name(caution.name or ""),
        "ratio": strong(f"{caution.ratio or 0:.0%}"),
        "duration": strong(context.phrases.duration(caution.ttl_s or 0)),
        "size": strong(size(caution.size_bytes)),
        "kinds": context.phrases.between.join(caution.kinds),
        "guards": context.phrases.between.join(getattr(context.phrases.guards, key, key) for key in caution.kinds),
        # Words of somebody else, with names of keys in them, maybe: as code, so that nothing acts in them.
        "text": Span(printable(caution.text or "", _TEXT_WIDTH), name=True),
    }
    return say(getattr(context.phrases.cautions, caution.kind.value), **values)
