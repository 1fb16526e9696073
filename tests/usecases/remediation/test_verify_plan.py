from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab.remediation.policies import policy_of, rule
from lab.servers.cluster import Cluster
from lab.servers.server import Server
from lab.waiting import wait_for
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import Cold
from tests.adapters.keyspaces import set_keys
from tests.usecases.verifying import Remediation, figures


def test_everything_that_was_set_and_stayed_is_kept(any_server: Server, tmp_path: Path) -> None:
    """On every kind of server, in two databases, each planned key counts as kept and none as anything else."""
    set_keys(any_server, [f"cart:{number}" for number in range(300)])
    set_keys(any_server, [f"cart:{number}" for number in range(200)], db=1)
    run = Remediation(any_server.url, tmp_path, policy_of(rule("cart:{id}")), databases=(0, 1))
    run.apply()
    verification = run.verify()
    assert figures(verification.rules[0]) == {"met": 500, "kept": 500}
    assert (verification.complete, verification.missed, verification.scanned) == (True, 0, 500)
    assert run.applying.documents.verifications()[0] == verification


def test_what_the_application_did_since_is_told_apart(any_server: Server, tmp_path: Path) -> None:
    """Changed, wiped, deleted and new keys are each counted as what they are, and none as missed."""
    set_keys(any_server, [f"cart:{number}" for number in range(100)])
    run = Remediation(any_server.url, tmp_path, policy_of(rule("cart:{id}")))
    run.apply()
    with any_server.client() as client:
        client.expire("cart:1", 1_000_000)
        client.set("cart:2", "again")
        client.set("cart:3", "again")
        client.delete("cart:4")
        client.set("cart:new", "x")
        client.set("elsewhere", "x")
    verification = run.verify()
    assert figures(verification.rules[0]) == {
        "met": 100, "kept": 96, "changed": 1, "wiped": 2, "gone": 1, "new": 1, "no_ttl_keys": 3,
    }  # fmt: skip
    assert verification.no_ttl_keys == 4


def test_a_key_that_was_there_all_along_is_missed(redis7: Server, tmp_path: Path) -> None:
    """A key of the audit that nobody used since before we began to write, and that isn't journalled, is missed; one used since is not."""
    keys = [f"cart:{number}" for number in range(20)]
    set_keys(redis7, keys)
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{id}")))
    with redis7.client() as client:
        client.delete("cart:5", "cart:6")
        wait_for(lambda: int(client.object("idletime", "cart:1")) >= 2, "two idle seconds")
        run.apply()
        client.set("cart:6", "written anew")
        run_dump = client.execute_command("DUMP", "cart:1")
        client.execute_command("RESTORE", "cart:5", 0, run_dump, "IDLETIME", 3600)
    assert figures(run.verify().rules[0]) == {
        "met": 20, "kept": 18, "missed": 1, "rewritten": 1, "no_ttl_keys": 2,
    }  # fmt: skip


def test_a_server_that_counts_uses_excuses_used_keys_only(redis7: Server, tmp_path: Path) -> None:
    """Under an LFU policy a key outside the journal that shows no use is missed, and one that shows some is not."""
    set_keys(redis7, [f"cart:{number}" for number in range(20)])
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{id}")))
    with redis7.client() as client:
        client.config_set("maxmemory-policy", "volatile-lfu")
        client.delete("cart:5", "cart:6")
        run.apply()
        client.set("cart:6", "written anew")
        dump = client.execute_command("DUMP", "cart:6")
        client.execute_command("RESTORE", "cart:5", 0, dump, "FREQ", 0)
    found = figures(run.verify().rules[0])
    assert (found["missed"], found["rewritten"]) == (1, 1)


def test_keys_whose_time_has_come_are_expired(redis7: Server, tmp_path: Path) -> None:
    """A journalled key that is gone counts as expired when its instant has passed, and as gone otherwise."""
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{id}")))
    now_ms = time.time_ns() // 1_000_000
    run.journal({b"cart:1": now_ms - 5, b"cart:2": now_ms - 5, b"cart:3": now_ms + 3_600_000})
    assert figures(run.verify().rules[0]) == {"expired": 2, "gone": 1}


def test_the_newest_row_about_a_key_counts(redis7: Server, tmp_path: Path) -> None:
    """A key that several attempts journalled is counted once, by what the last of them set."""
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{id}")))
    now_ms = time.time_ns() // 1_000_000
    run.journal({b"cart:1": now_ms + 100_000}, number=0)
    run.journal({b"cart:1": now_ms + 200_000}, number=1)
    with redis7.client() as client:
        client.set("cart:1", "x", pxat=now_ms + 200_000)
    assert figures(run.verify().rules[0]) == {"met": 1, "kept": 1}


def test_keys_in_use_are_no_fault_of_a_rule_for_cold_keys(redis7: Server, tmp_path: Path) -> None:
    """A key that a rule for cold keys left alone, and that is still in use, is counted as in use."""
    set_keys(redis7, ["cart:1", "cart:2"])
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{id}", cold=Cold(idle_s=3_600))))
    run.apply()
    assert figures(run.verify().rules[0]) == {"met": 2, "in_use": 2, "no_ttl_keys": 2, "hot": 2}


def test_keys_that_a_run_did_not_reach_are_left(redis7: Server, tmp_path: Path) -> None:
    """After a run that ended with its canary, the other keys are left and what it had journalled is unfinished where it isn't ours."""
    set_keys(redis7, [f"cart:{number}" for number in range(500)])
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{id}"), exempt=["config:{name}"]))
    run.applying.canary()
    verification = run.verify()
    found = figures(verification.rules[0])
    assert not verification.complete
    assert found["kept"] + found["left"] == 500 == found["met"]
    assert found["kept"] >= 100


def test_a_journalled_key_of_an_attempt_that_was_cut_off_is_unfinished(redis7: Server, tmp_path: Path) -> None:
    """What was journalled and perhaps never written, by a part that never came to its end, isn't said to be wiped."""
    set_keys(redis7, ["cart:1", "cart:2"])
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{id}")))
    run.apply()
    for path in (tmp_path / "test/results" / run.applying.plan.plan_id).glob("*-*.json"):
        if path.name.startswith(("shard", "canary")):
            path.unlink()
    with redis7.client() as client:
        client.persist("cart:1")
    assert figures(run.verify().rules[0]) == {"met": 2, "kept": 1, "unfinished": 1, "no_ttl_keys": 1}


def test_rules_left_out_and_longer_ttls_are_reported(redis7: Server, tmp_path: Path) -> None:
    """A rule without a sign-off shows how many keys still have no TTL, and a cap rule the keys that got a longer one since."""
    set_keys(redis7, ["cart:1", "mail:1", "mail:2"])
    policy = policy_of(rule("cart:{id}", ttl_s=1_000, mode=Mode.CAP), rule("mail:{id}", sign_off=None))
    run = Remediation(redis7.url, tmp_path, policy)
    run.apply()
    with redis7.client() as client:
        client.set("cart:2", "x", ex=1_000_000)
    cart, mail = run.verify().rules
    assert figures(cart) == {"met": 2, "kept": 1, "longer": 1}
    assert mail.refusal == "no sign-off"
    assert figures(mail) == {"met": 2, "no_ttl_keys": 2}


def test_every_node_of_a_cluster_is_looked_at(valkey_cluster: Cluster, tmp_path: Path) -> None:
    """In a cluster the keys of all primaries are verified."""
    with valkey_cluster.client() as client:
        for number in range(300):
            client.set(f"cart:{number}", "x")
    run = Remediation(valkey_cluster.url, tmp_path, policy_of(rule("cart:{id}")))
    run.apply()
    assert figures(run.verify().rules[0]) == {"met": 300, "kept": 300}


def test_another_policy_is_refused(redis7: Server, tmp_path: Path) -> None:
    """A policy that was changed after the plan can't tell whose keys are whose, and says so."""
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{id}")))
    run.policy = policy_of(rule("other:{id}"))
    with pytest.raises(BadInput, match="changed after the plan"):
        run.verify()
