"""The second stage of folding: what folds, what stays, and the laws that hold for every table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.domain.keys.fold_by_count import AUDIT_LIMITS, OTHER, SHARD_LIMITS, FoldingLimits, fold_by_count

_SMALL = FoldingLimits(patterns=12, siblings=4, first_siblings=6, numbered=2, heavy_share=0.2, heavy_first_share=0.05)

# fmt: off
_WORDS = st.sampled_from([
    "ann", "bob", "cy", "dee", "eve", "cart", "user", "v1", "v2", "v3", "v44", "cart_ann", "cart_bob", "{{ann}}", "{{bob}}", "王小明", "",
    "{n}", "{hex}", "{date}", "{token}", "{text}", "{bytes}", "{other}", "cart_{text}", "user{n}", "ab-{token}",
])
# fmt: on
_PATTERNS = st.lists(st.one_of(_WORDS, st.sampled_from([":", ":", "/", "|", "_", "."])), min_size=1, max_size=7).map(
    "".join
)
_TABLES = st.dictionaries(_PATTERNS, st.integers(1, 400), max_size=60)


@settings(max_examples=200, deadline=None)
@given(_TABLES, st.sampled_from([_SMALL, AUDIT_LIMITS, SHARD_LIMITS]))
def test_folding_a_folded_table_changes_nothing(table: dict[str, int], limits: FoldingLimits) -> None:
    """Every pattern of a folded table maps to itself."""
    folded = _folded(table, limits)

    assert fold_by_count(folded, limits) == {pattern: pattern for pattern in folded}


@settings(max_examples=200, deadline=None)
@given(_TABLES, st.integers(0, 2**32))
def test_the_order_of_the_table_does_not_matter(table: dict[str, int], seed: int) -> None:
    """The same patterns and keys in another order fold to the same patterns."""
    shuffled = list(table.items())
    Random(seed).shuffle(shuffled)

    assert fold_by_count(dict(shuffled), _SMALL) == fold_by_count(table, _SMALL)


@settings(max_examples=200, deadline=None)
@given(_TABLES)
def test_no_key_is_lost_and_the_bound_holds(table: dict[str, int]) -> None:
    """Every pattern gets one, their keys add up to what they were, and there are never more than the limit."""
    folding = fold_by_count(table, _SMALL)

    assert folding.keys() == table.keys()
    assert sum(_folded(table, _SMALL).values()) == sum(table.values())
    assert len(set(folding.values())) <= _SMALL.patterns


def test_a_namespace_among_many_names_stays() -> None:
    """A text with a real share of its position's keys stays visible beside `{text}`."""
    table = {f"cache:user-{_letters(at)}:{{n}}": 3 for at in range(500)} | {"cache:products:{n}": 400}

    assert set(_folded(table, AUDIT_LIMITS)) == {"cache:user-{text}:{n}", "cache:products:{n}"}


def test_few_names_join_those_folded_elsewhere() -> None:
    """Names that are too few to fold in one shard join the `{text}` that another shard made of their family."""
    table = {"profile:{text}": 9_000, "profile:ann": 1, "profile:bob": 1}

    assert _folded(table, AUDIT_LIMITS) == {"profile:{text}": 9_002}


def test_few_names_stay_as_they_are() -> None:
    """A handful of names at one position is worth reading, and stays."""
    table = {f"config:{name}": 1 for name in ("payment", "delivery", "tax", "menu")}

    assert _folded(table, AUDIT_LIMITS) == table


def test_many_namespaces_stay_although_their_keys_look_alike() -> None:
    """Three hundred applications with numbered keys are three hundred patterns, not one."""
    table = {f"app-{_letters(at)}:{{n}}": 40 for at in range(300)}

    assert len(_folded(table, AUDIT_LIMITS)) == 300


def test_names_that_differ_in_short_numbers_fold_to_a_number() -> None:
    """Many nodes or weeks are numbered texts, not `{text}`; three versions are three names."""
    table = {f"node{at}:load": 1 for at in range(64)} | {f"api:v{at}:{{n}}": 10 for at in (1, 2, 3)}

    assert set(_folded(table, AUDIT_LIMITS)) == {"node{n}:load", "api:v1:{n}", "api:v2:{n}", "api:v3:{n}"}


def test_chance_look_alikes_are_filed_with_their_family() -> None:
    """Of hexadecimal ids some have digits only and some look like dates; they are hexadecimal ids."""
    table = {"etag:{hex}": 9_770, "etag:{n}": 229, "etag:{date}": 1, "visit:{n}": 9_000, "visit:{date}": 8}

    assert _folded(table, AUDIT_LIMITS) == {"etag:{hex}": 10_000, "visit:{n}": 9_008}


def test_shapes_with_a_share_of_their_own_stay_apart() -> None:
    """Ids and digests under one name, each with many keys, are two patterns."""
    table = {"doc:{hex}": 7_000, "doc:{n}": 3_000, "log:{date}": 700, "log:{n}": 5_000}

    assert _folded(table, AUDIT_LIMITS) == table


def test_words_set_families_apart_in_one_segment() -> None:
    """`cart_ann` and `seen_ann` are two families although only an underscore divides them."""
    table = {f"{family}_{_letters(at)}": 1 for at in range(400) for family in ("cart", "seen")}

    assert set(_folded(table, AUDIT_LIMITS)) == {"cart_{text}", "seen_{text}"}


def test_a_hash_tag_keeps_its_braces() -> None:
    """A name within a hash tag folds, the braces stay."""
    table = {f"{{{{{_letters(at)}}}}}:cart": 1 for at in range(1_000)}

    assert set(_folded(table, AUDIT_LIMITS)) == {"{{{text}}}:cart"}


def test_what_no_folding_can_hold_is_counted_as_other() -> None:
    """Where patterns have nothing in common the largest stay, and the rest is one pattern."""
    table = {":".join(["{n}"] * at): at for at in range(1, 40)}
    folded = _folded(table, _SMALL)

    assert len(folded) == _SMALL.patterns
    assert folded[OTHER] == sum(range(1, 29))


def _folded(table: Mapping[str, int], limits: FoldingLimits) -> Counter[str]:
    folding = fold_by_count(table, limits)
    patterns: Counter[str] = Counter()
    for pattern, keys in table.items():
        patterns[folding[pattern]] += keys
    return patterns


def _letters(number: int) -> str:
    """A different word for each number."""
    word = ""
    for _ in range(4):
        number, at = divmod(number * 7 + 3, 26)
        word += "etaoinshrdlcumwfgypbvkjxqz"[at]
    return f"{word}{'aeiou'[number % 5]}{'lmnr'[number // 5 % 4]}{'xyz'[number // 20 % 3]}{number}"
