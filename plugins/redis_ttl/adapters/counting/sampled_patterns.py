"""Folds random keys as an audit folds all of them. By itself, because columns take longer to import than a look at a cluster takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.adapters.counting.folding_columns import fold_shapes, key_texts
from redis_ttl.adapters.counting.learned_texts import LearnedTexts
from redis_ttl.domain.keys.name import key_text

if TYPE_CHECKING:
    from collections.abc import Collection

_EXAMPLES: Final = 3


@dataclass(slots=True)
class SampledPattern:
    """What random keys of one pattern looked like."""

    keys: int = 0
    no_ttl_keys: int = 0
    ttls_s: list[int] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)


def sampled_patterns(ttls_ms: list[tuple[bytes, int | None]], known: Collection[str]) -> dict[str, SampledPattern]:
    """Keys with their TTLs (None without one) by pattern; names are folded into the ``known`` patterns of an audit."""
    folded = fold_shapes(key_texts(pl.Series([key for key, _ in ttls_ms], dtype=pl.Binary))).alias("pattern")
    texts = LearnedTexts()
    texts.learn(set(known))
    found: dict[str, SampledPattern] = {}
    for (key, ttl_ms), pattern in zip(ttls_ms, texts.fold(folded).to_list(), strict=True):
        entry = found.setdefault(pattern, SampledPattern())
        entry.keys += 1
        if ttl_ms is None:
            entry.no_ttl_keys += 1
        else:
            entry.ttls_s.append(ttl_ms // 1000)
        if len(entry.examples) < _EXAMPLES:
            entry.examples.append(key_text(key))
    return found
