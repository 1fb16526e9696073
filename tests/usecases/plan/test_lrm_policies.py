"""Servers under an LRM eviction policy (Redis 8.6), where OBJECT IDLETIME tells the last write and not the last use.

Redis 8.6 itself runs on few machines, so most of it is tried on servers of today that a proxy has say they evict by LRM: what is
concluded from that is ours. What the server does is tried on the real one, where it starts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.remediation.policies import policy_of, rule
from lab.servers.kinds import REDIS_86
from lab.servers.server import Server, run_server
from lab.waiting import wait_for
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.connection.link import RedisLink
from redis_ttl.adapters.connection.profile import read_profile
from redis_ttl.adapters.server.key_questions import UseQuestions
from redis_ttl.domain.audit.audit import Audit
from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.plan.caution import CautionKind
from redis_ttl.domain.policy.policy import Cold
from redis_ttl.domain.remediation.verification import Verification
from redis_ttl.messages.pages.audit_report import audit_page
from redis_ttl.usecases.remediation.verify_plan import refuse_unverified
from tests.adapters.keyspaces import set_keys
from tests.hiding_proxy import HidingProxy
from tests.usecases.audit.test_hidden_figures import without
from tests.usecases.auditing import Auditing
from tests.usecases.plan.test_build_plan import plan_from
from tests.usecases.verifying import Remediation

KEYS = 100
POLICY = without(policy=policy_of(rule("page:{id}")))
COLD = without(policy=policy_of(rule("page:{id}", cold=Cold(idle_s=1, freq_at_most=5)), rule("free:{id}")))


@pytest.fixture(params=["volatile-lrm", "allkeys-lrm"])
def proxy(request: pytest.FixtureRequest, redis7: Server) -> Iterator[HidingProxy]:
    """A server with keys that says that it evicts by LRM."""
    set_keys(redis7, [f"{name}:{number}" for name in ("page", "free") for number in range(KEYS)])
    with HidingProxy(redis7.port, tells={"maxmemory_policy": request.param}) as standing:
        yield standing


def audited(url: str, folder: Path) -> tuple[Auditing, Audit]:
    """An audit by the policy for cold keys."""
    auditing = Auditing(url, folder, policy=COLD)
    return auditing, auditing.run()


def check_refused(url: str, folder: Path, *, policy: str) -> None:
    """A rule for cold keys is left out with its reason; the others are planned."""
    auditing, audit = audited(url, folder)
    plan = plan_from(auditing, audit, COLD)
    cold, free = plan.rules
    assert "OBJECT IDLETIME tells the last write here, not the last use" in str(cold.refusal)
    assert policy in str(cold.refusal)
    assert (cold.change_keys, free.change_keys) == (0, KEYS)
    assert [each.name for each in plan.cautions if each.kind is CautionKind.RENEWS] == [policy]
    assert "counts as a write" in " ".join(plan.warnings)
    assert not [each for each in free.cautions if each.kind is CautionKind.IN_USE]
    page = audit_page(audit)
    assert "not written for" in page
    assert "in use," not in page
    assert "idle " not in page
    row = next(row for row in audit.patterns if row.pattern.startswith("page"))
    assert (row.hot_ratio, row.idles_s.count, row.unwritten_s.count) == (None, 0, KEYS)
    assert row.to_json()["unwritten_max_s"] is not None
    assert row.to_json()["idle_max_s"] is None


def test_idle_times_mean_nothing_for_use(proxy: HidingProxy, tmp_path: Path) -> None:
    """`cold` is refused, the report says for how long keys weren't written, and the plan that it renews the eviction order."""
    check_refused(proxy.url, tmp_path, policy=proxy.tells["maxmemory_policy"])


def test_a_plan_of_cold_keys_alone_is_no_plan(proxy: HidingProxy, tmp_path: Path) -> None:
    """Where every rule takes cold keys only, nobody is asked anything."""
    policy = without(policy=policy_of(rule("page:{id}", cold=Cold(idle_s=1))))
    auditing = Auditing(proxy.url, tmp_path, policy=policy)
    with pytest.raises(BadInput, match="the last write here, not the last use"):
        plan_from(auditing, auditing.run(), policy)


def test_no_key_counts_as_cold_while_it_is_written(proxy: HidingProxy) -> None:
    """A policy that became LRM after the approval leaves every key of a rule for cold ones alone."""
    with RedisLink(endpoint_from_url(proxy.url)) as link:
        questions = UseQuestions(link, read_profile(link))
        assert questions.are_cold([b"page:1", b"page:2"], Cold(idle_s=0)) == [False, False]
        proxy.tells = {"maxmemory_policy": "volatile-lru"}
        assert UseQuestions(link, read_profile(link)).are_cold([b"page:1"], Cold(idle_s=0)) == [True]


def test_a_hidden_policy_of_a_server_that_knows_lrm_is_no_lru(redis7: Server, tmp_path: Path) -> None:
    """Redis 8.6 that hides its eviction policy may mean either: nothing is concluded from idle times."""
    set_keys(redis7, [f"{name}:{number}" for name in ("page", "free") for number in range(KEYS)])
    with HidingProxy(redis7.port, {"maxmemory_policy"}, {"redis_version": "8.6.2"}) as proxy:
        auditing, audit = audited(proxy.url, tmp_path)
        assert "the last write here, not the last use" in str(plan_from(auditing, audit, COLD).rules[0].refusal)
        assert "not written for" in audit_page(audit)
        proxy.tells = {}
        known = Auditing(proxy.url, tmp_path / "known", policy=COLD)
        assert plan_from(known, known.run(), COLD).rules[0].refusal is None


def test_verify_concludes_nothing_from_idle_times(redis7: Server, tmp_path: Path) -> None:
    """Keys that were there all along and weren't written since are no misses under LRM, but said to be untold; a written one is known."""
    set_keys(redis7, [f"page:{number}" for number in range(KEYS)])
    with HidingProxy(redis7.port, tells={"maxmemory_policy": "volatile-lrm"}) as proxy, redis7.client() as client:
        run = Remediation(proxy.url, tmp_path, POLICY)
        client.delete("page:5", "page:6")
        wait_for(lambda: int(client.object("idletime", "page:1")) >= 2, "two idle seconds")
        run.apply()
        client.set("page:6", "written anew")
        client.execute_command("RESTORE", "page:5", 0, client.execute_command("DUMP", "page:1"), "IDLETIME", 3600)
        verification = run.verify()
        (found,) = verification.rules
        assert (found.missed, found.untold, found.rewritten) == (0, 1, 1)
        refuse_unverified(verification)
        (note,) = (note for note in verification.notes if "whether they were missed" in note)
        assert "1 of page:{id}" in note
        assert from_plain(Verification, to_plain(verification)) == verification
        proxy.tells = {}
        assert run.verify().missed == 1


@pytest.mark.skipif(REDIS_86.find() is None, reason=f"Redis 8.6 doesn't start here: {REDIS_86.install_hint}")
def test_the_real_server_does_as_we_take_it_to(tmp_path: Path) -> None:
    """On Redis 8.6 a read leaves the idle time of an LRM policy as it is, a TTL that is set renews it, and one that is refused doesn't."""
    with run_server(REDIS_86, "maxmemory-policy volatile-lrm") as server, server.client() as client:
        set_keys(server, [f"{name}:{number}" for name in ("page", "free") for number in range(KEYS)])
        client.execute_command("CLIENT", "NO-TOUCH", "ON")

        def idle(key: str) -> int:
            return int(client.execute_command("OBJECT", "IDLETIME", key))

        while idle("page:1") < 2:
            with server.client() as reader:
                reader.get("page:1")
            time.sleep(0.05)
        assert client.execute_command("PEXPIRE", "page:1", 10**9, "XX") == 0
        assert idle("page:1") >= 2
        assert client.execute_command("PEXPIRE", "page:2", 10**9, "NX") == 1
        assert idle("page:2") < idle("page:1")
        client.persist("page:2")
        check_refused(server.url, tmp_path, policy="volatile-lrm")
