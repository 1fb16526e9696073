"""``redis-ttl journal show`` says what a plan changed, for whom and by whose approval, from the store alone."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import roll_back
from lab.servers.server import Server
from redis_ttl.cli.journal import app
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.remediation.approval import Channel, Decision, Verdict
from tests.adapters.keyspaces import set_keys


def applied(server: Server, store: Path) -> Applying:
    """A plan that was approved and written."""
    set_keys(server, [f"cart:{number}" for number in range(120)])
    run = Applying(server.url, store, policy_of(rule("cart:{id}")))
    run.documents.write_plan(run.plan)
    run.documents.write_decision(
        Decision(
            "r",
            run.plan.plan_id,
            run.plan.digest,
            "approve_plan",
            Verdict.APPROVED,
            Channel.FORM,
            "ann",
            "2026-11-24T01:02:03+00:00",
            "go",
        )
    )
    run.run()
    return run


def test_the_page_names_keys_people_and_dates(redis7: Server, tmp_path: Path) -> None:
    """The page has the rule, who signed it off, who approved, how many keys, and the rows about one key with what was and is."""
    run = applied(redis7, tmp_path)
    roll_back(run)
    shown = CliRunner().invoke(app, ["show", run.plan.plan_id, "--store", str(tmp_path), "--key", "cart:7"])
    assert shown.exit_code == 0, shown.output
    for words in (
        "approved by ann",
        ": go",
        "cart:{id}",
        "Wang Li, 2026-02-20",
        "expiry was none, set to",
        "restored to none",
    ):
        assert words in shown.output
    missing = CliRunner().invoke(app, ["show", run.plan.plan_id, "--store", str(tmp_path), "--key", "cart:none"])
    assert "isn't in the journal" in missing.output


def test_json_has_the_same_figures(redis7: Server, tmp_path: Path) -> None:
    """With --json the figures are data: every key once, all of them without a TTL before, first and last expiry."""
    run = applied(redis7, tmp_path)
    shown = CliRunner().invoke(app, ["show", run.plan.plan_id, "--store", str(tmp_path), "--json"])
    (row,) = json.loads(shown.output)["rules"]
    instants = sorted(run.instant_ms(b"cart:%d" % number) for number in range(120))
    assert (row["rows"], row["had_none"], row["restored"]) == (120, 120, 0)
    assert (row["first_ms"], row["last_ms"]) == (instants[0], instants[-1])


def test_what_is_no_plan_is_refused(tmp_path: Path) -> None:
    """A text that is no id never becomes a path, and a plan that isn't there is said to be missing."""
    for plan in ("../../etc/passwd", "20261124T010101Z-abcdef"):
        shown = CliRunner().invoke(app, ["show", plan, "--store", str(tmp_path)])
        assert isinstance(shown.exception, InvalidOption)
