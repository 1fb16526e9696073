"""The limits of a plan hold over all of its parts together, however late their keys appear and however often they are tried."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from redis_ttl.adapters.journal.earlier_changes import EarlierChanges
from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import Aborted, RedisTtlError, StoreProblem, TooManyMatches
from redis_ttl.domain.remediation.quota import Survey
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.usecases.remediation.apply_plan import check_canary
from redis_ttl.usecases.remediation.write_limits import WriteLimits
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.adapters.keyspaces import set_keys
from tests.conftest import require


def with_ttl(server: Server) -> int:
    """How many keys of the server have a TTL."""
    with server.client() as client:
        return int(client.info("keyspace").get("db0", {}).get("expires", 0))


def grow(server: Server, first: int, last: int, family: str = "a") -> None:
    """Keys of the rule that weren't there before."""
    set_keys(server, [f"{family}:{number}" for number in range(first, last)])


@pytest.mark.parametrize(("limit_of_rule", "limit_of_run"), [(600, None), (10**6, 600), (600, 600)])
def test_keys_that_appear_after_the_canary_are_within_the_limits(
    valkey: Server, tmp_path: Path, limit_of_rule: int, limit_of_run: int | None
) -> None:
    """A burst between canary and shard is written up to the limit of rule and run at most; the part ends and says why."""
    grow(valkey, 0, 500)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), limit_keys=limit_of_rule)
    applying.plan = replace(applying.plan, limit_keys=limit_of_run)
    applying.pass_canary()
    grow(valkey, 500, 20_000)
    for _ in range(2):  # a retry has no more than the first attempt
        with pytest.raises(Aborted, match=r"(rule a:\{n\} matches|rules together match) more keys .* 600 at most"):
            applying.shard()
        part = applying.documents.parts()[-1]
        assert part.outcome is Outcome.ABORTED
        assert "500 were counted before the canary" in (part.reason or "")
        assert with_ttl(valkey) <= 600


def test_a_little_growth_is_written(valkey: Server, tmp_path: Path) -> None:
    """Keys that appear later are written as long as the limit leaves room for them, to the last one."""
    grow(valkey, 0, 500)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), limit_keys=600)
    applying.pass_canary()
    grow(valkey, 500, 600)
    assert applying.shard().outcome is Outcome.DONE
    assert with_ttl(valkey) == 600
    grow(valkey, 600, 601)
    with pytest.raises(Aborted, match="more keys"):
        applying.shard()
    assert with_ttl(valkey) == 600


def test_shards_that_run_at_once_share_the_limit(valkey: Server, tmp_path: Path) -> None:
    """Four shards of a keyspace that keeps growing, each tried twice and at the same time, stay below the one limit together."""
    grow(valkey, 0, 40_000)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), shards=4, limit_keys=50_000)
    assert len(applying.plan.shards) == 4
    applying.pass_canary()
    grow(valkey, 40_000, 100_000)

    def work(number: int) -> None:
        for _ in range(2):
            try:
                applying.shard(number, log=lambda _: None)
            except RedisTtlError:
                continue

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(applying.plan.shards))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert with_ttl(valkey) <= 50_000


def test_many_attempts_draw_no_share_twice(tmp_path: Path, valkey: Server) -> None:
    """However many writers draw at once, all of them together have the surveyed keys and the reserve, and no key more."""
    grow(valkey, 0, 10)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), shards=1, limit_keys=1_000)
    documents, plan = applying.documents, applying.plan
    attempt = "20261128T010101000Z-abcdef"
    documents.write_survey(Survey(plan.plan_id, plan.digest, attempt, {0: {0: 10}}))
    got: list[int] = []

    def draw(number: int) -> None:
        limits = WriteLimits(
            plan,
            applying.documents,
            part=f"shard-{number}",
            attempt=f"20261128T020202000Z-{number:06x}",
            shards=[number],
            run_id="",
            insist=lambda action: action(),
            earlier=EarlierChanges(),
        )
        while (grant := limits._draw("rule-0")) is not None:
            got.append(limits._reserves["rule-0"].keys(grant.number))

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 990


def test_a_share_whose_writing_only_seemed_to_fail_is_ones_own(valkey: Server, tmp_path: Path) -> None:
    """A store that keeps a share and then says that it didn't takes nothing away from the limit."""
    grow(valkey, 0, 500)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), limit_keys=600)
    applying.pass_canary()
    grow(valkey, 500, 600)

    class LateFailure(Store):
        failed = 0

        def write(self, path: str, data: bytes) -> None:
            super().write(path, data)
            if "/grant-" in path:
                self.failed += 1
                raise StoreProblem("no answer", where=path)

    store = LateFailure(tmp_path)
    assert applying.shard(documents=PlanDocuments(store, "test", applying.plan.plan_id)).outcome is Outcome.DONE
    assert store.failed == 64
    assert with_ttl(valkey) == 600


def test_a_canary_that_is_written_again_counts_what_is_ours(valkey: Server, tmp_path: Path) -> None:
    """A canary that is cleared counts keys that have their TTL already, so it passes no limit by having been there before."""
    grow(valkey, 0, 500)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), limit_keys=500)
    applying.pass_canary()
    grow(valkey, 500, 501)
    before = with_ttl(valkey)
    with pytest.raises(TooManyMatches, match="found 501 keys; expected at most 500"):
        applying.canary()
    assert with_ttl(valkey) == before


def test_a_new_count_replaces_the_old_one_and_its_shares(valkey: Server, tmp_path: Path) -> None:
    """After the canary was written again, shards count from its new figures, and shares of the old reserve are void."""
    grow(valkey, 0, 500)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")), limit_keys=600)
    applying.pass_canary()
    grow(valkey, 500, 560)
    applying.shard()
    applying.pass_canary()
    grow(valkey, 560, 600)
    assert applying.shard().outcome is Outcome.DONE
    assert with_ttl(valkey) == 600
    grow(valkey, 600, 700)
    with pytest.raises(Aborted, match="560 were counted before the canary"):
        applying.shard()
    assert with_ttl(valkey) == 600


def test_a_plan_whose_canary_counted_nothing_is_not_written(valkey: Server, tmp_path: Path) -> None:
    """The canary of version 0.1 kept no count: a shard after it asks for the canary again, and writes nothing."""
    grow(valkey, 0, 500)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}")))
    applying.pass_canary()
    [survey] = tmp_path.glob("test/results/*/survey-*.json")
    survey.unlink()
    before = with_ttl(valkey)
    with pytest.raises(Aborted, match="Clear the task apply_canary"):
        applying.shard()
    assert with_ttl(valkey) == before
    applying.canary()
    check_canary(applying.plan, applying.tools())
    applying.shard()
    assert with_ttl(valkey) == 500


def paced(valkey: Server, store: Path, *, canary_keys: int = 1) -> Applying:
    """5,000 keys of a rule that allows 6,000, written some 2,000 at a time, with the canary passed."""
    grow(valkey, 0, 5_000)
    policy = policy_of(rule("a:{n}"), canary_keys=canary_keys)
    applying = Applying(valkey.url, store, policy, rate="4000/s", limit_keys=6_000)
    applying.pass_canary()
    return applying


class Killed(Store):
    """Ends whoever writes a shard's journal object of this number, when it is durable or before."""

    shard = 0
    number = 0
    durable = True

    def write(self, path: str, data: bytes) -> None:
        """Keep it, or not, and end."""
        fatal = f"_shard-{self.shard}_{self.number:06d}_" in path
        if fatal and not self.durable:
            raise KeyboardInterrupt
        super().write(path, data)
        if fatal:
            raise KeyboardInterrupt


def kill(applying: Applying, number: int, *, durable: bool, shard: int = 0) -> None:
    """Break the shard's attempt off at its journal object of this number, without any result."""
    store = Killed(applying.store)
    store.shard, store.number, store.durable = shard, number, durable
    with pytest.raises(KeyboardInterrupt):
        applying.shard(shard, documents=PlanDocuments(store, "test", applying.plan.plan_id))


def test_the_canarys_keys_count_before_they_are_met(valkey: Server, tmp_path: Path) -> None:
    """Where a burst comes first in the shard's order, the canary's keys that come later have their place in the limit."""
    applying = paced(valkey, tmp_path, canary_keys=1_000)
    grow(valkey, 5_000, 60_000)
    with pytest.raises(Aborted, match=r"6,000 at most.* Clearing the task changes nothing"):
        applying.shard()
    assert with_ttl(valkey) <= 6_000


@pytest.mark.parametrize("recount", [False, True])
def test_what_a_killed_attempt_wrote_counts_before_it_is_met(valkey: Server, tmp_path: Path, *, recount: bool) -> None:
    """A burst between a killed attempt and the next one is written within the limit, also after the canary has counted anew."""
    applying = paced(valkey, tmp_path)
    kill(applying, 1, durable=False)
    assert 3_000 < with_ttl(valkey) < 5_000
    if recount:
        applying.pass_canary()
    grow(valkey, 5_000, 60_000)
    for _ in range(2):
        with pytest.raises(Aborted, match="6,000 at most"):
            applying.shard()
        assert with_ttl(valkey) <= 6_000


@pytest.mark.parametrize("recount", [False, True])
def test_an_attempt_that_was_killed_takes_nothing_from_the_limit(
    valkey: Server, tmp_path: Path, *, recount: bool
) -> None:
    """Keys that were journalled and not written, or written and met again, count once: a retry comes to its end at the very limit."""
    grow(valkey, 0, 500)
    applying = Applying(valkey.url, tmp_path, policy_of(rule("a:{n}"), canary_keys=50), limit_keys=600)
    applying.pass_canary()

    for _ in range(2):
        kill(applying, 0, durable=True)
        grow(valkey, 500, 540)
    if recount:
        applying.pass_canary()
    grow(valkey, 540, 600)
    assert applying.shard().outcome is Outcome.DONE
    assert with_ttl(valkey) == 600
    assert applying.shard().outcome is Outcome.DONE
    grow(valkey, 600, 601)
    with pytest.raises(Aborted, match="more keys"):
        applying.shard()
    assert with_ttl(valkey) == 600


def test_a_restart_between_two_attempts_ends_no_run(tmp_path: Path) -> None:
    """Shards of another server process are other keys: what an attempt has journalled of them, and what they wrote, counts once."""
    with run_server(require(VALKEY)) as server, run_server(require(VALKEY), replica_of=server):
        grow(server, 0, 20_000)
        policy = policy_of(rule("a:{n}"), canary_keys=10)
        applying = Applying(server.url, tmp_path, policy, shards=2, limit_keys=22_000)
        assert len(applying.plan.shards) == 2
        applying.pass_canary()
        applying.shard(0)
        kill(applying, 0, durable=True, shard=1)
        with server.client() as client:
            client.save()
        server.stop()
        server.start()
        grow(server, 20_000, 20_500)
        result = applying.shard(1)
        assert (result.outcome, result.whole) == (Outcome.DONE, True)
        assert with_ttl(server) == 20_500
        grow(server, 20_500, 40_000)
        with pytest.raises(Aborted, match="22,000 at most"):
            applying.shard(1)
        assert with_ttl(server) <= 22_000
