"""Writing to a cluster whose keys move from node to node, which shifts their expiries by some milliseconds."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.remediation.restoring import roll_back
from lab.servers.cluster import Cluster, run_cluster
from lab.servers.kinds import REDIS_7, VALKEY, ServerKind
from redis_ttl.domain.audit.shards import key_slot
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.rollback.rollback import RestoreAccount
from tests.usecases.rollback.test_restore_on_moving_slots import Move, fill

POLICY = policy_of(rule("cart:{{t}}{n}"), rule("seen:{{t}}{n}", ttl_s=86_400, mode=Mode.CAP))
SLOT = key_slot(b"cart:{t}1")


def ttls_ms(cluster: Cluster) -> dict[bytes, int]:
    """What is left of every key's life, -1 without a TTL."""
    with cluster.client() as client:
        return {key: int(client.pttl(key)) for key in client.keys("*", target_nodes="primaries")}


@pytest.mark.parametrize("kind", [VALKEY, REDIS_7], ids=lambda kind: kind.name)
def test_keys_that_were_moved_are_ours_still(kind: ServerKind, tmp_path: Path) -> None:
    """Keys that got their TTL and moved to another node are neither written nor journalled again, and all are given back."""
    with run_cluster(kind) as cluster, ExitStack() as stack:
        fill(cluster)
        before = ttls_ms(cluster)
        run = Applying(cluster.url, tmp_path, POLICY)
        run.run()
        assert run.journal().height == 400
        for _ in range(6):  # each way shifts some of them by a millisecond or two
            move = Move(cluster, SLOT, stack)
            move.begin()
            while move.take(7):
                pass
            move.end()
        accounts = [account for part in run.run() for account in part.accounts.values()]
        assert sum(account.already_ours for account in accounts) == 2 * 400  # canary and shards
        assert sum(account.changed for account in accounts) == 0
        assert run.journal().height == 400
        assert roll_back(run) == RestoreAccount(keys=400, removed=200, put_back=200)
        for key, left_ms in ttls_ms(cluster).items():
            assert (left_ms == -1) == (before[key] == -1)
            assert left_ms == -1 or before[key] - 600_000 < left_ms <= before[key]
