"""A version that folds better than the one before gives patterns other names. That changes rows, and nothing that rests on keys."""

from __future__ import annotations

import base64
from random import Random
from typing import TYPE_CHECKING

import polars as pl

from lab.remediation.policies import policy_of, rule
from redis_ttl.adapters.counting import tally
from redis_ttl.adapters.counting.pattern_merger import read_patterns
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.drift.drift import Verdict
from redis_ttl.usecases.audit.read_audit import read_audit
from redis_ttl.usecases.store.audits import AuditFolder
from tests.usecases.drifting import Nights, found

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from lab.servers.server import Server

TOKEN = rule("tok:{id}")


def _tokens(first: int, last: int) -> list[str]:
    rng = Random(f"{first} {last}")
    return ["tok:" + base64.b64encode(rng.randbytes(20)).decode() for _ in range(first, last)]


def _put(server: Server, names: list[str]) -> None:
    with server.client() as client:
        client.mset(dict.fromkeys(names, "x"))


def test_keys_whose_pattern_has_another_name_are_not_new(
    redis7: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a baseline of an audit that named the patterns otherwise, the same keys are no drift, and a new one is still found."""
    _put(redis7, _tokens(0, 120))
    nights = Nights(redis7.url, tmp_path, policy_of(TOKEN))
    with monkeypatch.context() as before:
        # As the first version did: whatever has a slash falls apart.
        before.setattr(tally, "fold_shapes", lambda texts: texts.str.replace("[^/]{5,}=?$", "{old}"))
        assert nights.night().verdict is Verdict.FIRST
    clean = nights.audit()
    report = nights.check(clean)
    assert (report.verdict, report.new_keys, report.left_keys) == (Verdict.CLEAN, 0, 0)
    audit = read_audit(AuditFolder(Store(tmp_path), "test", clean.audit_id), read_patterns)
    assert {row.pattern for row in audit.patterns} == {"tok:{token}"}
    (row,) = audit.patterns
    assert (row.keys, row.governed_by) == (120, "tok:{id}")
    _put(redis7, _tokens(500, 503))
    again = nights.night()
    assert again.verdict is Verdict.DRIFT
    assert found(again) == {("new_writer", "tok:{token}"): 3}


def test_the_texts_of_old_and_new_names_are_told_apart_by_this_test() -> None:
    """What stands in for the older folding does name the keys otherwise."""
    names = pl.Series(_tokens(0, 120))
    assert not set(names.str.replace("[^/]{5,}=?$", "{old}")) & {"tok:{token}"}
