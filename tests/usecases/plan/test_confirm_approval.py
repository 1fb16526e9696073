"""What Airflow's own records of a gate mean, and which plan a run may use. The records are as a live Airflow left them."""

from __future__ import annotations

import dataclasses
import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from redis_ttl.adapters.store.store import Store
from redis_ttl.domain.errors import BadInput, NotApproved
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.policy import Owner, Policy, RemediationSettings
from redis_ttl.domain.remediation.approval import GATES, ApprovalRequest, Channel, Decision, Verdict
from redis_ttl.domain.remediation.signing import NO_KEYS, SigningKeys, parse_signing_keys
from redis_ttl.usecases.plan.confirm_approval import (
    FormAnswer,
    confirm_approval,
    decide_answer,
    plan_of_run,
    require_approval,
)
from redis_ttl.usecases.plan.gate_records import GateTrace, Mark
from redis_ttl.usecases.store.plans import PlanDocuments
from tests.domain.remediation.test_approval import PLAN as SHAPE

GATE = GATES[0]
POLICY = Policy("market", "redis_market", Owner("growth"), remediation=RemediationSettings(approvers=("bob", "erin")))
PLAN = dataclasses.replace(SHAPE, policy_hash=POLICY.hash)
REQUEST = ApprovalRequest("r1", PLAN.plan_id, PLAN.digest, GATE, 1, "2026-02-20T10:01:00+00:00")
MARKED = Mark("2026-02-20T10:02:00.100000+00:00", "bob", "success", "looks right")
TRACE = GateTrace(attempt=1, ended_at="2026-02-20T10:02:00.140000+00:00", marks=(MARKED,))
NOW = datetime(2026, 2, 20, 10, 3, tzinfo=UTC)


class History:
    """Airflow's records of one gate."""

    def __init__(self, trace: GateTrace) -> None:
        self._trace = trace

    def trace(self, gate: str) -> GateTrace:
        """The records."""
        del gate
        return self._trace

    def instance(self, gate: str) -> str | None:
        """The id of the gate as it is now."""
        return self.trace(gate).instance


@pytest.fixture
def documents(tmp_path: Path) -> PlanDocuments:
    """The documents of a plan that was shown once."""
    kept = PlanDocuments(Store(tmp_path), PLAN.cluster, PLAN.plan_id)
    kept.write_plan(PLAN)
    kept.write_request(REQUEST)
    return kept


def confirm(
    documents: PlanDocuments,
    trace: GateTrace | None,
    state: str | None = "success",
    plan: Plan = PLAN,
    **seen: Any,
) -> Any:
    """What confirming comes to, for a gate in that state with these records."""
    history = None if trace is None else History(trace)
    return confirm_approval(documents, POLICY, plan, plan.run, NOW, states={GATE: state}, history=history, **seen)


def changed(**fields: Any) -> GateTrace:
    """The records of a mark by bob, but for these."""
    return dataclasses.replace(TRACE, **fields)


def marked(**fields: Any) -> GateTrace:
    """The records of a mark, but for these fields of the mark."""
    return changed(marks=(dataclasses.replace(MARKED, **fields),))


def test_a_mark_by_an_approver_is_an_approval(documents: PlanDocuments) -> None:
    """It is kept as a decision with name, time and note, once."""
    assert confirm(documents, TRACE).by == ("bob",)
    assert confirm(documents, TRACE).by == ("bob",)
    (decision,) = documents.decisions()
    assert (decision.verdict, decision.channel, decision.by) == (Verdict.APPROVED, Channel.MARK, "bob")
    assert (decision.at, decision.comment) == (MARKED.at, "looks right")


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (None, "redis_ttl_airflow"),
        (changed(marks=()), "doesn't say who marked it"),
        (marked(owner="Anonymous"), "not a user's name"),
        (marked(owner="anonymous"), "not a user's name"),
        (marked(owner=None), "not a user's name"),
        (marked(owner="dave"), "dave, who may not approve; the policy names bob and erin"),
        (marked(new_state="failed"), "the last mark in Airflow's audit log is failed, by bob"),
        (marked(at="2026-02-20T10:00:59+00:00"), "doesn't say who marked it"),
        (marked(at="2026-02-20T10:01:50+00:00"), "another user may have ended it"),
        (marked(at="2026-02-20T10:02:01+00:00"), "another user may have ended it"),
        (changed(ended_at=None), "another user may have ended it"),
        (changed(attempt=2), "was cleared, and marked success before it showed the plan again"),
        (changed(marks=(), answered_by="erin"), "erin answered its form, which no longer changed anything"),
    ],
)
def test_any_other_mark_is_none(documents: PlanDocuments, trace: GateTrace | None, words: str) -> None:
    """A mark that can't be told for certain, or by somebody who may not, is kept as invalid, with the reason."""
    with pytest.raises(NotApproved, match="invalid at approve_plan"):
        confirm(documents, trace)
    (decision,) = documents.decisions()
    assert decision.verdict is Verdict.INVALID
    assert words in (decision.why or "")


def test_in_all_admins_mode_nobody_can_mark(documents: PlanDocuments) -> None:
    """Without logins Airflow calls everybody Anonymous, which is refused also where the policy names no approvers."""
    anybody = dataclasses.replace(POLICY, remediation=RemediationSettings())
    plan = dataclasses.replace(PLAN, policy_hash=anybody.hash)
    kept = PlanDocuments(documents._documents, PLAN.cluster, "20260220T100001Z-abcdef")
    kept.write_request(dataclasses.replace(REQUEST, digest=plan.digest))
    history = History(marked(owner="Anonymous"))
    with pytest.raises(NotApproved, match="not a user's name"):
        confirm_approval(kept, anybody, plan, plan.run, NOW, states={GATE: "success"}, history=history)


@pytest.mark.parametrize("by", ["Anonymous", "anonymous", None, "", "airflow"])
def test_in_all_admins_mode_nobody_can_answer(documents: PlanDocuments, by: str | None) -> None:
    """The form's answer of nobody is invalid, whoever the policy names."""
    answer = FormAnswer(approves=True, by=by, at="2026-02-20T10:02:00+00:00", echoed=PLAN.digest)
    decision = decide_answer(documents, dataclasses.replace(POLICY, remediation=RemediationSettings()), REQUEST, answer)
    assert decision.verdict is Verdict.INVALID
    assert "not a user's name" in (decision.why or "")


@pytest.mark.parametrize(
    ("state", "trace", "verdict", "words"),
    [
        ("failed", marked(new_state="failed"), Verdict.REJECTED, "marked failed"),
        ("skipped", marked(new_state="skipped"), Verdict.REJECTED, "marked skipped"),
        ("failed", marked(new_state="failed", owner="dave"), Verdict.REJECTED, "marked failed"),
        ("failed", marked(new_state="failed", owner="Anonymous"), Verdict.INVALID, "an unidentified user"),
        ("failed", changed(marks=()), Verdict.INVALID, "nothing says who did it"),
        ("failed", changed(marks=(), answered_by="bob", lost=True), Verdict.INVALID, "state mismatch"),
    ],
)
def test_a_gate_that_failed_is_no(
    documents: PlanDocuments, state: str, trace: GateTrace, verdict: Verdict, words: str
) -> None:
    """A mark as failed or skipped rejects, whoever made it; a gate that failed otherwise isn't approved either."""
    with pytest.raises(NotApproved):
        confirm(documents, trace, state)
    (decision,) = documents.decisions()
    assert decision.verdict is verdict
    assert words in (decision.why or "")


@pytest.mark.parametrize(
    ("trace", "words"), [(None, "state mismatch"), (changed(marks=(), lost=True), "state mismatch")]
)
def test_an_approval_whose_gate_was_lost_is_withdrawn(
    documents: PlanDocuments, trace: GateTrace | None, words: str
) -> None:
    """When the scheduler fails the gate after its form was answered, the plan isn't approved, and the log says what to do."""
    documents.write_decision(form_approval())
    with pytest.raises(NotApproved, match=r"Clear approve_plan") as caught:
        confirm(documents, trace, "failed")
    assert words in str(caught.value)
    with pytest.raises(NotApproved):
        require_approval(documents, POLICY, PLAN, PLAN.run, NOW)


def test_a_mark_as_failed_takes_the_form_s_approval_back(documents: PlanDocuments) -> None:
    """Whoever marks the gate as failed after somebody approved rejects the plan."""
    documents.write_decision(form_approval())
    with pytest.raises(NotApproved, match="rejected at approve_plan by erin"):
        confirm(documents, marked(owner="erin", new_state="failed"), "failed")


def test_a_gate_that_still_waits_leaves_no_record(documents: PlanDocuments) -> None:
    """Nobody has decided, so there is nothing to write down."""
    with pytest.raises(NotApproved, match="no decision yet"):
        confirm(documents, TRACE, "awaiting_input")
    assert documents.decisions() == []


@pytest.mark.parametrize(
    "policy", [POLICY, dataclasses.replace(POLICY, remediation=RemediationSettings(approvers=("bob", "zoe")))]
)
def test_an_answer_of_an_approver_for_this_digest_approves(documents: PlanDocuments, policy: Policy) -> None:
    """With its comment and the moment at which it was sent."""
    answer = FormAnswer(approves=True, by="bob", at="2026-02-20T10:02:00+00:00", echoed=PLAN.digest, comment="go")
    decision = decide_answer(documents, policy, REQUEST, answer)
    assert (decision.verdict, decision.by, decision.at, decision.comment) == (Verdict.APPROVED, "bob", answer.at, "go")


@pytest.mark.parametrize(
    ("run", "plan_id", "error"),
    [
        ("another/run", PLAN.plan_id, NotApproved),
        (PLAN.run, "../../etc/passwd", BadInput),
        (PLAN.run, None, BadInput),
        (PLAN.run, 7, BadInput),
        (PLAN.run, {"plan_id": PLAN.plan_id}, BadInput),
    ],
)
def test_a_run_uses_its_own_plan_only(
    documents: PlanDocuments, tmp_path: Path, run: str, plan_id: object, error: type[Exception]
) -> None:
    """An XCom that was edited can't lead to another run's plan, nor out of the folder of plans."""
    assert documents.plan() == plan_of_run(Store(tmp_path), PLAN.cluster, PLAN.plan_id, PLAN.run)
    with pytest.raises(error):
        plan_of_run(Store(tmp_path), PLAN.cluster, plan_id, run)


def test_a_run_uses_its_newest_plan_only(documents: PlanDocuments, tmp_path: Path) -> None:
    """When build_plan was cleared, the plan before is out of use, though somebody approved it."""
    newer = dataclasses.replace(PLAN, plan_id="20260220T100500Z-000000")
    PlanDocuments(Store(tmp_path), PLAN.cluster, newer.plan_id).write_plan(newer)
    with pytest.raises(NotApproved, match="newer plan"):
        plan_of_run(Store(tmp_path), PLAN.cluster, documents.plan_id, PLAN.run)


def test_another_run_s_approval_is_none(documents: PlanDocuments) -> None:
    """A writer refuses a plan that was made in another run, though it is approved."""
    documents.write_decision(form_approval())
    assert require_approval(documents, POLICY, PLAN, PLAN.run, NOW).by == ("bob",)
    with pytest.raises(NotApproved, match="another run"):
        require_approval(documents, POLICY, PLAN, "redis_ttl.market.remediate/manual__2", NOW)


OWN = dataclasses.replace(PLAN, requested_by="bob")


def own_plan(documents: PlanDocuments, signer: SigningKeys | None = None) -> PlanDocuments:
    """The documents of a plan that bob asked for, and that was shown once."""
    own = dataclasses.replace(OWN, plan_id="20260220T100001Z-abcdef")
    kept = PlanDocuments(documents._documents, PLAN.cluster, own.plan_id, signer)
    kept.write_plan(own)
    kept.write_request(dataclasses.replace(REQUEST, plan_id=own.plan_id, digest=own.digest))
    return kept


def test_the_one_who_asked_doesn_t_approve_by_form(documents: PlanDocuments) -> None:
    """The answer is invalid and names both; somebody else's is an approval, and so is one's own where the policy says so."""
    kept = own_plan(documents)
    (request,) = kept.requests()
    answer = FormAnswer(approves=True, by="bob", at="2026-02-20T10:02:00+00:00", echoed=request.digest)
    decision = decide_answer(kept, POLICY, request, answer)
    assert decision.verdict is Verdict.INVALID
    assert "bob may not approve it: it was requested by bob" in str(decision.why)
    assert decide_answer(kept, POLICY, request, dataclasses.replace(answer, by="erin")).verdict is Verdict.APPROVED
    allowed = dataclasses.replace(POLICY, remediation=RemediationSettings(approvers=("bob",), self_approval=True))
    assert decide_answer(kept, allowed, request, answer).verdict is Verdict.APPROVED
    assert decide_answer(kept, POLICY, request, dataclasses.replace(answer, approves=False)).verdict is Verdict.REJECTED


AGAIN = dataclasses.replace(REQUEST, request_id="r2", gate=GATES[1])


def elsewhere(request: ApprovalRequest, by: str, verdict: Verdict = Verdict.APPROVED) -> Decision:
    """What was decided at the first gate."""
    at = "2026-02-20T10:01:30+00:00"
    return Decision(request.request_id, PLAN.plan_id, PLAN.digest, GATE, verdict, Channel.FORM, by, at)


def test_one_person_answers_one_of_two_gates(documents: PlanDocuments) -> None:
    """Whoever has approved at the other gate is told so at once, before anybody waits for the run."""
    answer = FormAnswer(approves=True, by="bob", at="2026-02-20T10:02:00+00:00", echoed=PLAN.digest)
    assert decide_answer(documents, POLICY, AGAIN, answer).verdict is Verdict.APPROVED
    documents.write_decision(elsewhere(REQUEST, "erin", Verdict.REJECTED))
    documents.write_decision(elsewhere(REQUEST, "bob"))
    refused = decide_answer(documents, POLICY, AGAIN, answer)
    assert refused.verdict is Verdict.INVALID
    assert "bob has approved this plan at the other gate already" in str(refused.why)
    assert decide_answer(documents, POLICY, AGAIN, dataclasses.replace(answer, by="erin")).verdict is Verdict.APPROVED
    assert decide_answer(documents, POLICY, REQUEST, answer).verdict is Verdict.APPROVED, (
        "at the same gate he may say it again"
    )


def test_what_was_approved_before_the_other_gate_asked_again_counts_no_more(documents: PlanDocuments) -> None:
    """Only the latest request of the other gate keeps anybody from answering here."""
    documents.write_decision(elsewhere(REQUEST, "bob"))
    later = "2026-02-20T10:01:40+00:00"
    documents.write_request(dataclasses.replace(REQUEST, request_id="r3", attempt=2, requested_at=later))
    answer = FormAnswer(approves=True, by="bob", at="2026-02-20T10:02:00+00:00", echoed=PLAN.digest)
    assert decide_answer(documents, POLICY, AGAIN, answer).verdict is Verdict.APPROVED


def test_a_mark_in_the_moment_of_asking_counts(documents: PlanDocuments) -> None:
    """Only one from before belongs to what was asked before."""
    at = REQUEST.requested_at
    assert confirm(documents, changed(ended_at=at, marks=(dataclasses.replace(MARKED, at=at),))).by == ("bob",)


@pytest.mark.parametrize(
    ("answered_by", "lost", "words"),
    [
        (None, True, "nothing says who did it"),
        (None, False, "nothing says who did it"),
        ("bob", True, "was answered, and then lost"),
        ("bob", False, "nothing says who did it (bob answered its form, which no longer changed anything)"),
    ],
)
def test_a_gate_that_failed_was_lost_only_if_it_was_answered(
    documents: PlanDocuments, answered_by: str | None, words: str, *, lost: bool
) -> None:
    """What the scheduler took for dead without an answer is nobody's answer."""
    with pytest.raises(NotApproved):
        confirm(documents, changed(marks=(), answered_by=answered_by, lost=lost), "failed")
    (decision,) = documents.decisions()
    assert words in str(decision.why)


def test_the_one_who_asked_doesn_t_approve_by_mark(documents: PlanDocuments) -> None:
    """The mark is invalid and names both."""
    kept = own_plan(documents)
    with pytest.raises(NotApproved, match="marked success by bob: bob may not approve it: it was requested by bob"):
        confirm(kept, TRACE, plan=kept.plan())
    assert confirm(documents, TRACE).by == ("bob",)


SIGNER = parse_signing_keys(secrets.token_urlsafe(32), where="test")


def test_an_unsigned_approval_counts_for_nothing(documents: PlanDocuments) -> None:
    """Whoever can write to the store, and knows no key, approves nothing: neither a writer nor a report believes it."""
    kept = own_plan(documents, SIGNER)
    (request,) = kept.requests()
    forged = form_approval(plan_id=kept.plan_id, digest=request.digest, by="erin")
    PlanDocuments(documents._documents, PLAN.cluster, kept.plan_id).write_decision(forged)
    plan = kept.plan()
    with pytest.raises(NotApproved, match="counts for nothing: it isn't signed, though there is a signing key"):
        confirm(kept, changed(marks=()), plan=plan)
    with pytest.raises(NotApproved, match="counts for nothing"):
        require_approval(kept, POLICY, plan, plan.run, NOW)
    (read,) = kept.decisions()
    assert (read.verdict, read.by) == (Verdict.INVALID, "erin")


def test_a_signed_approval_counts_beside_a_forged_one(documents: PlanDocuments) -> None:
    """What is made up is in nobody's way: a good mark and a good answer still approve."""
    kept = own_plan(documents, SIGNER)
    (request,) = kept.requests()
    about = {"plan_id": kept.plan_id, "digest": request.digest, "by": "erin"}
    PlanDocuments(documents._documents, PLAN.cluster, kept.plan_id).write_decision(form_approval(**about))
    trace = marked(owner="erin")
    assert confirm(kept, trace, plan=kept.plan()).by == ("erin",)
    assert len(kept.decisions()) == 2


def test_a_decision_of_another_plan_or_cluster_counts_for_nothing(documents: PlanDocuments, tmp_path: Path) -> None:
    """A signed document that is copied under another plan's request, or into another cluster's folder, is none."""
    kept = own_plan(documents, SIGNER)
    signed = PlanDocuments(documents._documents, PLAN.cluster, "20260220T100002Z-abcdef", SIGNER)
    signed.write_decision(form_approval(by="erin"))
    folder = tmp_path / PLAN.cluster / "approvals"
    [paper] = (folder / signed.plan_id).iterdir()
    copied = json.loads(paper.read_text()) | {"plan_id": kept.plan_id, "digest": kept.plan().digest}
    (folder / kept.plan_id / paper.name).write_text(json.dumps(copied))
    with pytest.raises(NotApproved, match="changed, or moved here"):
        require_approval(kept, POLICY, kept.plan(), PLAN.run, NOW)
    elsewhere = tmp_path / "other" / "approvals" / signed.plan_id
    elsewhere.mkdir(parents=True)
    (elsewhere / paper.name).write_text(paper.read_text())
    (found,) = PlanDocuments(documents._documents, "other", signed.plan_id, SIGNER).decisions()
    assert found.verdict is Verdict.INVALID


def test_a_changed_request_is_no_ground_for_an_approval(documents: PlanDocuments, tmp_path: Path) -> None:
    """Nobody makes what was asked last look older, so that what was decided before counts again."""
    kept = own_plan(documents, SIGNER)
    (request,) = kept.requests()
    about = {"plan_id": kept.plan_id, "digest": request.digest, "by": "erin"}
    kept.write_decision(form_approval(**about))
    assert require_approval(kept, POLICY, kept.plan(), PLAN.run, NOW).by == ("erin",)
    later = dataclasses.replace(request, request_id="r2", requested_at="2026-02-20T10:02:00+00:00")
    kept.write_request(later)
    paper = tmp_path / PLAN.cluster / "approvals" / kept.plan_id / "request-r2.json"
    paper.write_text(paper.read_text().replace("10:02:00", "10:00:30"))
    with pytest.raises(NotApproved, match="what approve_plan asked isn't believed"):
        require_approval(kept, POLICY, kept.plan(), PLAN.run, NOW)


def test_keys_rotate_while_a_plan_waits(documents: PlanDocuments) -> None:
    """What was asked and approved under the former key counts as long as it is in the list, and no longer."""
    kept = own_plan(documents, SIGNER)
    (request,) = kept.requests()
    kept.write_decision(form_approval(plan_id=kept.plan_id, digest=request.digest, by="erin"))
    plan, newer = kept.plan(), secrets.token_urlsafe(32).encode()
    rotated = kept.signed_by(SigningKeys((newer, *SIGNER.keys)))
    assert require_approval(rotated, POLICY, plan, plan.run, NOW).by == ("erin",)
    with pytest.raises(NotApproved, match="a key that isn't known here"):
        require_approval(kept.signed_by(SigningKeys((newer,))), POLICY, plan, plan.run, NOW)


def test_a_worker_that_lacks_the_key_believes_nothing_that_is_signed(documents: PlanDocuments) -> None:
    """Where what was asked is signed and no key is at hand, neither the true approval counts nor a forged one; where nothing is
    signed, plain documents do.
    """
    kept = own_plan(documents, SIGNER)
    (request,) = kept.requests()
    about = {"plan_id": kept.plan_id, "digest": request.digest, "by": "erin"}
    kept.write_decision(form_approval(**about))
    keyless = kept.signed_by(NO_KEYS)
    keyless.write_decision(form_approval(**about))
    for each in (kept, keyless):
        assert [decision.verdict for decision in each.decisions()].count(Verdict.INVALID) == 1
    with pytest.raises(NotApproved, match="it is signed, and this worker has no signing key"):
        require_approval(keyless, POLICY, kept.plan(), PLAN.run, NOW)
    documents.signed_by(NO_KEYS).write_decision(form_approval())
    assert require_approval(documents.signed_by(NO_KEYS), POLICY, PLAN, PLAN.run, NOW).by == ("bob",)


def form_approval(**fields: Any) -> Decision:
    """What the gate writes when bob approves in its form."""
    made = Decision(
        "r1", PLAN.plan_id, PLAN.digest, GATE, Verdict.APPROVED, Channel.FORM, "bob", "2026-02-20T10:01:30+00:00"
    )
    return dataclasses.replace(made, **fields)
