"""The judgement of approval documents: what adds up to an approval, and everything that doesn't."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.errors import NewerDocument, NotApproved
from redis_ttl.domain.plan.plan import Forecast, Plan
from redis_ttl.domain.remediation.approval import (
    GATES,
    NOT_ASKED,
    Approval,
    ApprovalRequest,
    Channel,
    Decision,
    Verdict,
    gates_of,
    instant_ms,
    is_nameable,
    judge,
)

PLAN = Plan(
    plan_id="20260220T100000Z-abcdef",
    cluster="market",
    run="redis_ttl.market.remediate/manual__1",
    created_at="2026-02-20T10:00:00+00:00",
    audit_id="20260220T090000Z-abcdef",
    audit_finished_at="2026-02-20T09:00:00+00:00",
    policy_hash="a" * 64,
    keys=100,
    no_ttl_keys=50,
    nodes=(),
    shards=(),
    rules=(),
    forecast=Forecast(1, None, 0, 0, None, 0.0, None, None),
    rate="20000/s",
    load="gentle",
)
ASKED = "2026-02-20T10:01:00+00:00"
ANSWERED = "2026-02-20T10:02:00+00:00"
NOW_MS = instant_ms("2026-02-20T10:03:00+00:00")
DAY_S = 24 * 3600


def request(gate: str = GATES[0], number: str = "1", at: str = ASKED, **changed: Any) -> ApprovalRequest:
    """A gate that showed the plan."""
    made = ApprovalRequest(f"{gate}-{number}", PLAN.plan_id, PLAN.digest, gate, int(number), at)
    return dataclasses.replace(made, **changed)


def decision(asked: ApprovalRequest, by: str | None = "bob", at: str = ANSWERED, **changed: Any) -> Decision:
    """An approval of what that request showed."""
    made = Decision(
        asked.request_id, PLAN.plan_id, PLAN.digest, asked.gate, Verdict.APPROVED, Channel.FORM, by, at, None, None
    )
    return dataclasses.replace(made, **changed)


def verdict_of(requests: list[ApprovalRequest], decisions: list[Decision], **changed: Any) -> Approval:
    """What the documents add up to, for a policy that names bob and erin and asks for one of them."""
    asked: dict[str, Any] = {
        "gates": GATES[:1],
        "approvers": ("bob", "erin"),
        "policy_hash": PLAN.policy_hash,
        "now_ms": NOW_MS,
        "valid_s": DAY_S,
    }
    plan = changed.pop("plan", PLAN)
    # What was asked and decided is about the plan that is judged.
    about = {"plan_id": plan.plan_id, "digest": plan.digest}
    if plan is not PLAN:
        requests = [dataclasses.replace(each, **about) for each in requests]
        decisions = [dataclasses.replace(each, **about) for each in decisions]
    return judge(plan, requests, decisions, **asked | changed)


def test_a_named_approver_s_word_on_this_plan_is_an_approval() -> None:
    """It names the approver, and counts from the moment of the decision."""
    asked = request()
    approval = verdict_of([asked], [decision(asked)])
    assert approval.by == ("bob",)
    assert approval.approved_at_ms == instant_ms(ANSWERED)
    assert approval.valid_until_ms == instant_ms(ANSWERED) + DAY_S * 1000
    assert (approval.plan_id, approval.digest) == (PLAN.plan_id, PLAN.digest)


FIRST, AGAIN = request(), request(GATES[1])
LATER = request(number="2", at="2026-02-20T10:02:30+00:00")

ASKED_BY_BOB = dataclasses.replace(PLAN, requested_by="bob")


def doubtful(asked: ApprovalRequest, doubt: str, **changed: Any) -> Decision:
    """An approval as it is read that isn't signed as it must be."""
    return Decision.from_json(to_plain(decision(asked, **changed)), doubt)


REFUSED: dict[str, tuple[list[ApprovalRequest], list[Decision], dict[str, Any], str]] = {
    "nothing at all": ([], [], {}, "never shown"),
    "no decision": ([FIRST], [], {}, "no decision yet"),
    "marked before it was shown": (
        [],
        [decision(FIRST, request_id=NOT_ASKED, verdict=Verdict.INVALID, why="marked too early")],
        {},
        "marked too early",
    ),
    "rejected": (
        [FIRST],
        [decision(FIRST, verdict=Verdict.REJECTED, comment="not now")],
        {},
        "rejected at approve_plan by bob: not now",
    ),
    "approved, then rejected": (
        [FIRST],
        [decision(FIRST), decision(FIRST, "erin", verdict=Verdict.REJECTED)],
        {},
        "rejected",
    ),
    "rejected, then approved": (
        [FIRST],
        [decision(FIRST, "erin", verdict=Verdict.REJECTED), decision(FIRST)],
        {},
        "rejected",
    ),
    "invalid": ([FIRST], [decision(FIRST, verdict=Verdict.INVALID, why="by nobody")], {}, "by nobody"),
    "timed out": ([FIRST], [decision(FIRST, None, verdict=Verdict.TIMED_OUT)], {}, "timed out"),
    "asked again since": ([FIRST, LATER], [decision(FIRST)], {}, "no decision yet"),
    "another digest asked": ([request(digest="b" * 64)], [decision(FIRST)], {}, "showed another plan"),
    "another plan asked": ([request(plan_id="20260220T100000Z-000000")], [decision(FIRST)], {}, "showed another plan"),
    "another digest approved": ([FIRST], [decision(FIRST, digest="b" * 64)], {}, "another plan"),
    "approved at another gate": ([FIRST], [decision(FIRST, gate=GATES[1])], {}, "another plan"),
    "not an approver": ([FIRST], [decision(FIRST, "dave")], {}, "bob or erin"),
    "Bob is not bob": ([FIRST], [decision(FIRST, "Bob")], {}, "not authorized"),
    "anonymous": ([FIRST], [decision(FIRST, "Anonymous")], {"approvers": ()}, "cannot identify"),
    "anonymous, allowed by the policy": (
        [FIRST],
        [decision(FIRST, "Anonymous")],
        {"approvers": ("Anonymous",)},
        "cannot identify",
    ),
    "nobody": ([FIRST], [decision(FIRST, None)], {"approvers": ()}, "cannot identify"),
    "airflow itself": ([FIRST], [decision(FIRST, "airflow")], {"approvers": ()}, "cannot identify"),
    "before it was shown": (
        [FIRST],
        [decision(FIRST, at="2026-02-20T10:00:59+00:00")],
        {},
        "before approve_plan showed it",
    ),
    "in the future": ([FIRST], [decision(FIRST, at="2026-02-20T10:04:01+00:00")], {}, "future"),
    "expired": ([FIRST], [decision(FIRST)], {"now_ms": instant_ms(ANSWERED) + DAY_S * 1000 + 1}, "expired"),
    "another policy": ([FIRST], [decision(FIRST)], {"policy_hash": "c" * 64}, "policy was changed"),
    "by whoever asked for it": (
        [FIRST],
        [decision(FIRST)],
        {"plan": ASKED_BY_BOB},
        "approved by bob, requested by bob",
    ),
    "one of two asked for it": (
        [FIRST, AGAIN],
        [decision(FIRST, "erin"), decision(AGAIN)],
        {"plan": ASKED_BY_BOB, "gates": GATES},
        "who asked for it can't approve it at approve_plan_again",
    ),
    "twice the same person, in another case": (
        [FIRST, AGAIN],
        [decision(FIRST), decision(AGAIN, "Bob")],
        {"gates": GATES, "approvers": ()},
        "same person",
    ),
    "unsigned": ([FIRST], [doubtful(FIRST, "it isn't signed")], {}, "counts for nothing: it isn't signed"),
    "unsigned, beside a rejection": (
        [FIRST],
        [doubtful(FIRST, "it isn't signed"), decision(FIRST, "erin", verdict=Verdict.REJECTED)],
        {},
        "rejected at approve_plan by erin",
    ),
    "an earlier request that was changed": (
        [request(doubt="it was changed"), LATER],
        [decision(LATER, at="2026-02-20T10:02:40+00:00")],
        {},
        "what approve_plan asked isn't believed: it was changed",
    ),
    "no gates": ([FIRST], [decision(FIRST)], {"gates": ()}, "nothing says"),
    "one of two": ([FIRST], [decision(FIRST)], {"gates": GATES}, "approve_plan_again has never shown"),
    "twice the same person": ([FIRST, AGAIN], [decision(FIRST), decision(AGAIN)], {"gates": GATES}, "same person"),
    "the second rejects": (
        [FIRST, AGAIN],
        [decision(FIRST), decision(AGAIN, "erin", verdict=Verdict.REJECTED)],
        {"gates": GATES},
        "rejected at approve_plan_again",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_everything_else_is_no(case: str) -> None:
    """Whatever is missing or wrong refuses, names the plan and the reason, and says what to do; trying again can't help."""
    requests, decisions, changed, words = REFUSED[case]
    with pytest.raises(NotApproved) as caught:
        verdict_of(requests, decisions, **changed)
    assert words in str(caught.value)
    assert f"plan {PLAN.plan_id}: not approved" in str(caught.value)
    assert caught.value.todo
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("now_ms", "counts"),
    [
        (instant_ms(ANSWERED) - 60_001, False),
        (instant_ms(ANSWERED) - 60_000, True),
        (instant_ms(ANSWERED) + DAY_S * 1000, True),
        (instant_ms(ANSWERED) + DAY_S * 1000 + 1, False),
    ],
)
def test_an_approval_counts_until_its_last_millisecond(now_ms: int, *, counts: bool) -> None:
    """And from a minute before it was given, by which clocks may differ."""
    if counts:
        assert verdict_of([FIRST], [decision(FIRST)], now_ms=now_ms).by == ("bob",)
    else:
        with pytest.raises(NotApproved):
            verdict_of([FIRST], [decision(FIRST)], now_ms=now_ms)


def test_who_answers_in_the_moment_of_asking_has_seen_the_plan() -> None:
    """Only an answer from before is one to something else."""
    assert verdict_of([FIRST], [decision(FIRST, at=ASKED)]).by == ("bob",)


@pytest.mark.parametrize(
    ("case", "found", "allowed"),
    [
        ("another policy", f"policy {'c' * 12}", "a" * 12),
        ("another digest asked", f"{PLAN.plan_id}, digest {'b' * 12}", f"digest {PLAN.digest[:12]}"),
        (
            "another digest approved",
            f"{PLAN.plan_id}, digest {'b' * 12}, at approve_plan",
            f"digest {PLAN.digest[:12]}",
        ),
        ("twice the same person", "bob at approve_plan and approve_plan_again", "2 different people"),
        (
            "twice the same person, in another case",
            "bob at approve_plan and Bob at approve_plan_again",
            "2 different people",
        ),
        ("in the future", "2026-02-20T10:04:01+00:00", "before 2026-02-20T10:03:00+00:00"),
        (
            "expired",
            "approved 2026-02-20T10:02:00+00:00, now 2026-02-21T10:02:00+00:00",
            "until 2026-02-21T10:02:00+00:00",
        ),
        ("not an approver", "dave", "bob or erin"),
    ],
)
def test_a_refusal_says_what_was_found_and_what_would_do(case: str, found: str, allowed: str) -> None:
    """Names, moments, and the first twelve digits of what must be equal, which is what pages and messages show."""
    requests, decisions, changed, _ = REFUSED[case]
    with pytest.raises(NotApproved) as caught:
        verdict_of(requests, decisions, **changed)
    assert (caught.value.found, caught.value.allowed) == (found, allowed)


def test_what_happened_at_another_gate_is_no_reason_at_this_one() -> None:
    """A gate that never asked is told by what was done to it, and by nothing else."""
    marked = decision(AGAIN, request_id=NOT_ASKED, verdict=Verdict.INVALID, why="the other gate was marked too early")
    with pytest.raises(NotApproved, match="approve_plan has never shown it to anybody"):
        verdict_of([], [marked], gates=GATES)
    with pytest.raises(NotApproved, match="approve_plan_again has never shown it"):
        verdict_of([FIRST], [decision(FIRST), decision(AGAIN)], gates=GATES)


def test_two_different_people_approve_from_the_later_on() -> None:
    """With two gates the approval counts from the second decision, and names both."""
    later = "2026-02-20T10:02:30+00:00"
    approval = verdict_of([FIRST, AGAIN], [decision(AGAIN, "erin", later), decision(FIRST)], gates=GATES)
    assert approval.by == ("bob", "erin")
    assert approval.approved_at_ms == instant_ms(later)


def test_the_earliest_of_several_approvals_counts() -> None:
    """A second approval of the same request moves nothing: every expiry counts from the first."""
    later = "2026-02-20T10:02:30+00:00"
    decided = [decision(FIRST, "erin", later), decision(FIRST)]
    for order in (decided, decided[::-1]):
        approval = verdict_of([FIRST], order)
        assert (approval.by, approval.approved_at_ms) == (("bob",), instant_ms(ANSWERED))


def test_a_doubtful_approval_moves_nothing() -> None:
    """Beside a good one it is as if it weren't there, however early it says it was made."""
    forged = doubtful(FIRST, "it isn't signed", at="2026-02-20T10:01:10+00:00", by="erin")
    approval = verdict_of([FIRST], [forged, decision(FIRST)])
    assert (approval.by, approval.approved_at_ms) == (("bob",), instant_ms(ANSWERED))


def test_a_refusal_counts_whatever_its_signature() -> None:
    """A rejection that isn't believed is one all the same, and so is whatever else is no approval."""
    for verdict in (Verdict.REJECTED, Verdict.TIMED_OUT, Verdict.INVALID):
        read = Decision.from_json(to_plain(decision(FIRST, verdict=verdict)), "it isn't signed")
        assert (read.verdict, read.doubt) == (verdict, None)


@pytest.mark.parametrize("requested_by", [None, "", "Anonymous", "airflow"])
def test_a_plan_of_nobody_known_is_nobody_s_own(requested_by: str | None) -> None:
    """Where Airflow doesn't say who triggered the run, whoever may approve may approve."""
    plan = dataclasses.replace(PLAN, requested_by=requested_by)
    assert verdict_of([FIRST], [decision(FIRST)], plan=plan).by == ("bob",)


@pytest.mark.parametrize("name", ["bob", "Bob", " BOB "])
def test_the_one_who_asks_doesn_t_approve(name: str) -> None:
    """In whatever case the name is written; unless the policy says self_approval: yes."""
    plan = dataclasses.replace(PLAN, requested_by=name)
    with pytest.raises(NotApproved, match="requested by"):
        verdict_of([FIRST], [decision(FIRST)], plan=plan)
    assert verdict_of([FIRST], [decision(FIRST)], plan=plan, self_approval=True).by == ("bob",)
    assert verdict_of([FIRST], [decision(FIRST, "erin")], plan=plan).by == ("erin",)


def test_documents_of_version_1_are_read() -> None:
    """They lack the later fields; a newer version and a field that no version has are refused by name."""
    asked, decided = to_plain(request()), to_plain(decision(FIRST))
    for later in ("instance", "clears"):
        asked.pop(later, None)
        del decided[later]
    assert ApprovalRequest.from_json(asked | {"schema": "redis_ttl.approval_request/1"}) == FIRST
    assert Decision.from_json(decided | {"schema": "redis_ttl.decision/1"}) == decision(FIRST)
    for changed in ({"schema": "redis_ttl.decision/3"}, {"schema": "redis_ttl.plan/1"}, {"doubt": "x"}, {"more": 1}):
        with pytest.raises(NewerDocument):
            Decision.from_json(decided | changed)


def test_asking_again_forgives() -> None:
    """What was decided about an earlier request counts no more."""
    decided = [decision(FIRST, verdict=Verdict.REJECTED), decision(LATER, "erin", "2026-02-20T10:02:45+00:00")]
    assert verdict_of([FIRST, LATER], decided).by == ("erin",)


def test_without_a_list_anybody_with_a_name_may() -> None:
    """An empty list of approvers leaves it to Airflow who may answer."""
    assert verdict_of([FIRST], [decision(FIRST, "dave")], approvers=()).by == ("dave",)


@pytest.mark.parametrize(
    "user", [None, "", " ", "anonymous", "Anonymous", "ANONYMOUS", " anonymous ", "airflow", "Airflow"]
)
def test_nobody_has_no_name(user: str | None) -> None:
    """The names that Airflow writes for nobody and for itself are nobody's."""
    assert not is_nameable(user)


def test_one_or_two_gates() -> None:
    """There are gates for one approval or two, and a third isn't quietly left out."""
    assert (gates_of(1), gates_of(2)) == (GATES[:1], GATES)
    for wrong in (0, 3, -1):
        with pytest.raises(ValueError, match="approvals"):
            gates_of(wrong)


MOMENTS = st.sampled_from([ASKED, ANSWERED, "2026-02-20T10:00:00+00:00", "2026-02-20T10:30:00+00:00"])
REQUESTS = st.lists(
    st.builds(
        request,
        gate=st.sampled_from(GATES),
        number=st.sampled_from("123"),
        at=MOMENTS,
        digest=st.sampled_from([PLAN.digest, PLAN.digest, "b" * 64]),
    ),
    max_size=4,
)


@given(data=st.data(), requests=REQUESTS, approvals=st.sampled_from([1, 2]))
def test_an_approval_has_a_good_decision_on_the_latest_request_of_each_gate(
    data: st.DataObject, requests: list[ApprovalRequest], approvals: int
) -> None:
    """Whatever documents there are: if they are an approval, then each gate's latest request is for this digest and every decision
    on it is an approval by an allowed person with a name; the people differ.
    """
    decisions = data.draw(
        st.lists(
            st.builds(
                decision,
                st.sampled_from(requests),
                by=st.sampled_from(["bob", "erin", "dave", "Anonymous", None, ""]),
                at=MOMENTS,
                verdict=st.sampled_from([Verdict.APPROVED, Verdict.APPROVED, *Verdict]),
                digest=st.sampled_from([PLAN.digest, PLAN.digest, "b" * 64]),
            ),
            max_size=5,
        )
        if requests
        else st.just([])
    )
    try:
        approval = verdict_of(requests, decisions, gates=gates_of(approvals))
    except NotApproved:
        return
    assert len(set(approval.by)) == approvals
    assert set(approval.by) <= {"bob", "erin"}
    for gate in gates_of(approvals):
        shown = [each for each in requests if each.gate == gate]
        latest = max(shown, key=lambda each: (each.requested_at, each.attempt))
        made = [each for each in decisions if each.request_id == latest.request_id]
        assert latest.digest == PLAN.digest
        assert made
        assert all((each.verdict, each.digest) == (Verdict.APPROVED, PLAN.digest) for each in made)
        assert all(latest.requested_at <= each.at for each in made)
    assert approval.approved_at_ms <= NOW_MS + 60_000


@given(requests=REQUESTS)
def test_more_noes_never_make_a_yes(requests: list[ApprovalRequest]) -> None:
    """One rejection of each request refuses, whatever else was approved."""
    decisions = [
        each for asked in requests for each in (decision(asked), decision(asked, "erin", verdict=Verdict.REJECTED))
    ]
    with pytest.raises(NotApproved):
        verdict_of(requests, decisions)
