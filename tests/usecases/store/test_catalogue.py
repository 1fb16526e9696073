"""Paths of documents and names of parts are spelt in one place, and parsed as they are composed."""

from __future__ import annotations

import ast
import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import redis_ttl
from redis_ttl.domain.errors import StoreProblem
from redis_ttl.domain.remediation.parts import CANARY, ROLLBACK, is_rollback, rollback_part, shard_part
from redis_ttl.domain.rollback.journal import JournalName
from redis_ttl.usecases.store.catalogue import (
    ClusterPaths,
    EventKind,
    Increment,
    Pending,
    ResultKind,
    baseline_numbers_in,
    event_name,
    event_time,
    events_in,
    finished_days_in,
    increment_of,
    open_days_in,
    plan_ids_in,
    reports_in,
)

SOURCE = Path(redis_ttl.__file__).parent
PATHS = ClusterPaths("shop")
PLAN = PATHS.plan("p")
MOMENTS = st.integers(0, 4_000_000_000).map(lambda second: dt.datetime.fromtimestamp(second, dt.UTC))
NUMBERS = st.integers(0, 9_999)
TOKENS = st.text("0123456789abcdef", min_size=6, max_size=6)

#: Where such names are composed and parsed.
HOMES = {"usecases/store/catalogue.py", "domain/remediation/parts.py", "domain/rollback/journal.py"}
#: Names of something else that read alike, each with what it is.
ELSEWHERE = {
    ("adapters/policy_files/shape.py", "canary"): "a field of a policy",
    ("adapters/policy_files/relations.py", "canary"): "the same",
    ("tasks/remediate/control.py", "rollback"): "a DAG",
    ("tasks/rollback/run.py", "rollback"): "the same",
    ("tasks/rollback/dag.py", "rollback"): "the same",
    ("tasks/rollback/pages.py", "rollback"): "the same",
    ("usecases/messages/message_sources.py", "rollback"): "the same",
    ("messages/kinds/run_aborted.py", "rollback"): "the same",
    ("tasks/remediate/run.py", "verify"): "a task",
    ("usecases/remediation/apply_plan.py", "check_canary"): "a use case",
}
_FOLDERS = "audits|plans|approvals|journals|results|baselines|drift|watch|messages|pending|events|shards|no_ttl"
SPELT = re.compile(
    rf"\.(json|jsonl|parquet)$|message\.md|report\.md|(^|/)({_FOLDERS})/|/({_FOLDERS})$"
    r"|^(canary|verify|rollback|rollback_check|check_canary|canary_baseline)$"
    r"|^(shard|rollback|canary|survey|grant|begun|request|decision)-$"
)


def texts(path: Path) -> Iterator[str]:
    """The texts in a module that aren't sentences; of an f-string its pieces."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.search(r"\s", node.value):
            yield node.value


def test_no_other_module_spells_a_path_or_a_part() -> None:
    """Nothing but the catalogue and its two companions has a piece of a path, or the name of a part."""
    found = {
        (str(path.relative_to(SOURCE)), text)
        for path in SOURCE.rglob("*.py")
        for text in texts(path)
        if SPELT.search(text)
    }
    assert {each for each in found if each[0] not in HOMES} <= ELSEWHERE.keys()
    assert {name for name, _ in found} >= HOMES


def name_of(path: str) -> str:
    """The last part of it."""
    return path.rpartition("/")[2]


@given(NUMBERS, NUMBERS, NUMBERS, TOKENS)
def test_an_increment_is_known_by_its_fingerprints(shard: int, generation: int, number: int, token: str) -> None:
    """From the path of the fingerprints follow the increment and the path of what was counted with them."""
    audit, increment = PATHS.audit("a"), Increment(shard, generation, number)
    fingerprints = audit.fingerprints(increment, token)
    assert increment_of(fingerprints) == increment
    assert audit.counts_beside(fingerprints) == audit.counts(increment, token)
    assert audit.checkpoints_in(shard, [name_of(audit.checkpoint(increment)), name_of(fingerprints)]) == [
        audit.checkpoint(increment)
    ]


@given(NUMBERS, st.text("abcz0_-.~"), MOMENTS, st.integers(1, 9))
def test_what_is_pending_is_read_from_its_name(number: int, route: str, due: dt.datetime, attempt: int) -> None:
    """A name says all, to the second."""
    pending = Pending(due, route.replace("~", ""), "growth.audit.1", number, attempt)
    assert Pending.parse(pending.file) == pending


def test_results_are_told_apart() -> None:
    """Among the names in one folder each kind finds its own and no other."""
    families = {
        PLAN.begun: "canary-t",
        PLAN.canaries: "t",
        PLAN.shards: "10-t",
        PLAN.surveys: "t",
        PLAN.grants: "t-rule-1-000003",
        **{PLAN.results(kind): "0a1b2c3d" for kind in ResultKind},
    }
    paths = {family: family.path(name) for family, name in families.items()}
    names = [name_of(path) for path in paths.values()] + [name_of(PLAN.results(ResultKind.REPORT).page("0a1b2c3d"))]
    assert {family: family.among(names) for family in families} == {
        family: {name: paths[family]} for family, name in families.items()
    }
    assert (PLAN.part(CANARY, "t"), PLAN.part(shard_part(10), "t")) == (paths[PLAN.canaries], paths[PLAN.shards])
    assert PLAN.requests.among([name_of(PLAN.decisions.path("r"))]) == {}


def test_folders_are_read_as_they_are_filled() -> None:
    """Plans, baselines, reports, days and events are found by the names that they were given, and nothing else is."""
    drift, watch, now = PATHS.drift, PATHS.watch, dt.datetime(2026, 2, 20, 1, 2, 3, 4, tzinfo=dt.UTC)
    assert plan_ids_in([name_of(PATHS.plan(each).document) for each in ("1", "2")] + ["x"]) == ["2", "1"]
    ranges = name_of(drift.baseline_range(3, "0a1b2c", 1))
    assert baseline_numbers_in([name_of(drift.baseline(each)) for each in (3, 20)] + [ranges]) == [20, 3]
    reports = [("a", 1), ("a", 2), ("b", 1)]
    files = [name_of(draw(*each)) for each in reversed(reports) for draw in (drift.report, drift.page)]
    assert reports_in(files) == reports
    day = name_of(watch.sample(now).rpartition("/")[0])
    names = [day, "events", name_of(watch.finished_day("20260219"))]
    assert (open_days_in(names), finished_days_in(names)) == (["20260220"], ["20260219"])
    event = event_name(now, EventKind.NO_TTL)
    assert events_in([name_of(watch.event(event))], EventKind) == [event]
    assert events_in([name_of(watch.event(event))], [EventKind.BURST]) == []
    assert event_time(now) < event < event_time(now + dt.timedelta(seconds=1))


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_no_name_leads_elsewhere(name: str) -> None:
    """A cluster, an audit and a plan are one part of a path each, or refused."""
    for compose in (ClusterPaths, PATHS.audit, PATHS.plan):
        with pytest.raises(StoreProblem):
            compose(name)
    assert PATHS.audit("a").within("shop/audits/a/x") == "shop/audits/a/x"
    assert PATHS.audit("a").within("shop/audits/b/x") == "shop/audits/a/shop/audits/b/x"


@given(NUMBERS)
def test_parts_say_what_they_are(number: int) -> None:
    """A part of a rollback undoes, the others write; a journal takes each for a part."""
    for part, undoes in ((CANARY, False), (shard_part(number), False), (rollback_part(number), True)):
        assert is_rollback(part) is undoes
        name = JournalName("20260220T190900123Z-0a1b2c", part, 0)
        assert JournalName.parse(str(name)) == name
        assert name.undoes is undoes
    assert is_rollback(ROLLBACK)
