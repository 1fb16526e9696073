"""What a message needs to know of its reader: the language, the clock, and whether names of keys are shown."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis_ttl.messages.figures import ratio, size
from redis_ttl.messages.formats.document import Line, Span, name, names, say, strong

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from redis_ttl.domain.messages.facts.memory import Cost, Memory
    from redis_ttl.messages.phrases import Phrases

CRITICAL: Final = "#b42318"
WARNING: Final = "#b54708"
GOOD: Final = "#067647"
NEUTRAL: Final = "#175cd3"

_EXAMPLES: Final = 4


@dataclass(frozen=True, slots=True)
class MessageContext:
    """Phrases, with the reader's clock; ``redacts`` leaves names of keys out."""

    language: str
    phrases: Phrases
    zone: ZoneInfo
    redacts: bool = False

    def moment(self, text: str) -> str:
        """An ISO 8601 moment by the team's clock."""
        return self.phrases.moment(self._local(text))

    def date(self, text: str) -> str:
        """The day of an ISO 8601 moment by the team's calendar."""
        return self.phrases.date(self._local(text).date())

    def memory(self, cluster: str, memory: Memory, at: str) -> Line:
        """How full the cluster is, and its fullest node where there are several."""
        figures: dict[str, Span | str] = {
            "cluster": name(cluster),
            "used": strong(size(memory.used_bytes)),
            "moment": self.moment(at),
        }
        if memory.used_bytes is None:
            told = say(self.phrases.memory_unknown, **{key: figures[key] for key in ("cluster", "moment")})
        elif memory.ratio is None:
            template = self.phrases.memory_no_limit if memory.limit_is_told else self.phrases.memory_limit_unknown
            told = say(template, **figures)
        else:
            shares = {"ratio": strong(ratio(memory.ratio)), "limit": strong(size(memory.limit_bytes))}
            told = say(self.phrases.memory, **figures, **shares)
        return (*told, *self.fullest(memory))

    def fullest(self, memory: Memory) -> Line:
        """The fullest node, as a sentence after another one; nothing where there is one node only, or none is known."""
        if memory.fullest is None:
            return ()
        worst = {"node": name(memory.fullest.address), "ratio": strong(ratio(memory.fullest.ratio))}
        return (*say(self.phrases.between_sentences), *say(self.phrases.fullest, **worst))

    def size(self, size_bytes: float | None) -> str:
        """Bytes; the word for unknown where they are."""
        return self.phrases.unknown if size_bytes is None else size(size_bytes)

    def count(self, number: int | None) -> str:
        """A number; the word for unknown where it is."""
        return self.phrases.unknown if number is None else self.phrases.count(number)

    def rounded(self, number: int | None) -> str:
        """The same of a large one."""
        return self.phrases.unknown if number is None else self.phrases.rounded(number)

    def no_ttl(self, no_ttl_keys: int | None, keys: int | None) -> Line:
        """How many keys have no TTL."""
        if no_ttl_keys is None or keys is None:
            return say(self.phrases.no_ttl_unknown)
        return say(
            self.phrases.no_ttl,
            no_ttl=strong(self.phrases.count(no_ttl_keys)),
            keys=self.phrases.count(keys),
            ratio=strong(ratio(no_ttl_keys / keys if keys else 0.0)),
        )

    def eviction(self, policy: str | None) -> Line:
        """What the server does when memory runs out, and why that is no help."""
        if policy is None:
            return say(self.phrases.eviction_unknown)
        sentence = self.phrases.eviction_all
        if policy.startswith("volatile-"):
            sentence = self.phrases.eviction_volatile
        elif policy == "noeviction":
            sentence = self.phrases.eviction_none
        return say(sentence, policy=name(policy))

    def cost(self, cost: Cost) -> Line:
        """What it costs not to act."""
        figures: dict[str, Span | str] = {"cost": strong(f"{cost.usd_per_month:g}")}
        if cost.note is None:
            return say(self.phrases.cost, **figures)
        return say(self.phrases.cost_noted, note=cost.note, **figures)

    def examples(self, keys: Iterable[str]) -> list[Line]:
        """Names of a few keys; nothing where there are none, or where they are left out."""
        some = list(keys)[:_EXAMPLES]
        return [] if self.redacts or not some else [say(self.phrases.examples, names=self.names(some))]

    def names(self, texts: Sequence[str], *, most: int = 20) -> Line:
        """Several names in a row; of more than are shown it says how many."""
        shown = names(texts[:most], self.phrases.between)
        left = len(texts) - most
        return (*shown, *say(self.phrases.and_more, number=self.phrases.count(left))) if left > 0 else shown

    def _local(self, text: str) -> dt.datetime:
        return dt.datetime.fromisoformat(text).astimezone(self.zone)
