"""Which audits before one its keys are compared with: only those that a key can't be missing from by anything but its own end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.audit.audit import Audit, AuditOptions, AuditPlan, Completeness
from redis_ttl.usecases.drift.earlier_audits import earlier_audits, met_every_key
from redis_ttl.usecases.store.audits import AuditFolder
from tests.usecases.stand_in_scan import profile_of

SERVER = profile_of(lineage="a" * 40, run_id="r" * 40)
OPTIONS = AuditOptions(databases="all")


def audit_of(number: int, **more: Any) -> Audit:
    """A complete audit of that day."""
    plan = {name: more.pop(name) for name in ("seed", "servers", "options") if name in more}
    audit_id = f"202611{number:02d}T010101Z-abcdef"
    made = AuditPlan(audit_id, "shop", "x", OPTIONS, None, (SERVER,), (), (), warnings=("said before",))
    values: dict[str, Any] = {"completeness": Completeness(10, 0), "warnings": ("said before",), **more}
    return Audit(replace(made, **plan), "x", 1.0, 0, 0, 0, (), (), patterns=(), **values)


@dataclass
class Audits:
    """A store with audits."""

    folder: Path

    def keep(self, audit: Audit, *, ended: bool = True) -> None:
        """Write an audit as one leaves it."""
        folder = AuditFolder(Store(self.folder), "shop", audit.plan.audit_id)
        folder.write_plan(audit.plan)
        path = folder.write_patterns(b"x")
        if ended:
            folder.write_audit(replace(audit, patterns_document=path))

    def before(self, audit: Audit) -> list[str]:
        """The days of the audits that are found before it."""
        return [each.audit.plan.audit_id[6:8] for each in earlier_audits(audit, Store(self.folder), lambda _: ())]


@pytest.fixture
def audits(tmp_path: Path) -> Audits:
    """None yet."""
    return Audits(tmp_path)


def test_the_last_two_before_are_found(audits: Audits) -> None:
    """The latest first; neither the audit itself nor one after it, and none that didn't end."""
    for number in (1, 2, 3, 5, 6):
        audits.keep(audit_of(number))
    audits.keep(audit_of(4), ended=False)
    assert audits.before(audit_of(5)) == ["03", "02"]
    assert audits.before(audit_of(2)) == ["01"]
    assert audits.before(audit_of(1)) == []


@pytest.mark.parametrize(("others", "found"), [(4, ["02", "01"]), (5, ["02"]), (6, [])])
def test_six_audits_before_are_looked_at(audits: Audits, others: int, found: list[str]) -> None:
    """Behind more that can't be compared nobody looks."""
    for number in range(1, 3 + others):
        audits.keep(audit_of(number, seed=0 if number <= 2 else 7))
    assert audits.before(audit_of(3 + others)) == found


def test_one_that_is_damaged_is_left_out(audits: Audits) -> None:
    """The others are found all the same."""
    for number in (1, 2, 3):
        audits.keep(audit_of(number))
    (audits.folder / "shop/audits/20261102T010101Z-abcdef/audit.json").write_bytes(b"{")
    (audits.folder / "shop/audits/20261103T010101Z-abcdef/patterns.parquet").unlink()
    assert audits.before(audit_of(4)) == ["01"]


@pytest.mark.parametrize(
    ("more", "is_whole"),
    [
        ({}, True),
        ({"completeness": Completeness(10, 1)}, False),
        ({"completeness": Completeness(10, 0, doubts=("two servers",))}, False),
        ({"warnings": ("said before", "slots moved")}, False),
        ({"warnings": ()}, False),
    ],
)
def test_only_audits_that_met_every_key_are_compared(audits: Audits, more: dict[str, Any], *, is_whole: bool) -> None:
    """Unseen samples, doubts about the data set, and whatever was warned of during the scan: on either side."""
    assert met_every_key(audit_of(1, **more)) is is_whole
    audits.keep(audit_of(1, **more))
    assert audits.before(audit_of(2)) == (["01"] if is_whole else [])
    audits.keep(audit_of(3))
    assert audits.before(audit_of(4, **more)) == (["03", "01"] if is_whole else [])


@pytest.mark.parametrize(
    ("then", "now", "is_compared"),
    [
        ("all", "all", True),
        ("all", (0, 3), True),
        ((0, 3), (0, 3), True),
        ((0, 3), (3,), True),
        ((0,), (0, 3), False),
        ((0, 3), "all", False),
    ],
)
def test_the_earlier_one_must_have_read_what_this_one_reads(
    audits: Audits, then: Any, now: Any, *, is_compared: bool
) -> None:
    """A database that only the later one read has new keys only because nobody looked before."""
    audits.keep(audit_of(1, options=AuditOptions(databases=then)))
    assert bool(audits.before(audit_of(2, options=AuditOptions(databases=now)))) is is_compared


@pytest.mark.parametrize(
    ("then", "now", "databases", "is_compared"),
    [
        ((3,), (), "all", False),
        ((3,), (3,), "all", True),
        ((3,), (), (0,), True),
        ((3,), (), (0, 3), False),
        ((), (3,), "all", True),
    ],
)
def test_a_database_that_might_not_be_read_is_none_that_was(
    audits: Audits, then: tuple[int, ...], now: tuple[int, ...], databases: Any, *, is_compared: bool
) -> None:
    """One that was forbidden then and isn't any more has new keys only because nobody was let in."""
    options = AuditOptions(databases=databases)
    audits.keep(audit_of(1, servers=(replace(SERVER, forbidden_databases=then),)))
    assert (
        bool(audits.before(audit_of(2, options=options, servers=(replace(SERVER, forbidden_databases=now),))))
        is is_compared
    )


@pytest.mark.parametrize(
    ("then", "now", "is_same"),
    [
        ({}, {}, True),
        ({}, {"lineage": "b" * 40}, False),
        ({}, {"lineage": "b" * 40, "former_lineage": "a" * 40}, True),
        ({"former_lineage": "c" * 40}, {"lineage": "c" * 40}, True),
        ({"lineage": ""}, {"lineage": ""}, True),
        ({"lineage": ""}, {"lineage": "", "run_id": "s" * 40}, False),
        ({"lineage": ""}, {}, True),
        ({"lineage": "", "run_id": ""}, {"lineage": "", "run_id": ""}, False),
    ],
)
def test_only_audits_of_the_same_data_are_compared(
    audits: Audits, then: dict[str, str], now: dict[str, str], *, is_same: bool
) -> None:
    """By replication ids, the former ones too; by the process where none is told; and never by nothing."""
    audits.keep(audit_of(1, servers=(replace(SERVER, **then),)))  # type: ignore[arg-type]
    assert bool(audits.before(audit_of(2, servers=(replace(SERVER, **now),)))) is is_same  # type: ignore[arg-type]
