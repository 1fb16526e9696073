"""The waiting task: shows a plan, and asks whether it may be written.

While it waits it is Airflow's state *awaiting input*: no worker, no pool slot, no triggerer. What was asked goes to the store
before it waits and what was answered before it fails, so that the record survives whatever Airflow makes of the task.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from redis_ttl.tasks.failures import clear_failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from redis_ttl.domain.policy.policy import Policy

APPROVE: Final = "Approve"
REJECT: Final = "Reject"
_SIMPLE_AUTH: Final = "SimpleAuthManager"


class PlanApprovalOperator(HITLOperator):
    """Asks for the approval of the plan that ``plan`` (the XCom of ``build_plan``) names.

    The digest of the plan goes with the form and comes back with its answer: an answer about another one isn't believed.
    Where there is no answer in time, that means no. Never tried again by itself: asking again is an operator's affair.
    """

    template_fields = ("subject", "body", "plan")

    def __init__(self, *, policy: Policy, plan: Any, **options: Any) -> None:
        super().__init__(
            subject=f"May the plan for {policy.cluster} be written?",
            options=[APPROVE, REJECT],
            response_timeout=timedelta(seconds=policy.remediation.approval_timeout_s),
            retries=0,
            **options,
        )
        self.policy = policy
        self.plan = plan

    @clear_failure()
    def execute(self, context: Context) -> None:
        """Write down what is asked, show it, and wait."""
        from redis_ttl.tasks.remediate import approval_run

        asked = approval_run.ask(self.policy, context, self.plan, secrets.token_hex(6))
        self.subject, self.body = asked.subject, asked.body
        self.assigned_users = [{"id": user, "name": user} for user in self._assigned()] or None
        self.params = ParamsDict(
            {
                # A constant is hidden in Airflow's form, and sent back with the answer.
                "plan_digest": Param(asked.digest, type="string", const=asked.digest, title="Digest of the plan"),
                "comment": Param(None, type=["null", "string"], format="multiline", title="Comment"),
            }
        )
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            # What was asked is kept with the waiting task: by the answer's time an XCom may say something else.
            parked.kwargs = {"plan_id": asked.plan_id, "request_id": asked.request_id}
            raise

    @clear_failure()
    def execute_complete(
        self, context: Context, event: Mapping[str, Any], plan_id: str = "", request_id: str = ""
    ) -> dict[str, Any]:
        """Write down what was answered, then fail unless it is an approval."""
        from redis_ttl.tasks.remediate import approval_run

        answer = None if "error" in event else event
        approves = answer is not None and list(answer["chosen_options"]) == [APPROVE]
        decision = approval_run.decide(self.policy, context, plan_id, request_id, answer, approves=approves)
        if decision["verdict"] != "approved":
            raise AirflowFailException(
                f"{decision['verdict']}: {decision['why'] or decision['comment'] or 'no comment'}"
            )
        return decision

    def _assigned(self) -> tuple[str, ...]:
        """Who alone may answer the form.

        Airflow compares ids here, and a policy names users. Only with Airflow's simple auth manager these are the same;
        elsewhere everybody with the permission may answer, and an answer of somebody else is no approval.
        """
        from airflow.sdk import conf

        simple = conf.get("core", "auth_manager", fallback=_SIMPLE_AUTH).endswith(_SIMPLE_AUTH)
        return self.policy.remediation.approvers if simple else ()
