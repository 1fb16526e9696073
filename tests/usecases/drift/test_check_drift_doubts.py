"""What a drift check must not conclude from an audit or a journal that leaves a doubt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.servers.server import Server
from tests.adapters.keyspaces import set_keys
from tests.usecases.drifting import Nights, found


@pytest.fixture
def nights(redis7: Server, tmp_path: Path) -> Nights:
    """A cluster with ten keys, which are its baseline."""
    set_keys(redis7, [f"cart:{number}" for number in range(10)])
    begun = Nights(redis7.url, tmp_path, policy_of(rule("cart:{n}")))
    begun.night()
    return begun


def test_keys_that_an_audit_met_before_they_were_written_are_not_wiped(nights: Nights, redis7: Server) -> None:
    """A part that ended after the audit began says nothing about what the audit met: its keys had no TTL yet."""
    audit = nights.audit()
    Applying(redis7.url, nights.store, nights.policy).run()
    report = nights.check(audit)
    assert found(report) == {}
    assert (report.new_keys, report.left_keys, report.no_ttl_keys) == (0, 0, 10)


def test_keys_that_lost_their_ttl_before_an_audit_are_wiped(nights: Nights, redis7: Server) -> None:
    """A part that ended before the audit began does: what has no TTL then has lost it."""
    Applying(redis7.url, nights.store, nights.policy).run()
    with redis7.client() as client:
        client.persist("cart:3")
    assert found(nights.night()) == {("ttl_wiped", "cart:{n}"): 1}


@pytest.mark.parametrize("unseen", [0, 1])
def test_no_key_leaves_the_baseline_by_an_audit_that_may_have_lost_some(
    unseen: int, nights: Nights, redis7: Server
) -> None:
    """Where one sample key stayed unseen, keys that the audit didn't meet stay in the baseline: back the next night, they aren't new."""
    with redis7.client() as client:
        client.delete("cart:3")
    audit = nights.audit()
    path = nights.store / audit.folder.path / "audit.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "completeness": {**data["completeness"], "unseen": unseen}}))
    report = nights.check(audit)
    assert report.left_keys == (0 if unseen else 1)
    set_keys(redis7, ["cart:3"])
    assert nights.night().new_keys == (0 if unseen else 1)
