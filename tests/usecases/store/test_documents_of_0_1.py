"""What version 0.1 wrote is read, verified and taken back by today's code."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.remediation.restoring import restore_tools, roll_back
from lab.servers.server import Server
from redis_ttl.adapters.columns.journal import journal_rows
from redis_ttl.adapters.columns.key_comparison import KeyComparison
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.counting.pattern_merger import names_in_report, read_patterns
from redis_ttl.adapters.server.deployment import RedisDeployment
from redis_ttl.adapters.store.store import Store
from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.adapters.writing.verify_ledger import VerifyLedger
from redis_ttl.domain.errors import NewerDocument, NotVerified, RedisTtlError
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.domain.policy.load import parse_load
from redis_ttl.domain.remediation.approval import Verdict
from redis_ttl.messages.pages.drift_page import drift_page
from redis_ttl.usecases.drift.check_drift import check_drift
from redis_ttl.usecases.drift.drift_request import DriftRequest, DriftTools
from redis_ttl.usecases.messages.message_sources import MessageSources
from redis_ttl.usecases.remediation.verify_plan import VerifyTools, refuse_unverified, verify_plan
from redis_ttl.usecases.rollback.journal_parts import whole_journal
from redis_ttl.usecases.rollback.restore_journal import restore_part
from redis_ttl.usecases.rollback.restore_tools import RestoreOptions, chosen_rules
from redis_ttl.usecases.store.drift import DriftDocuments
from redis_ttl.usecases.store.plans import plan_ids
from tests.usecases.kept_documents import FOLDERS, KINDS, NO_SCHEMA, kind_of, reader_of
from tests.usecases.kept_store import CLUSTER, POLICY, WRITTEN, KeptStore, kept_keys, keys_of, load_keys
from tests.usecases.messaging import Messaging, in_words

FILES = sorted(str(path.relative_to(FOLDERS)) for path in FOLDERS.rglob("*") if path.is_file() and path.suffix != ".md")
#: The first of each kind, so that what is tried with every kind is tried once.
ONE_OF_EACH = list({kind_of(name): name for name in reversed(FILES)}.values())
JSON = [name for name in ONE_OF_EACH if name.endswith(".json")]
WITH_SCHEMA = [name for name in JSON if not NO_SCHEMA.fullmatch(name)]


def test_every_document_of_0_1_is_read() -> None:
    """Today's code reads each document that version 0.1 wrote, whatever it is; and of every kind there is one."""
    for name in FILES:
        reader_of(name)(FOLDERS)
    assert len(ONE_OF_EACH) == KINDS


@pytest.mark.parametrize("name", WITH_SCHEMA)
def test_a_newer_document_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """A document of a later version is refused, and the error names the document and both versions."""
    kept = KeptStore.copy(tmp_path)
    path = kept.store / name
    data = json.loads(path.read_text())
    schema = data.get("schema") or _SAYS_NOTHING[name.rsplit("/", 1)[1].split("-")[1].removesuffix(".json")]
    later = f"{schema.rpartition('/')[0]}/99"
    path.write_text(json.dumps({**data, "schema": later}))
    with pytest.raises(NewerDocument) as refused:
        reader_of(name)(kept.store)
    assert later in str(refused.value)
    assert schema in str(refused.value)
    assert path.name in str(refused.value)


_SAYS_NOTHING = {"sent": "redis_ttl.sent/1", "failed": "redis_ttl.failed_delivery/1"}


def _cut(text: str) -> str:
    return text[: len(text) // 2]


def _emptied(_text: str) -> str:
    return ""


def _a_list(text: str) -> str:
    return f"[{text}]"


def _a_number(_text: str) -> str:
    return "7"


def _without_everything(_text: str) -> str:
    return "{}"


def _everything_null(text: str) -> str:
    return json.dumps({name: value if name == "schema" else None for name, value in json.loads(text).items()})


def _bytes_that_are_no_text(_text: str) -> str:
    return "\x00\x01"


@pytest.mark.parametrize(
    "damage",
    [_cut, _emptied, _a_list, _a_number, _without_everything, _everything_null, _bytes_that_are_no_text],
    ids=lambda damage: damage.__name__.strip("_"),
)
@pytest.mark.parametrize("name", JSON)
def test_a_damaged_document_is_one_clear_error(name: str, damage: Callable[[str], str], tmp_path: Path) -> None:
    """A document that was cut, emptied or overwritten is read as far as it says anything, or is an error that names it."""
    path = (kept := KeptStore.copy(tmp_path)).store / name
    path.write_text(damage(path.read_text()))
    try:
        reader_of(name)(kept.store)
    except RedisTtlError as error:
        assert path.name in str(error) or path.parent.name in str(error)  # noqa: PT017  # both ends are promised
    else:
        # A document none of whose fields is needed, or a folder of keys that happens to be empty.
        assert damage in {_without_everything, _everything_null}
        assert NO_SCHEMA.fullmatch(name)


@pytest.mark.parametrize("name", [name for name in ONE_OF_EACH if name.endswith(".parquet")])
@pytest.mark.parametrize("keep", [0, 100, -20])
def test_damaged_columns_are_one_clear_error(name: str, keep: int, tmp_path: Path) -> None:
    """A table that lacks its end, or everything, is an error of the tree."""
    path = (kept := KeptStore.copy(tmp_path)).store / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RedisTtlError):
        reader_of(name)(kept.store)


def test_the_whole_plan_of_0_1_is_taken_back(redis7: Server, tmp_path: Path) -> None:
    """A dry run over the kept journal changes nothing and counts every key; the real one leaves each as it was before the plan."""
    load_keys(redis7, kept_keys("after"))
    kept = KeptStore.copy(tmp_path, redis7.url)
    changed = {key for key, expires_ms in kept_keys("after").items() if expires_ms != kept_keys("before")[key]}
    assert roll_back(kept, dry_run=True, any_lineage=True).restored == len(changed) == 244  # type: ignore[arg-type]
    assert keys_of(redis7) == kept_keys("after")
    assert roll_back(kept, parts=2, any_lineage=True).restored == len(changed)  # type: ignore[arg-type]
    assert keys_of(redis7) == kept_keys("before")


@pytest.mark.parametrize("pattern", ["coupon:{id}", "seen:{id}", "cold:{id}"])
def test_one_rule_of_a_plan_of_0_1_is_taken_back(pattern: str, redis7: Server, tmp_path: Path) -> None:
    """Of the kept plan one rule can be taken back: its keys are as before, the others as the plan left them."""
    load_keys(redis7, kept_keys("after"))
    kept = KeptStore.copy(tmp_path, redis7.url)
    roll_back(kept, rules=chosen_rules(kept.plan, [pattern]), any_lineage=True)  # type: ignore[arg-type]
    before, after = kept_keys("before"), kept_keys("after")
    family = pattern.split(":", maxsplit=1)[0].encode()
    assert keys_of(redis7) == {key: (before if key[1].startswith(family) else after)[key] for key in after}


def test_a_rollback_of_0_1_is_known_to_have_happened(redis7: Server, tmp_path: Path) -> None:
    """Of a plan that version 0.1 took back, a second rollback finds nothing of ours, and changes nothing."""
    load_keys(redis7, kept_keys("before"))
    kept = KeptStore.copy(tmp_path, redis7.url)
    kept.plan_id = WRITTEN["rolled_back"]
    look = RestoreOptions(dry_run=True, any_lineage=True)
    total = restore_part(kept.plan, whole_journal(kept.documents), look, restore_tools(kept)).total  # type: ignore[arg-type]
    assert (total.restored, total.restored_before) == (0, total.keys)
    assert total.keys == 80


def test_a_plan_of_0_1_is_verified(redis7: Server, tmp_path: Path) -> None:
    """Every key of the kept journal is found kept, and a key that lost its TTL since is found wiped."""
    load_keys(redis7, kept_keys("after"))
    kept = KeptStore.copy(tmp_path, redis7.url)
    with redis7.client() as client:
        client.persist("coupon:5")
    redis = RedisDeployment(endpoint_from_url(redis7.url), parse_load("fast"))
    tools = VerifyTools(redis, Store(kept.store), POLICY, VerifyLedger, lambda _met, _of: None, SystemClock())
    verification = verify_plan(kept.plan, tools)
    assert [(rule.kept, rule.wiped) for rule in verification.rules[:3]] == [(83, 1), (80, 0), (80, 0)]
    assert (verification.complete, verification.missed) == (True, 0)


def test_a_journal_of_0_1_that_lost_an_object_fails_its_verification(redis7: Server, tmp_path: Path) -> None:
    """Version 0.1 didn't write down when an attempt began; the decisions say which instants are the plan's all the same."""
    load_keys(redis7, kept_keys("after"))
    kept = KeptStore.copy(tmp_path, redis7.url)
    folder = kept.store / CLUSTER / "journals" / kept.plan_id
    told: dict[bool, set[tuple[int, bytes]]] = {True: set(), False: set()}
    for path in folder.iterdir():
        is_lost = "_shard-0_" in path.name
        told[is_lost] |= set(journal_rows(path.read_bytes()).select("db", "key").iter_rows())
        if is_lost:
            path.unlink()
    redis = RedisDeployment(endpoint_from_url(redis7.url), parse_load("fast"))
    tools = VerifyTools(redis, Store(kept.store), POLICY, VerifyLedger, lambda _met, _of: None, SystemClock())
    verification = verify_plan(kept.plan, tools)
    assert verification.unjournalled == len(told[True] - told[False]) > 100
    assert [name.split("_")[1] for name in verification.unreadable] == ["shard-0"]
    with pytest.raises(NotVerified):
        refuse_unverified(verification)


def test_policies_mean_what_they_meant_to_0_1() -> None:
    """The hash of a policy file that says nothing new is what version 0.1 wrote into its plans."""
    assert {KeptStore("", FOLDERS, plan_id).plan.policy_hash for plan_id in plan_ids(Store(FOLDERS), CLUSTER)} == {
        POLICY.hash
    }


def test_drift_is_checked_against_a_baseline_of_0_1(redis7: Server, tmp_path: Path) -> None:
    """The kept audits are compared with the kept baselines and journals as they were then; a new audit goes on from them."""
    from dataclasses import replace

    from tests.usecases.auditing import FAST, Auditing

    load_keys(redis7, kept_keys("after"))
    with redis7.client() as client:
        client.persist("coupon:5")
        client.set("coupon:new", "x")
    kept = KeptStore.copy(tmp_path, redis7.url)
    audit = Auditing(
        redis7.url, kept.store, replace(FAST, databases=(0, 1)), POLICY, "20261129T020000Z-000001", CLUSTER
    )
    audit.run()
    tools = DriftTools(
        documents=Store(kept.store),
        policy=POLICY,
        new_comparison=KeyComparison,
        read_patterns=read_patterns,
        names_in_report=names_in_report,
        redis=audit.redis,
        now=SystemClock().now,
        warn=lambda _text: None,
        page=drift_page,
    )
    report = check_drift(DriftRequest(audit.audit_id, "run-1"), tools)
    assert report.baseline == 3
    found = {(each.kind.value, each.pattern): each.new_keys for each in report.findings}
    assert found == {
        ("ttl_wiped", "coupon:{n}"): 1,
        ("new_writer", "coupon:new"): 1,
        # It left the baseline in a night of version 0.1, and is there again.
        ("new_writer", "former:{n}"): 1,
        ("overdue", "draft:{id}"): 0,
    }


@pytest.mark.parametrize(
    ("kind", "which"),
    [
        (MessageKind.ACTION_REQUIRED, WRITTEN["audits"][0]),
        (MessageKind.APPROVAL_REQUESTED, WRITTEN["plan"]),
        (MessageKind.REMEDIATION_RESULT, WRITTEN["plan"]),
        (MessageKind.RUN_ABORTED, WRITTEN["rejected"]),
        (MessageKind.ROLLBACK_RESULT, WRITTEN["rolled_back"]),
        (MessageKind.DRIFT_FOUND, WRITTEN["audits"][1]),
        (MessageKind.MEMORY_LEVEL, "LATEST"),
        (MessageKind.BURST_DETECTED, "LATEST"),
    ],
)
def test_messages_are_made_of_documents_of_0_1(kind: MessageKind, which: str) -> None:
    """Every kind of message can be made of what version 0.1 wrote."""
    found = MessageSources(Store(FOLDERS), POLICY, read_patterns).facts_of(kind, which)
    assert found
    assert all(in_words(facts, owner, None).markdown for owner, facts in found)


def test_what_0_1_left_to_be_sent_is_sent(tmp_path: Path) -> None:
    """Deliveries that failed and waited for their next try are made."""
    kept = KeptStore.copy(tmp_path)
    messaging = Messaging(kept.store, POLICY, now_at=dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC))
    messaging.deliver()
    assert sorted(messaging.routes()) == ["email", "slack"]
    assert messaging.pending() == []


def test_what_was_decided_in_0_1_is_known(tmp_path: Path) -> None:
    """The decisions of the kept plan are two approvals, by form and by mark, in their order; the refused one is refused."""
    kept = KeptStore.copy(tmp_path)
    assert [(each.verdict, each.by) for each in kept.documents.decisions()] == [
        (Verdict.APPROVED, "lin.wei"),
        (Verdict.APPROVED, "maria"),
    ]
    kept.plan_id = WRITTEN["rejected"]
    assert Verdict.REJECTED in {each.verdict for each in kept.documents.decisions()}


def test_drift_documents_go_on(tmp_path: Path) -> None:
    """Of the kept baselines the newest is the accepted one."""
    kept = KeptStore.copy(tmp_path)
    newest = next(DriftDocuments(Store(kept.store), CLUSTER).baselines())
    assert (newest.number, newest.by, newest.why) == (3, "bob", "agreed in SRE-7")


def test_a_killed_attempt_is_in_the_journal_twice() -> None:
    """The kept journal has the rows of an attempt that was killed, and those of the one that did its work again."""
    documents = KeptStore("", FOLDERS).documents
    attempts = {name.attempt for name in documents.journal_names() if name.part == "shard-0"}
    assert len(attempts) == 2
    assert {part.attempt for part in documents.parts()} & attempts != attempts
    assert all(journal_rows(documents.journal(name)).height for name in documents.journal_names())
