"""Texts that are folded by columns once counting has folded their like."""

from __future__ import annotations

import random

import polars as pl

from redis_ttl.adapters.counting.learned_texts import LearnedTexts
from redis_ttl.domain.keys.fold_by_count import SHARD_LIMITS, fold_by_count


def _words(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices("bcdfglmnprstvaeiou", k=9)) for _ in range(count)]


def _learned(*patterns: str) -> LearnedTexts:
    texts = LearnedTexts()
    texts.learn(patterns)
    return texts


def test_names_met_later_fold_as_counting_folds_them() -> None:
    """A name at a place that counting has made a text is folded as if it had been counted with the others."""
    early = [f"user:{word}" for word in _words(3_000, 1)] + [f"shop:{word}:menu" for word in _words(3_000, 2)]
    later = [f"user:{word}" for word in _words(500, 3)] + [f"shop:{word}:menu" for word in _words(500, 4)]
    texts = LearnedTexts()
    texts.learn_from(pl.Series("pattern", early))
    names = pl.Series("pattern", [*later, "config:theme"])
    counted = fold_by_count(dict.fromkeys([*early, *names], 1), SHARD_LIMITS)
    assert texts.fold(names).to_list() == [counted[name] for name in names]


def test_a_text_with_a_real_share_stays() -> None:
    """A text that holds a twentieth of its place's keys in the batch isn't folded."""
    names = pl.Series("pattern", ["user:everyone"] * 100 + [f"user:{word}" for word in _words(900, 5)])
    folded = _learned("user:{text}").fold(names)
    assert folded.value_counts(sort=True).rows() == [("user:{text}", 900), ("user:everyone", 100)]


def test_what_is_not_plain_is_left_to_the_count() -> None:
    """Namespaces, texts beside numbered ones, numbers, placeholders and deeper names are left as they are."""
    names = pl.Series("pattern", ["app:menu:{n}", "job:worker:ann", "user:7", "user:{uuid}", "user:ann:cart", "user:"])
    folded = _learned("{text}:menu:{n}", "job:worker:{text}", "job:worker:node{n}", "user:{text}").fold(names)
    assert folded.to_list() == names.to_list()


def test_signs_of_regular_expressions_are_signs_of_names() -> None:
    """Names may hold what means something in a regular expression, line breaks included."""
    names = pl.Series("pattern", ["q (a|b)*\n+:[x]:ann", "q (a|b)*\n+:[y]:ann"])
    assert _learned("q (a|b)*\n+:[x]:{text}").fold(names).to_list() == ["q (a|b)*\n+:[x]:{text}", "q (a|b)*\n+:[y]:ann"]


def test_the_longer_pattern_comes_first() -> None:
    """`cart_ann` becomes `cart_{text}` where both that and `{text}` are known."""
    names = pl.Series("pattern", ["user:cart_ann", "user:ann"])
    assert _learned("user:{text}", "user:cart_{text}").fold(names).to_list() == ["user:cart_{text}", "user:{text}"]
