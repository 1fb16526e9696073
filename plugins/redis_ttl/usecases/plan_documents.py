"""Where the documents about one plan lie in the store: the plan, its approvals, its journal, its results."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from redis_ttl.domain.approval import ApprovalRequest, Decision
from redis_ttl.domain.document_path import path_part
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.journal import JournalName
from redis_ttl.domain.plan import Plan
from redis_ttl.domain.remediation import PartBegun, PartResult

if TYPE_CHECKING:
    from redis_ttl.usecases.ports import Documents


def plan_ids(documents: Documents, cluster: str) -> list[str]:
    """The plans of a cluster, the newest first."""
    names = documents.names(f"{cluster}/plans")
    return sorted((name.removesuffix(".json") for name in names if name.endswith(".json")), reverse=True)


class PlanDocuments:
    """Everything about the plan ``plan_id`` of ``cluster``. Every document is written once."""

    def __init__(self, documents: Documents, cluster: str, plan_id: str) -> None:
        self._documents = documents
        self._cluster = path_part(cluster)
        self.plan_id = path_part(plan_id)
        self.path = f"{cluster}/plans/{plan_id}.json"

    def write_plan(self, plan: Plan) -> None:
        """Keep the plan."""
        self._write_json(self.path, plan.to_json())

    def plan(self) -> Plan:
        """The plan. Raises :class:`BadInput` when the document doesn't have the digest that it says it has."""
        data = json.loads(self._documents.read(self.path))
        plan = Plan.from_json(data)
        if plan.digest != data["digest"] or plan.plan_id != self.plan_id or plan.cluster != self._cluster:
            raise BadInput(
                "this plan was changed after it was made",
                where=self.path,
                found=f"digest {plan.digest}",
                allowed=str(data["digest"]),
                todo="Trigger the remediation again, for a new plan; and see who can write to the store.",
            )
        return plan

    def write_request(self, request: ApprovalRequest) -> None:
        """Keep that the plan was shown for approval."""
        self._write_json(f"{self._approvals}/request-{request.request_id}.json", request.to_json())

    def write_decision(self, decision: Decision) -> None:
        """Keep what was decided."""
        name = f"decision-{decision.request_id}-{secrets.token_hex(3)}.json"
        self._write_json(f"{self._approvals}/{name}", decision.to_json())

    def requests(self) -> list[ApprovalRequest]:
        """When the plan was shown, the earliest first."""
        found = [ApprovalRequest.from_json(each) for each in self._all(self._approvals, "request-")]
        return sorted(found, key=lambda each: each.requested_at)

    def decisions(self) -> list[Decision]:
        """Everything that was decided about the plan, the earliest first."""
        found = [Decision.from_json(each) for each in self._all(self._approvals, "decision-")]
        return sorted(found, key=lambda each: each.at)

    def write_journal(self, name: JournalName, data: bytes) -> None:
        """Write one journal object; it is durable when this returns."""
        self._documents.write(f"{self._journals}/{name}", data)

    def journal_names(self) -> list[JournalName]:
        """The journal objects, the earliest attempt first."""
        parsed = (JournalName.parse(name) for name in self._documents.names(self._journals))
        return sorted(name for name in parsed if name is not None)

    def journal(self, name: JournalName) -> bytes:
        """One journal object."""
        return self._documents.read(f"{self._journals}/{name}")

    def write_begun(self, begun: PartBegun) -> None:
        """Keep that an attempt at a part was begun; before its first journal object."""
        self._write_json(f"{self._results}/begun-{begun.part}-{begun.attempt}.json", begun.to_json())

    def begun(self) -> list[PartBegun]:
        """Every attempt that was begun, the earliest first. None of the attempts of version 0.1, which didn't say."""
        found = [PartBegun.from_json(each) for each in self._all(self._results, "begun-")]
        return sorted(found, key=lambda each: each.attempt)

    def write_part(self, result: PartResult) -> None:
        """Keep what an attempt at a part came to."""
        self._write_json(f"{self._results}/{result.part}-{result.attempt}.json", result.to_json())

    def parts(self) -> list[PartResult]:
        """What every finished attempt at every part came to, in the order in which they began."""
        found = [*self._all(self._results, "canary-"), *self._all(self._results, "shard-")]
        return sorted((PartResult.from_json(each) for each in found), key=lambda each: each.attempt)

    def write_result(self, kind: str, data: Any) -> str:
        """Keep another result (``check_canary``, ``verify``, ``rollback``) of this plan; its path in the store."""
        path = f"{self._results}/{kind}-{secrets.token_hex(4)}.json"
        self._write_json(path, data)
        return path

    def write_page(self, kind: str, text: str) -> str:
        """Keep a result as a page (Markdown); its path in the store."""
        path = f"{self._results}/{kind}-{secrets.token_hex(4)}.md"
        self._documents.write(path, text.encode())
        return path

    def results(self, kind: str) -> list[Any]:
        """The results of that kind."""
        return self._all(self._results, f"{kind}-")

    @property
    def _approvals(self) -> str:
        return f"{self._cluster}/approvals/{self.plan_id}"

    @property
    def _journals(self) -> str:
        return f"{self._cluster}/journals/{self.plan_id}"

    @property
    def _results(self) -> str:
        return f"{self._cluster}/results/{self.plan_id}"

    def _all(self, folder: str, prefix: str) -> list[Any]:
        names = (name for name in self._documents.names(folder) if name.startswith(prefix) and name.endswith(".json"))
        return [json.loads(self._documents.read(f"{folder}/{name}")) for name in names]

    def _write_json(self, path: str, data: Any) -> None:
        self._documents.write(path, json.dumps(data, ensure_ascii=False, indent=1).encode())
