"""The columns judge each key as the policy itself does."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.folding_columns import fold_shapes
from redis_ttl.adapters.governance_columns import Governors
from redis_ttl.domain.key_pattern import KeyPattern
from redis_ttl.domain.pattern_statistics import Governance
from redis_ttl.domain.policy import Exemption, Owner, Policy, Rule

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
