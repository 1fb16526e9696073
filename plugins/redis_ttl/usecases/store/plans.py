"""Where the documents about one plan lie in the store: the plan, its approvals, its journal, its results."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from redis_ttl.domain.document_path import path_part
from redis_ttl.domain.errors import BadInput, DamagedDocument, RedisTtlError, StoreProblem
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.remediation.approval import ApprovalRequest, Decision
from redis_ttl.domain.remediation.quota import Grant, Survey
from redis_ttl.domain.remediation.remediation import PartBegun, PartResult
from redis_ttl.domain.rollback.journal import JournalGaps, JournalName, checksum_of, find_gaps
from redis_ttl.domain.schema import read_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis_ttl.domain.remediation.signing import SigningKeys
    from redis_ttl.usecases.ports import Documents

_Read = TypeVar("_Read")


def plan_ids(documents: Documents, cluster: str) -> list[str]:
    """The plans of a cluster, the newest first."""
    names = documents.names(f"{cluster}/plans")
    return sorted((name.removesuffix(".json") for name in names if name.endswith(".json")), reverse=True)


def journalled_plan_ids(documents: Documents, cluster: str) -> list[str]:
    """The plans of a cluster with a journal, the newest first."""
    return sorted(documents.names(f"{cluster}/journals"), reverse=True)


class PlanDocuments:
    """Everything about the plan ``plan_id`` of ``cluster``. Every document is written once.

    With ``signer`` what is asked and decided is signed, and an approval that isn't signed as it must be is read as invalid. Without
    one nothing of that is looked at.
    """

    def __init__(self, documents: Documents, cluster: str, plan_id: str, signer: SigningKeys | None = None) -> None:
        self._documents = documents
        self._cluster = path_part(cluster)
        self._signer = signer
        self._spared: dict[str, str] | None = None
        self.plan_id = path_part(plan_id)
        self.path = f"{cluster}/plans/{plan_id}.json"
        # By attempt and part: the number of each object, and the checksum that it has or was to have.
        self._numbers: dict[tuple[str, str], dict[int, str]] = {}

    def other(self, plan_id: str) -> PlanDocuments:
        """Those of another plan of the cluster."""
        return PlanDocuments(self._documents, self._cluster, plan_id)

    def others(self) -> list[str]:
        """The ids of the cluster's other plans with a journal, the newest first."""
        return [each for each in journalled_plan_ids(self._documents, self._cluster) if each != self.plan_id]

    def signed_by(self, signer: SigningKeys | None) -> PlanDocuments:
        """The same documents, with that signer."""
        return PlanDocuments(self._documents, self._cluster, self.plan_id, signer)

    def forgiving(self, spared: dict[str, str]) -> PlanDocuments:
        """The same documents, for who must go on without those that can't be read: wherever several are read, such a one is left out,
        and its name and what is wrong with it are noted in ``spared``.
        """
        documents = PlanDocuments(self._documents, self._cluster, self.plan_id, self._signer)
        documents._spared = spared
        return documents

    def write_plan(self, plan: Plan) -> None:
        """Keep the plan."""
        self._write_json(self.path, plan.to_json())

    def plan(self) -> Plan:
        """The plan. Raises :class:`BadInput` when the document doesn't have the digest that it says it has."""
        text = self._documents.read(self.path)
        plan, said = read_document(text, lambda data: (Plan.from_json(data), str(data["digest"])), where=self.path)
        if plan.digest != said or plan.plan_id != self.plan_id or plan.cluster != self._cluster:
            raise BadInput(
                "this plan was changed after it was made",
                where=self.path,
                found=f"digest {plan.digest}",
                allowed=said,
                todo="Trigger the remediation again, for a new plan; and see who can write to the store.",
            )
        return plan

    def write_request(self, request: ApprovalRequest) -> None:
        """Keep that the plan was shown for approval."""
        self._write_signed(f"{self._approvals}/request-{request.request_id}.json", request.to_json())

    def write_decision(self, decision: Decision) -> None:
        """Keep what was decided."""
        name = f"decision-{decision.request_id}-{secrets.token_hex(3)}.json"
        self._write_signed(f"{self._approvals}/{name}", decision.to_json())

    def requests(self) -> list[ApprovalRequest]:
        """When the plan was shown, the earliest first."""
        found = self._all(self._approvals, "request-", lambda data: ApprovalRequest.from_json(data, self._doubt(data)))
        return sorted(found, key=lambda each: each.requested_at)

    def decisions(self) -> list[Decision]:
        """Everything that was decided about the plan, the earliest first."""
        found = self._all(self._approvals, "decision-", lambda data: Decision.from_json(data, self._doubt(data)))
        return sorted(found, key=lambda each: each.at)

    def write_journal(self, name: JournalName, data: bytes) -> JournalName:
        """Write one journal object; it is durable when this returns. Its name in the store, with the checksum of the data.

        Writing what is there already is fine: an earlier try may have failed at its very end. Raises `StoreProblem` when the store
        holds something else under that number of the attempt. The store is listed once an attempt, not once an object.
        """
        stored = JournalName(name.attempt, name.part, name.number, checksum_of(data))
        numbers = self._numbers.get((name.attempt, name.part))
        if numbers is None:
            numbers = self._numbers[name.attempt, name.part] = {
                each.number: each.checksum
                for each in self.journal_names()
                if (each.attempt, each.part) == (name.attempt, name.part)
            }
        earlier = numbers.get(name.number)
        if earlier is not None:
            before = JournalName(name.attempt, name.part, name.number, earlier)
            if self._documents.exists(f"{self._journals}/{before}"):
                if self._documents.read(f"{self._journals}/{before}") == data:
                    return before
                raise StoreProblem(
                    "another journal object has this number already",
                    where=f"{self._journals}/{before}",
                    todo="Objects of one attempt are numbered one by one; see whether two processes write under one token.",
                )
        numbers[name.number] = stored.checksum
        self._documents.write(f"{self._journals}/{stored}", data)
        return stored

    def journal_names(self) -> list[JournalName]:
        """The journal objects, the earliest attempt first."""
        parsed = (JournalName.parse(name) for name in self._documents.names(self._journals))
        return sorted(name for name in parsed if name is not None)

    def journal(self, name: JournalName) -> bytes:
        """One journal object. Raises `DamagedDocument` when it isn't what was written."""
        data = self._documents.read(f"{self._journals}/{name}")
        if not name.fits(data):
            raise DamagedDocument(
                "this journal object isn't what was written",
                where=f"{self._journals}/{name}",
                found=f"SHA-256 {checksum_of(data)}..., {len(data):,} bytes",
                allowed=f"{name.checksum}...",
                todo="Put it back from a copy of the store, if there is one.",
            )
        return data

    def journal_gaps(self, names: list[JournalName]) -> JournalGaps:
        """What is missing beside these objects, by the account of what was written."""
        return find_gaps(names, self.begun(), self.parts())

    def write_begun(self, begun: PartBegun) -> None:
        """Keep that an attempt at a part was begun; before its first journal object."""
        self._write_json(f"{self._results}/begun-{begun.part}-{begun.attempt}.json", begun.to_json())

    def begun(self) -> list[PartBegun]:
        """Every attempt that was begun, the earliest first. None of the attempts of version 0.1, which didn't say."""
        found = self._all(self._results, "begun-", PartBegun.from_json)
        return sorted(found, key=lambda each: each.attempt)

    def write_part(self, result: PartResult) -> None:
        """Keep what an attempt at a part came to."""
        self._write_json(f"{self._results}/{result.part}-{result.attempt}.json", result.to_json())

    def parts(self) -> list[PartResult]:
        """What every finished attempt at every part came to, in the order in which they began."""
        found = [
            each for part in ("canary-", "shard-") for each in self._all(self._results, part, PartResult.from_json)
        ]
        return sorted(found, key=lambda each: each.attempt)

    def write_survey(self, survey: Survey) -> None:
        """Keep what the canary counted."""
        self._write_json(f"{self._results}/survey-{survey.attempt}.json", survey.to_json())

    def surveys(self) -> list[Survey]:
        """What each attempt at the canary counted, the latest last."""
        return sorted(self._all(self._results, "survey-", Survey.from_json), key=lambda each: each.attempt)

    def write_grant(self, grant: Grant) -> None:
        """Take a share of a reserve; a :class:`StoreProblem` when it is taken."""
        self._write_json(f"{self._results}/grant-{grant.name}.json", grant.to_json())

    def grant_names(self, survey: str) -> set[str]:
        """The names of the shares that are taken of the reserves beyond that survey."""
        names = self._documents.names(self._results)
        return {name[len("grant-") : -len(".json")] for name in names if name.startswith(f"grant-{survey}-")}

    def grant(self, grant: Grant) -> Grant:
        """The share of that name, as it was taken."""
        path = f"{self._results}/grant-{grant.name}.json"
        return read_document(self._documents.read(path), Grant.from_json, where=path)

    def grants(self, survey: str) -> list[Grant]:
        """All shares that are taken of the reserves beyond that survey."""
        return self._all(self._results, f"grant-{survey}-", Grant.from_json)

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
        """The results of that kind, as plain data."""
        return self.results_as(kind, dict)

    def results_as(self, kind: str, read: Callable[[Any], _Read]) -> list[_Read]:
        """What ``read`` makes of each result of that kind."""
        return self._all(self._results, f"{kind}-", read)

    @property
    def _approvals(self) -> str:
        return f"{self._cluster}/approvals/{self.plan_id}"

    @property
    def _journals(self) -> str:
        return f"{self._cluster}/journals/{self.plan_id}"

    @property
    def _results(self) -> str:
        return f"{self._cluster}/results/{self.plan_id}"

    def _all(self, folder: str, prefix: str, read: Callable[[Any], _Read]) -> list[_Read]:
        names = (name for name in self._documents.names(folder) if name.startswith(prefix) and name.endswith(".json"))
        found = []
        for name in names:
            path = f"{folder}/{name}"
            try:
                found.append(read_document(self._documents.read(path), read, where=path))
            except RedisTtlError as error:
                if self._spared is None:
                    raise
                self._spared[name] = str(error)
        return found

    def _doubt(self, data: Any) -> str | None:
        return None if self._signer is None else self._signer.doubt(data, self._cluster)

    def _write_signed(self, path: str, data: dict[str, Any]) -> None:
        self._write_json(path, data if self._signer is None else self._signer.signed(data, self._cluster))

    def _write_json(self, path: str, data: Any) -> None:
        self._documents.write(path, json.dumps(data, ensure_ascii=False, indent=1).encode())
