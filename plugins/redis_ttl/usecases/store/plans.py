"""The documents about one plan: the plan itself, its approvals, its journal, its results."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis_ttl.domain.codec import from_plain, to_plain
from redis_ttl.domain.errors import BadInput, DamagedDocument, RedisTtlError, StoreProblem
from redis_ttl.domain.plan.plan import Plan
from redis_ttl.domain.policy.guards import Reading
from redis_ttl.domain.remediation.approval import ApprovalRequest, Decision
from redis_ttl.domain.remediation.canary import CanaryReport
from redis_ttl.domain.remediation.quota import Grant, Survey
from redis_ttl.domain.remediation.remediation import PartBegun, PartResult
from redis_ttl.domain.remediation.verification import Verification
from redis_ttl.domain.rollback.journal import JournalGaps, JournalName, checksum_of, find_gaps
from redis_ttl.domain.rollback.rollback import RestoreResult
from redis_ttl.domain.schema import check_schema
from redis_ttl.usecases.store.catalogue import ClusterPaths, ResultKind, plan_ids_in
from redis_ttl.usecases.store.json_documents import read_json, read_record, write_json, write_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis_ttl.domain.remediation.signing import SigningKeys
    from redis_ttl.usecases.ports import Documents
    from redis_ttl.usecases.store.catalogue import Family

_Read = TypeVar("_Read")

CANARY_BASELINE_SCHEMA: Final = "redis_ttl.canary_baseline/1"


def plan_ids(documents: Documents, cluster: str) -> list[str]:
    """The plans of a cluster, the newest first."""
    return plan_ids_in(documents.names(ClusterPaths(cluster).plans))


def has_plan(documents: Documents, cluster: str, plan_id: str) -> bool:
    """Whether the cluster has that plan."""
    return documents.exists(ClusterPaths(cluster).plan(plan_id).document)


def journalled_plan_ids(documents: Documents, cluster: str) -> list[str]:
    """The plans of a cluster with a journal, the newest first."""
    return sorted(documents.names(ClusterPaths(cluster).journals), reverse=True)


class PlanDocuments:
    """Everything about the plan ``plan_id`` of ``cluster``. Every document is written once.

    With ``signer`` what is asked and decided is signed, and an approval that isn't signed as it must be is read as invalid. Without
    one nothing of that is looked at.
    """

    def __init__(self, documents: Documents, cluster: str, plan_id: str, signer: SigningKeys | None = None) -> None:
        self._documents = documents
        self._cluster = cluster
        self._paths = ClusterPaths(cluster).plan(plan_id)
        self._signer = signer
        self._spared: dict[str, str] | None = None
        self.plan_id = plan_id
        self.path = self._paths.document
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
        write_json(self._documents, self.path, plan.to_json())

    def plan(self) -> Plan:
        """The plan. Raises :class:`BadInput` when the document doesn't have the digest that it says it has."""
        plan, said = read_json(self._documents, self.path, lambda data: (Plan.from_json(data), str(data["digest"])))
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
        self._write_signed(self._paths.requests.path(request.request_id), to_plain(request))

    def write_decision(self, decision: Decision) -> None:
        """Keep what was decided."""
        self._write_signed(
            self._paths.decisions.path(f"{decision.request_id}-{secrets.token_hex(3)}"), to_plain(decision)
        )

    def requests(self) -> list[ApprovalRequest]:
        """When the plan was shown, the earliest first."""
        found = self._all(self._paths.requests, lambda data: ApprovalRequest.from_json(data, self._doubt(data)))
        return sorted(found, key=lambda each: each.requested_at)

    def decisions(self) -> list[Decision]:
        """Everything that was decided about the plan, the earliest first."""
        found = self._all(self._paths.decisions, lambda data: Decision.from_json(data, self._doubt(data)))
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
            path = self._paths.journal_object(before)
            if self._documents.exists(path):
                if self._documents.read(path) == data:
                    return before
                raise StoreProblem(
                    "another journal object has this number already",
                    where=path,
                    todo="Objects of one attempt are numbered one by one; see whether two processes write under one token.",
                )
        numbers[name.number] = stored.checksum
        self._documents.write(self._paths.journal_object(stored), data)
        return stored

    def journal_names(self) -> list[JournalName]:
        """The journal objects, the earliest attempt first."""
        parsed = (JournalName.parse(name) for name in self._documents.names(self._paths.journal))
        return sorted(name for name in parsed if name is not None)

    def journal(self, name: JournalName) -> bytes:
        """One journal object. Raises `DamagedDocument` when it isn't what was written."""
        path = self._paths.journal_object(name)
        data = self._documents.read(path)
        if not name.fits(data):
            raise DamagedDocument(
                "this journal object isn't what was written",
                where=path,
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
        write_record(self._documents, self._paths.begun.path(f"{begun.part}-{begun.attempt}"), begun)

    def begun(self) -> list[PartBegun]:
        """Every attempt that was begun, the earliest first. None of the attempts of version 0.1, which didn't say."""
        found = self._all(self._paths.begun, partial(from_plain, PartBegun))
        return sorted(found, key=lambda each: each.attempt)

    def write_part(self, result: PartResult) -> None:
        """Keep what an attempt at a part came to."""
        write_record(self._documents, self._paths.part(result.part, result.attempt), result)

    def parts(self) -> list[PartResult]:
        """What every finished attempt at every part came to, in the order in which they began."""
        families = (self._paths.canaries, self._paths.shards)
        found = [each for family in families for each in self._all(family, partial(from_plain, PartResult))]
        return sorted(found, key=lambda each: each.attempt)

    def write_survey(self, survey: Survey) -> None:
        """Keep what the canary counted."""
        write_record(self._documents, self._paths.surveys.path(survey.attempt), survey)

    def surveys(self) -> list[Survey]:
        """What each attempt at the canary counted, the latest last."""
        found = self._all(self._paths.surveys, partial(from_plain, Survey))
        return sorted(found, key=lambda each: each.attempt)

    def write_grant(self, grant: Grant) -> None:
        """Take a share of a reserve; a :class:`StoreProblem` when it is taken."""
        write_record(self._documents, self._paths.grants.path(grant.name), grant)

    def grant_names(self, survey: str) -> set[str]:
        """The names of the shares that are taken of the reserves beyond that survey."""
        names = self._paths.grants.among(self._documents.names(self._paths.grants.folder))
        return {name for name in names if name.startswith(f"{survey}-")}

    def grant(self, grant: Grant) -> Grant:
        """The share of that name, as it was taken."""
        return read_record(self._documents, self._paths.grants.path(grant.name), Grant)

    def grants(self, survey: str) -> list[Grant]:
        """All shares that are taken of the reserves beyond that survey."""
        return self._all(self._paths.grants, partial(from_plain, Grant), of=f"{survey}-")

    def write_canary_baseline(self, at: str, readings: Mapping[str, tuple[Reading, Reading]]) -> None:
        """Keep what the servers (by the plan's addresses) were like before anything was written: two readings of each."""
        nodes = {address: [to_plain(each) for each in pair] for address, pair in readings.items()}
        self._write_result(ResultKind.CANARY_BASELINE, {"schema": CANARY_BASELINE_SCHEMA, "at": at, "nodes": nodes})

    def canary_baseline(self) -> dict[str, tuple[Reading, Reading]]:
        """The latest of these; version 0.1 kept the readings alone."""
        found = self._results_as(ResultKind.CANARY_BASELINE, _canary_baseline)
        return max(found, key=lambda each: each[0], default=("", {}))[1]

    def write_canary_report(self, report: CanaryReport) -> None:
        """Keep what the watch over the canary's keys came to."""
        self._write_result(ResultKind.CHECK_CANARY, to_plain(report))

    def canary_reports(self) -> list[CanaryReport]:
        """What each of these watches came to, the earliest first."""
        found = self._results_as(ResultKind.CHECK_CANARY, partial(from_plain, CanaryReport))
        return sorted(found, key=lambda each: each.ended_at)

    def write_verification(self, verification: Verification) -> None:
        """Keep what became of the plan's keys."""
        self._write_result(ResultKind.VERIFY, to_plain(verification))

    def verifications(self) -> list[Verification]:
        """What each look at the plan's keys came to, the earliest first."""
        found = self._results_as(ResultKind.VERIFY, partial(from_plain, Verification))
        return sorted(found, key=lambda each: each.ended_at)

    def write_restored(self, result: RestoreResult) -> None:
        """Keep what an attempt at a part of a rollback came to."""
        self._write_result(ResultKind.ROLLBACK, to_plain(result))

    def restored(self) -> list[RestoreResult]:
        """What each of these attempts came to."""
        return self._results_as(ResultKind.ROLLBACK, partial(from_plain, RestoreResult))

    def write_rollback(self, restored: RestoreResult, found: RestoreResult) -> str:
        """Keep what a whole rollback did, and what a look after it found; the path in the store."""
        data = {"restored": to_plain(restored), "found": to_plain(found)}
        return self._write_result(ResultKind.ROLLBACK_CHECK, data)

    def rollbacks(self) -> list[tuple[RestoreResult, RestoreResult]]:
        """What each rollback did, and what a look after it found, the earliest first."""
        found = self._results_as(ResultKind.ROLLBACK_CHECK, _rollback)
        return sorted(found, key=lambda each: each[0].ended_at)

    def write_report(self, page: str) -> None:
        """Keep what the remediation came to as a page (Markdown)."""
        self._documents.write(self._paths.results(ResultKind.REPORT).page(secrets.token_hex(4)), page.encode())

    def _results_as(self, kind: ResultKind, read: Callable[[Any], _Read]) -> list[_Read]:
        return self._all(self._paths.results(kind), read)

    def _write_result(self, kind: ResultKind, data: Any) -> str:
        path = self._paths.results(kind).path(secrets.token_hex(4))
        write_json(self._documents, path, data)
        return path

    def _all(self, family: Family, read: Callable[[Any], _Read], *, of: str = "") -> list[_Read]:
        """What ``read`` makes of each of these documents, of those whose names begin with ``of``."""
        found = []
        for name, path in family.among(self._documents.names(family.folder)).items():
            if not name.startswith(of):
                continue
            try:
                found.append(read_json(self._documents, path, read))
            except RedisTtlError as error:
                if self._spared is None:
                    raise
                self._spared[path.rpartition("/")[2]] = str(error)
        return found

    def _doubt(self, data: Any) -> str | None:
        return None if self._signer is None else self._signer.doubt(data, self._cluster)

    def _write_signed(self, path: str, data: dict[str, Any]) -> None:
        write_json(self._documents, path, data if self._signer is None else self._signer.signed(data, self._cluster))


def _canary_baseline(data: Mapping[str, Any]) -> tuple[str, dict[str, tuple[Reading, Reading]]]:
    """When a baseline was kept, and its readings."""
    nodes = data
    if "schema" in data:
        check_schema(data, CANARY_BASELINE_SCHEMA)
        nodes = data["nodes"]
    return str(data.get("at", "")), {
        address: (from_plain(Reading, pair[0]), from_plain(Reading, pair[1])) for address, pair in nodes.items()
    }


def _rollback(data: Mapping[str, Any]) -> tuple[RestoreResult, RestoreResult]:
    return from_plain(RestoreResult, data["restored"]), from_plain(RestoreResult, data["found"])
