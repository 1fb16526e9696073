"""Fingerprints of keys without TTL are hashed with a secret of their cluster, from one audit to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from xxhash import xxh3_64_intdigest

from lab.remediation.policies import policy_of, rule
from lab.servers.server import Server
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import BadInput
from redis_ttl.usecases.store.drift import seed_of_next_audit
from tests.adapters.keyspaces import set_keys
from tests.usecases.auditing import FAST, Auditing
from tests.usecases.drifting import Nights, found
from tests.usecases.kept_store import CLUSTER, POLICY, KeptStore, kept_keys, load_keys
from tests.usecases.remediation.test_verify_journal import VICTIM, collide


@pytest.fixture
def nights(redis7: Server, tmp_path: Path) -> Nights:
    """A cluster whose baseline is one key."""
    set_keys(redis7, [VICTIM])
    begun = Nights(redis7.url, tmp_path, policy_of(rule("cart:session:{id}")))
    begun.night()
    return begun


def test_a_name_made_to_collide_with_an_accepted_key_is_drift(nights: Nights, redis7: Server) -> None:
    """A new key with the unseeded fingerprint of one in the baseline is found as new; nobody who chooses names can hide it."""
    evil = collide(VICTIM)
    assert xxh3_64_intdigest(evil) == xxh3_64_intdigest(VICTIM)
    set_keys(redis7, [evil])
    assert sum(found(nights.night()).values()) == 1


def test_each_audit_takes_the_seed_over(nights: Nights) -> None:
    """The seed is random, and the same from the first audit over its baseline to the next audits."""
    (baseline,) = nights.documents.baselines()
    seeds = {nights.audit().folder.plan().seed for _ in range(2)} | {baseline.seed}
    assert seeds == {seed_of_next_audit(Store(nights.store), "test")}
    assert seeds != {0}


def test_clusters_have_seeds_of_their_own(redis7: Server, tmp_path: Path) -> None:
    """Two clusters in one store, and one cluster in two stores, are hashed with different seeds."""
    seeds = {
        Auditing(redis7.url, tmp_path / store, cluster=cluster).plan().seed
        for store, cluster in (("a", "one"), ("a", "two"), ("b", "one"))
    }
    assert len(seeds) == 3


def test_an_audit_begun_before_the_baseline_is_refused_and_the_next_one_is_not(redis7: Server, tmp_path: Path) -> None:
    """Fingerprints of different seeds are never compared: the check says so, and another audit has the baseline's seed."""
    set_keys(redis7, [VICTIM])
    nights = Nights(redis7.url, tmp_path, policy_of(rule("cart:session:{id}")))
    first, second = nights.audit(), nights.audit()
    path = tmp_path / second.folder.path / "plan.json"
    path.write_text(path.read_text().replace(f"{second.folder.plan().seed:016x}", f"{7:016x}"))
    nights.check(first)
    with pytest.raises(BadInput, match="Run another audit"):
        nights.check(second)
    assert seed_of_next_audit(Store(tmp_path), "test") == first.folder.plan().seed
    assert found(nights.night()) == {}


def test_a_baseline_of_0_1_is_gone_on_with(tmp_path: Path) -> None:
    """While a baseline of version 0.1 holds, audits hash as it did, so that they stay comparable."""
    kept = KeptStore.copy(tmp_path)
    assert seed_of_next_audit(Store(kept.store), CLUSTER) == 0
    for path in (kept.store / CLUSTER / "baselines").iterdir():
        path.unlink()
    assert seed_of_next_audit(Store(kept.store), CLUSTER) != 0


def test_verifying_goes_by_the_seed_of_the_audit(redis7: Server, tmp_path: Path) -> None:
    """The keys that the audit met are known again under its seed: one that we overlooked is missed, not new."""
    from tests.usecases.verifying import Remediation, figures

    set_keys(redis7, ["cart:1", "cart:2"])
    run = Remediation(redis7.url, tmp_path, policy_of(rule("cart:{n}")))
    with redis7.client() as client:
        dump = client.dump("cart:1")
        client.delete("cart:1")
        run.apply()
        client.restore("cart:1", 0, dump, idletime=3_600)
    assert figures(run.verify().rules[0]) == {"met": 2, "kept": 1, "missed": 1, "no_ttl_keys": 1}
    assert replace(Auditing(redis7.url, tmp_path)).folder.plan().seed != 0


@pytest.mark.parametrize(("databases", "is_led_over"), [((0, 1), True), ("all", True), ((0,), False)])
def test_accepting_leads_a_baseline_of_0_1_over_to_a_seed(
    databases: Literal["all"] | tuple[int, ...],
    is_led_over: bool,  # noqa: FBT001  # a parameter of the test
    redis7: Server,
    tmp_path: Path,
) -> None:
    """What somebody accepts after an upgrade is kept under a seed, if the audit read every database of the baseline; the same keys
    aren't new the next night, and a name made to collide with one of them is.
    """
    kept = KeptStore.copy(tmp_path)
    load_keys(redis7, kept_keys("after"))
    set_keys(redis7, [VICTIM])
    nights = Nights(redis7.url, kept.store, POLICY, replace(FAST, databases=databases), cluster=CLUSTER, first=20261201)
    report = nights.accept()
    newest = next(nights.documents.baselines())
    assert newest.number == report.next_baseline == 4
    assert (newest.seed != 0) == is_led_over
    assert (
        newest.keys
        == sum(each.keys for each in newest.ranges)
        == sum(v is None for v in kept_keys("after").values()) + 1
    )
    assert nights.night().new_keys == 0
    assert nights.audit().folder.plan().seed == newest.seed
    set_keys(redis7, [collide(VICTIM)])
    assert nights.night().new_keys == (1 if is_led_over else 0)
