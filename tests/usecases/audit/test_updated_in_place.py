"""What of a keyspace is updated in place, type by type and write by write, as the audit and the plan of real servers say it."""

from __future__ import annotations

from pathlib import Path

from lab.remediation.policies import policy_of, rule
from lab.servers.kinds import REDIS_62
from lab.servers.server import Server
from redis_ttl.domain.audit.pattern_statistics import SHORT_RAW
from redis_ttl.domain.plan.caution import CautionKind
from redis_ttl.domain.plan.plan import PlannedRule
from redis_ttl.messages.pages.audit_report import types_text
from redis_ttl.messages.pages.plan_page import plan_page
from tests.adapters.keyspaces import send
from tests.usecases.audit.test_hidden_figures import without
from tests.usecases.auditing import Auditing
from tests.usecases.plan.test_build_plan import plan_from

KEYS = 60
#: How the keys of a pattern are written, and what is known of them: a kind that is updated in place, or that it can't be told.
WRITTEN: dict[str, tuple[list[tuple[str | int, ...]], str | None]] = {
    "hash": ([("HSET", "f", "1")], "hash"),
    "list": ([("RPUSH", "a")], "list"),
    "set": ([("SADD", "a")], "set"),
    "zset": ([("ZADD", 1, "a")], "zset"),
    "geo": ([("GEOADD", "13.3", "38.1", "a")], "zset"),
    "stream": ([("XADD", "*", "f", "v")], "stream"),
    "incr": ([("INCR",)], "counter"),
    "bits": ([("SETBIT", 7, 1)], SHORT_RAW),
    "app": ([("APPEND", "a"), ("APPEND", "b")], SHORT_RAW),
    "range": ([("SETRANGE", 3, "a")], SHORT_RAW),
    "once": ([("APPEND", "a")], None),
    "flt": ([("INCRBYFLOAT", "1.5"), ("INCRBYFLOAT", "0.25")], None),
    "hll": ([("PFADD", *(f"element-{number}" for number in range(50)))], None),
    "text": ([("SET", "x" * 100)], None),
    "small": ([("SET", "a")], None),
}


def fill(server: Server, written: dict[str, tuple[list[tuple[str | int, ...]], str | None]]) -> None:
    """Keys of every pattern."""
    send(
        server,
        [
            (command, f"{name}:{number}", *words)
            for name, (commands, _) in written.items()
            for number in range(KEYS)
            for command, *words in commands
        ],
    )


def planned(server: Server, folder: Path, names: list[str]) -> tuple[dict[str, PlannedRule], dict[str, str], str]:
    """The plan's rules and the report's types by the names of the patterns, and the plan's page."""
    policy = without(policy=policy_of(*(rule(f"{name}:{{id}}") for name in names)))
    auditing = Auditing(server.url, folder, policy=policy)
    audit = auditing.run()
    plan = plan_from(auditing, audit, policy)
    types = {row.pattern.split(":")[0]: types_text(row) for row in audit.patterns}
    return {each.pattern.split(":")[0]: each for each in plan.rules}, types, plan_page(plan, policy)


def test_every_write_in_place_is_warned_of_or_said_to_be_unknown(any_server: Server, tmp_path: Path) -> None:
    """Every pattern has a warning: that its values are updated in place, or that nobody can tell it of a string, as of every one in
    Redis 6.2, which says of no value that it is short.
    """
    fill(any_server, WRITTEN)
    rules, _, page = planned(any_server, tmp_path, list(WRITTEN))
    for name, (_, kind) in WRITTEN.items():
        cautions = {each.kind: each for each in rules[name].cautions}
        if kind is None or (kind == SHORT_RAW and any_server.kind is REDIS_62):
            assert CautionKind.IN_PLACE not in cautions, name
            assert cautions[CautionKind.STRINGS].ratio == 1.0, name
        elif kind == SHORT_RAW:
            # How large the server says that such a value is depends on its allocator, and on its way to store the name.
            assert cautions[CautionKind.IN_PLACE].kinds[0].startswith(SHORT_RAW), name
        else:
            assert cautions[CautionKind.IN_PLACE].kinds == (f"{kind} 100%",), name
            assert CautionKind.STRINGS not in cautions, name
    assert "PFADD (HyperLogLogs)" in page


def test_a_type_of_its_own_is_named(redis82: Server, tmp_path: Path) -> None:
    """A vector set is no string: plan and report call it by the name that the server gives it."""
    fill(redis82, {"vec": ([("VADD", "VALUES", 2, 1, 1, "a")], None)})
    rules, types, page = planned(redis82, tmp_path, ["vec"])
    assert rules["vec"].cautions[0].kinds == ("vectorset 100%",)
    assert [each.kind for each in rules["vec"].cautions] == [CautionKind.IN_PLACE, CautionKind.IN_USE]
    assert "vectorset 100%" in page
    assert types == {"vec": "vectorset"}


def test_what_set_writes_is_never_taken_for_written_in_place(any_server: Server, tmp_path: Path) -> None:
    """Names and values of every short length, written by SET alone: none of them looks like APPEND or SETBIT."""
    sizes = [(name, value) for name in range(1, 60, 3) for value in range(1, 70)]
    send(any_server, [("SET", f"s:{'k' * name}{value}", "v" * value) for name, value in sizes])
    auditing = Auditing(any_server.url, tmp_path)
    assert sum(row.short_raw_keys for row in auditing.run().patterns) == 0


def test_of_many_types_a_row_keeps_a_few_names() -> None:
    """However many names a server gives, a row keeps a bounded number of them, the same whatever the order of merging."""
    import polars as pl

    from redis_ttl.adapters.counting.pattern_table import (
        OTHER_TYPES,
        TYPE_NAMES_KEPT,
        conform,
        merge_tables,
        to_statistics,
    )

    def table(names: list[str]) -> pl.DataFrame:
        row = {
            "db": 0,
            "pattern": "p",
            "governance": "none",
            "governed_by": None,
            "keys": len(names),
            "type_other": len(names),
        }
        types = pl.Series([[{"name": name, "keys": 1} for name in names]], dtype=OTHER_TYPES)
        return conform(pl.DataFrame([row]).with_columns(other_types=types))

    parts = [table([f"module-{number:03}" for number in range(first, first + 40)]) for first in (0, 20, 60, 0)]
    whole = merge_tables([merge_tables([part]) for part in parts])
    assert merge_tables([merge_tables(parts[2:]), merge_tables(parts[:2])]).equals(whole)
    (row,) = to_statistics(whole)
    assert len(row.other_types) == TYPE_NAMES_KEPT
    assert row.other_types["module-000"] == 2
    assert sum(row.named_types.values()) == 160
