"""What messages say of keys that end by themselves and of keys that come and go, in each language."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redis_ttl.domain.drift.drift import DriftKind
from redis_ttl.domain.incident.messages import ACTION_REQUIRED, EXAMPLES
from redis_ttl.domain.messages.facts.any_facts import AnyFacts
from redis_ttl.domain.messages.facts.drift_found import DriftFacts, DriftFound
from redis_ttl.messages.rendering import documents_of

ROW = DriftFacts(DriftKind.RULE_MISSING, "uniquejobs:{hex}:GRABBED", 400, 3_400, "2026-02-26T19:04:00+00:00")
(DRIFT,) = (facts for facts in EXAMPLES.values() if isinstance(facts, DriftFound))


def text(facts: AnyFacts, language: str) -> str:
    """All that the message says."""
    (document,) = documents_of(facts, languages=(language,), timezone="UTC")
    return repr(document)


@pytest.mark.parametrize(
    ("language", "churn", "ending", "unheard_of"),
    [
        ("en", "come and go", "disappear anyway", "the next audit finds them gone"),
        ("zh", "churn", "自动消失", "下次审计时已消失"),
    ],
)
def test_what_isn_t_counted_is_said_beside_what_is(language: str, churn: str, ending: str, unheard_of: str) -> None:
    """The number that counts stands in the row; the others in a sentence each, and only where there are any."""
    plain = text(replace(DRIFT, findings=(ROW,)), language)
    assert not any(word in plain for word in (churn, ending, unheard_of))
    row = replace(ROW, churn_keys=3_000, ending_keys=70, is_unheard_of=True)
    said = text(replace(DRIFT, findings=(row,)), language)
    assert all(word in said for word in (churn, ending, unheard_of, "3,000", "70", "400"))


@pytest.mark.parametrize(("language", "words"), [("en", "disappear anyway"), ("zh", "自动消失")])
def test_keys_that_end_by_themselves_aren_t_said_to_never_expire(language: str, words: str) -> None:
    """They are taken off the number of those that never expire, and told apart."""
    assert words not in text(ACTION_REQUIRED, language)
    said = text(replace(ACTION_REQUIRED, keys=100_000, no_ttl_keys=50_000, ending_keys=12_345), language)
    assert words in said
    assert "12,345" in said
    assert "37,655" in said
