"""The columns judge each key as the policy itself does."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.counting import governance_columns
from redis_ttl.adapters.counting.folding_columns import fold_shapes
from redis_ttl.adapters.counting.governance_columns import Governors
from redis_ttl.domain.audit.pattern_statistics import Governance
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.policy.policy import Exemption, Owner, Policy, Rule

POLICY = Policy(
    cluster="c",
    connection="r",
    owner=Owner(team="t"),
    rules=(
        Rule(KeyPattern("user:{id}:cart"), 3600),
        Rule(KeyPattern("user:{id}:{part}"), 3600),
        Rule(KeyPattern("lock:{n}"), 60),
    ),
    exemptions=(Exemption(KeyPattern("user:admin:{part}"), "kept"),),
)
GOVERNORS = Governors(POLICY)
names = st.lists(
    st.sampled_from(["user", "admin", "lock", "cart", ":", ":", "7", "x\n", "用户", "{", "}"]), max_size=6
).map("".join)


@settings(max_examples=80, deadline=None)
@given(st.lists(names, max_size=20))
def test_columns_agree_with_the_policy(texts: list[str]) -> None:
    """Exemptions come first and the first match wins, for each key of a batch as for one key alone."""
    column = pl.Series(texts, dtype=pl.String)
    judged = GOVERNORS.judge(column, fold_shapes(column))
    named = GOVERNORS.name(pl.DataFrame({"governor": judged}))
    for text, kind, by in zip(texts, named["governance"], named["governed_by"], strict=True):
        found = POLICY.governs(text)
        if found is None:
            assert (kind, by) == (Governance.NONE, None)
        else:
            assert kind == (Governance.RULE if isinstance(found, Rule) else Governance.EXEMPT)
            assert by == found.pattern.text


def test_without_a_policy_nothing_is_governed() -> None:
    """An audit without a policy reports every key as governed by none."""
    governors = Governors(None)
    named = governors.name(pl.DataFrame({"governor": governors.judge(pl.Series(["a", "b"]), pl.Series(["a", "b"]))}))
    assert named["governance"].to_list() == ["none", "none"]
    assert named["governed_by"].to_list() == [None, None]


def test_each_key_has_its_first_governor_by_name() -> None:
    """Exemptions go before rules, rules by their order; a rule has its longest TTL, and what nothing governs has no name."""
    governors = Governors(POLICY)
    texts = pl.Series(["user:admin:cart", "user:7:cart", "user:7:name", "lock:3", "other:1", "lock"])
    judged = governors.judge(texts, fold_shapes(texts).alias("pattern"))
    named = governors.name(pl.DataFrame({"governor": judged}))
    assert list(zip(named["governance"].to_list(), named["governed_by"].to_list(), strict=True)) == [
        ("exempt", "user:admin:{part}"),
        ("rule", "user:{id}:cart"),
        ("rule", "user:{id}:{part}"),
        ("rule", "lock:{n}"),
        ("none", None),
        ("none", None),
    ]
    longest = [rule.longest_ttl_s for rule in POLICY.rules]
    assert governors.longest_ttls_s(judged).to_list() == [None, *longest, None, None]


@pytest.mark.parametrize(
    ("pattern", "lead"),
    [
        ("user:{id}:cart", "user:"),
        ("user:x{id}", "user:"),
        ("a:b/c|d{n}", "a:b/c|"),
        ("a/b", "a/"),
        ("abc{id}", "abc"),
        ("plain", "plain"),
        ("{n}", ""),
        ("", ""),
        (":{n}", ":"),
        ("{{x}}:{{y}}{n}", "{x}:"),
        ("{{x}}", "{x}"),
        ("x\ufffd:{n}", "x"),
    ],
)
def test_a_pattern_is_known_by_its_beginning(pattern: str, lead: str) -> None:
    """What stands before its first placeholder, up to the last separator in it, with braces as the text has them."""
    assert governance_columns._lead(pattern) == lead


def test_only_governors_that_may_match_are_asked() -> None:
    """One whose beginning differs isn't, and neither is one that all keys before it have been taken from: their regexes cost time."""
    governors = Governors(POLICY)
    broken = "("
    governors._regexes[3] = broken
    texts = pl.Series(["user:admin:cart", "user:7:cart", "user:7:name"])
    assert governors.judge(texts, fold_shapes(texts)).to_list() == [0, 1, 2]
    governors._regexes[2] = broken
    texts = pl.Series(["user:admin:cart", "user:7:cart"])
    assert governors.judge(texts, fold_shapes(texts)).to_list() == [0, 1]
    with pytest.raises(pl.exceptions.PolarsError):
        governors.judge(pl.Series(["lock:1"]), fold_shapes(pl.Series(["lock:1"])))


def test_patterns_with_one_beginning_are_looked_up_once() -> None:
    """However many patterns share it; one that is shorter than a governor's own beginning may match it all the same."""
    governors = Governors(POLICY)
    patterns = pl.Series([f"user:{{n}}:{word}{{n}}" for word in ("a", "b", "c")] + ["us", "lo", ""])
    governors.judge(pl.Series(["x"] * len(patterns)), patterns)
    assert governors._askable.cache_info().misses == 4
    assert governors._askable("user:") == (0, 1, 2)
    assert governors._askable("user:admin:") == (0, 1, 2)
    assert governors._askable("us") == (0, 1, 2)
    assert governors._askable("lock:x") == (3,)
    assert governors._askable("") == (0, 1, 2, 3)
    assert governors._askable("other:") == ()


def test_a_governor_that_many_beginnings_share_is_asked_about_all_of_them() -> None:
    """Each key gets its own answer, wherever its group stands among those that one question is about."""
    rules = tuple(Rule(KeyPattern(each), 60) for each in ("{x}:yes", "a:{n}", "b:{n}", "c:{n}", "{x}:no"))
    policy = Policy(cluster="c", connection="r", owner=Owner(team="t"), rules=rules)
    texts = pl.Series([f"{lead}:{end}" for end in ("yes", "no", "7", "yes", "x") for lead in ("a", "b", "c", "d", "a")])
    found = Governors(policy).judge(texts, fold_shapes(texts)).to_list()
    assert found == [rules.index(rule) if (rule := policy.governs(text)) in rules else None for text in texts]
    assert {0, 1, 2, 3, 4, None} == set(found)
