"""Every path in the store. Paths are composed and parsed here, and spelt nowhere else.

::

    <cluster>/audits/<audit>/       plan.json  samples.json  audit.json  report.md  patterns.parquet
                                    shards/<n>/<increment>.json, .parquet    no_ttl/<n>-<increment>.parquet
              plans/<plan>.json
              approvals/<plan>/     request-*.json  decision-*.json
              journals/<plan>/      <attempt>_<part>_<number>_<checksum>.parquet
              results/<plan>/       <part>-<attempt>.json  begun-*  survey-*  grant-*  <kind>-<token>.json, .md
              baselines/            <number>.json  <number>-<token>-<n>.parquet
              drift/                <audit>.json, .md  <audit>.<again>.json, .md
              watch/                <day>/<time>.json  <day>.jsonl  events/<time>-<kind>.json
              messages/             <thread>/<number>/*  pending/*

What stands in a path is checked to be a plain name (`path_part`). What the parts of a run are called is in
:mod:`redis_ttl.domain.remediation.parts`, what a journal's objects are in :mod:`redis_ttl.domain.rollback.journal`.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from redis_ttl.domain.document_path import path_part
from redis_ttl.domain.remediation.parts import CANARY, SHARD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis_ttl.domain.rollback.journal import JournalName

_JSON: Final = ".json"
_DAY: Final = "%Y%m%d"
_DUE: Final = "%Y%m%dT%H%M%S"
_REPORT: Final = re.compile(r"(?P<audit>.+?)(?:\.(?P<again>\d{4}))?\.json")


class ResultKind(StrEnum):
    """A result of a plan, beside those of its parts."""

    CANARY_BASELINE = "canary_baseline"
    CHECK_CANARY = "check_canary"
    VERIFY = "verify"
    ROLLBACK = "rollback"
    ROLLBACK_CHECK = "rollback_check"
    REPORT = "report"
    """The page that a remediation ends with."""


class EventKind(StrEnum):
    """What the watch reports."""

    MEMORY = "memory"
    NO_TTL = "no_ttl"
    BURST = "burst"


@dataclass(frozen=True, slots=True)
class ClusterPaths:
    """What belongs to one cluster. Raises `StoreProblem` unless its name can be a part of a path."""

    cluster: str

    def __post_init__(self) -> None:
        path_part(self.cluster)

    @property
    def audits(self) -> str:
        """The folder with a folder for each audit."""
        return f"{self.cluster}/audits"

    @property
    def plans(self) -> str:
        """The folder of the plans."""
        return f"{self.cluster}/plans"

    @property
    def journals(self) -> str:
        """The folder with a folder for each plan that has a journal."""
        return f"{self.cluster}/journals"

    def audit(self, audit_id: str) -> AuditPaths:
        """What belongs to one audit."""
        return AuditPaths.of(f"{self.audits}/{path_part(audit_id)}")

    def plan(self, plan_id: str) -> PlanPaths:
        """What belongs to one plan."""
        return PlanPaths.of(self.cluster, path_part(plan_id))

    @property
    def drift(self) -> DriftPaths:
        """Baselines and reports."""
        return DriftPaths(f"{self.cluster}/baselines", f"{self.cluster}/drift")

    @property
    def watch(self) -> WatchPaths:
        """What the watch keeps."""
        return WatchPaths(f"{self.cluster}/watch")

    @property
    def messages(self) -> MessagePaths:
        """The outbox."""
        return MessagePaths(f"{self.cluster}/messages")


def plan_ids_in(names: Iterable[str]) -> list[str]:
    """The plans among the names in the folder of the plans, the newest first."""
    return sorted((name.removesuffix(_JSON) for name in names if name.endswith(_JSON)), reverse=True)


@dataclass(frozen=True, slots=True)
class Increment:
    """One checkpoint of one shard: ``number`` within its ``generation``."""

    shard: int
    generation: int
    number: int

    @property
    def name(self) -> str:
        """Its name among those of its shard."""
        return f"{self.generation}-{self.number:05d}"


@dataclass(frozen=True, slots=True)
class AuditPaths:
    """The documents of one audit: what it set out to scan, the keys that were drawn before, what came of it (there when it is finished),
    and the same as a page.
    """

    folder: str
    plan: str
    samples: str
    audit: str
    report: str

    @classmethod
    def of(cls, folder: str) -> AuditPaths:
        """Those in that folder."""
        names = ("plan.json", "samples.json", "audit.json", "report.md")
        return cls(folder, *(f"{folder}/{name}" for name in names))

    def patterns(self, token: str | None = None) -> str:
        """The table of its patterns; with a token that of a second try."""
        return f"{self.folder}/patterns.parquet" if token is None else f"{self.folder}/patterns-{token}.parquet"

    def shard(self, number: int) -> str:
        """The folder of a shard's checkpoints."""
        return f"{self.folder}/shards/{number}"

    def checkpoint(self, increment: Increment) -> str:
        """How far the shard had come."""
        return f"{self.shard(increment.shard)}/{increment.name}.json"

    def checkpoints_in(self, shard: int, names: Iterable[str]) -> list[str]:
        """The paths of the checkpoints among the names in a shard's folder."""
        return [f"{self.shard(shard)}/{name}" for name in names if name.endswith(_JSON)]

    def counts(self, increment: Increment, token: str) -> str:
        """The patterns that the increment counted; ``token`` tells apart two tasks that both believe to own the shard."""
        return f"{self.shard(increment.shard)}/{increment.name}-{token}.parquet"

    def fingerprints(self, increment: Increment, token: str) -> str:
        """Its keys without a TTL."""
        return f"{self.folder}/no_ttl/{increment.shard}-{increment.name}-{token}.parquet"

    def within(self, path: str) -> str:
        """A path that one of the audit's documents names: never one outside of the audit."""
        return f"{self.folder}/{path.removeprefix(f'{self.folder}/')}"

    def counts_beside(self, fingerprints: str) -> str:
        """The patterns that were counted together with these fingerprints."""
        shard, rest = PurePosixPath(fingerprints).stem.split("-", 1)
        return f"{self.folder}/shards/{shard}/{rest}.parquet"


def increment_of(fingerprints: str) -> Increment:
    """The increment that a document of fingerprints belongs to."""
    shard, generation, number, _ = PurePosixPath(fingerprints).stem.split("-")
    return Increment(int(shard), int(generation), int(number))


@dataclass(frozen=True, slots=True)
class Family:
    """The documents of one kind in one folder: ``<folder>/<kind>-<name>.json``."""

    folder: str
    kind: str

    def path(self, name: str) -> str:
        """Where the one of that name lies."""
        return f"{self.folder}/{self.kind}-{name}.json"

    def page(self, name: str) -> str:
        """The same to read."""
        return f"{self.folder}/{self.kind}-{name}.md"

    def among(self, names: Iterable[str]) -> dict[str, str]:
        """Those among the names in the folder: the path of each by its own name."""
        start = f"{self.kind}-"
        found = (name for name in names if name.startswith(start) and name.endswith(_JSON))
        return {name.removeprefix(start).removesuffix(_JSON): f"{self.folder}/{name}" for name in found}


@dataclass(frozen=True, slots=True)
class PlanPaths:
    """The documents of one plan: itself, what was asked and decided, the folder of its journal, and what came of it.

    A request is named by its id, what was begun by its part and attempt, a survey by the attempt that made it, a share by itself; a
    decision and a result have a token of their own.
    """

    document: str
    requests: Family
    decisions: Family
    journal: str
    begun: Family
    canaries: Family
    shards: Family
    surveys: Family
    grants: Family

    @classmethod
    def of(cls, cluster: str, plan_id: str) -> PlanPaths:
        """Those of that plan."""
        approvals, results = f"{cluster}/approvals/{plan_id}", f"{cluster}/results/{plan_id}"
        return cls(
            document=f"{cluster}/plans/{plan_id}.json",
            requests=Family(approvals, "request"),
            decisions=Family(approvals, "decision"),
            journal=f"{cluster}/journals/{plan_id}",
            begun=Family(results, "begun"),
            canaries=Family(results, CANARY),
            shards=Family(results, SHARD),
            surveys=Family(results, "survey"),
            grants=Family(results, "grant"),
        )

    def journal_object(self, name: JournalName) -> str:
        """One object of the journal."""
        return f"{self.journal}/{name}"

    def part(self, part: str, attempt: str) -> str:
        """What an attempt at a part came to: one of the canaries, or of the shards."""
        return f"{self.begun.folder}/{part}-{attempt}.json"

    def results(self, kind: ResultKind) -> Family:
        """Other results."""
        return Family(self.begun.folder, kind)


@dataclass(frozen=True, slots=True)
class DriftPaths:
    """The folders of the baselines and of the reports about drift."""

    baselines: str
    reports: str

    def baseline(self, number: int) -> str:
        """One baseline."""
        return f"{self.baselines}/{number:08d}.json"

    def baseline_range(self, number: int, token: str, index: int) -> str:
        """Some of its fingerprints."""
        return f"{self.baselines}/{number:08d}-{token}-{index:04d}.parquet"

    def report(self, audit_id: str, check: int) -> str:
        """What the ``check``-th check of an audit found, from 1."""
        return f"{self._report(audit_id, check)}.json"

    def page(self, audit_id: str, check: int) -> str:
        """The same as a page."""
        return f"{self._report(audit_id, check)}.md"

    def _report(self, audit_id: str, check: int) -> str:
        return f"{self.reports}/{audit_id}" + (f".{check:04d}" if check > 1 else "")


def baseline_numbers_in(names: Iterable[str]) -> list[int]:
    """The numbers of the baselines among the names in their folder, the newest first."""
    return sorted((int(name.removesuffix(_JSON)) for name in names if re.fullmatch(r"\d+\.json", name)), reverse=True)


def reports_in(names: Iterable[str]) -> list[tuple[str, int]]:
    """The reports among the names in their folder, in their order: the audit, and which check of it."""
    matches = filter(None, map(_REPORT.fullmatch, names))
    return sorted((match["audit"], int(match["again"] or 1)) for match in matches)


@dataclass(frozen=True, slots=True)
class WatchPaths:
    """What the watch keeps: samples of each day, a document of each day that is over, and events."""

    folder: str

    def day(self, day: str) -> str:
        """The folder of a day's samples."""
        return f"{self.folder}/{day}"

    def sample(self, moment: dt.datetime) -> str:
        """One look."""
        return f"{self.day(day_of(moment))}/{moment:%H%M%S%f}.json"

    def samples_in(self, day: str, names: Iterable[str]) -> list[str]:
        """The paths of the samples among the names in a day's folder."""
        return [f"{self.day(day)}/{name}" for name in names if name.endswith(_JSON)]

    def finished_day(self, day: str) -> str:
        """The points of a day that is over."""
        return f"{self.folder}/{day}.jsonl"

    @property
    def events(self) -> str:
        """The folder of what has happened."""
        return f"{self.folder}/events"

    def event(self, name: str) -> str:
        """One event, by its name."""
        return f"{self.events}/{name}.json"


def day_of(moment: dt.datetime) -> str:
    """A day as paths have it; days in order are days in time."""
    return moment.strftime(_DAY)


def open_days_in(names: Iterable[str]) -> list[str]:
    """The days with a folder of samples among the names in the watch's folder, the earliest first."""
    return sorted(name for name in names if name.isdecimal())


def finished_days_in(names: Iterable[str]) -> list[str]:
    """The days that have become one document, among the names in the watch's folder."""
    return [name.removesuffix(".jsonl") for name in names if name.endswith(".jsonl")]


def event_time(moment: dt.datetime) -> str:
    """What the names of events since then aren't smaller than."""
    return f"{moment.astimezone(dt.UTC):%Y%m%dT%H%M%S}"


def event_name(moment: dt.datetime, kind: EventKind) -> str:
    """The name of what happened then; names in order are events in time."""
    return f"{moment:%Y%m%dT%H%M%S%fZ}-{kind}"


def events_in(names: Iterable[str], kinds: Iterable[EventKind]) -> list[str]:
    """The names of the events of these kinds, among the names in their folder."""
    endings = tuple(f"-{kind}{_JSON}" for kind in kinds)
    return [name.removesuffix(_JSON) for name in names if name.endswith(endings)]


@dataclass(frozen=True, slots=True)
class Pending:
    """A message of a thread that has yet to go over a route; ``attempt`` counts from 1."""

    due: dt.datetime
    route: str
    thread: str
    number: int
    attempt: int

    @property
    def file(self) -> str:
        """Its name among what is pending."""
        due = f"{self.due.astimezone(dt.UTC):{_DUE}}"
        return f"{due}~{self.route}~{self.thread}~{self.number:04d}~{self.attempt}.json"

    @classmethod
    def parse(cls, file: str) -> Pending | None:
        """What a name says; None for a name of another kind."""
        try:
            due, route, thread, number, attempt = file.removesuffix(_JSON).split("~")
            moment = dt.datetime.strptime(due, _DUE).replace(tzinfo=dt.UTC)
            return cls(moment, route, thread, int(number), int(attempt))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class MessagePaths:
    """The messages of one cluster: a folder for each thread, with a folder for each message; and what is pending."""

    folder: str

    def thread(self, thread: str) -> str:
        """The folder of a thread."""
        return f"{self.folder}/{thread}"

    def message(self, thread: str, number: int) -> str:
        """The folder of one message."""
        return f"{self.thread(thread)}/{number:04d}"

    def said(self, thread: str, number: int) -> str:
        """What it says; there when the message is."""
        return f"{self.message(thread, number)}/message.json"

    def page(self, thread: str, number: int) -> str:
        """The same to read."""
        return message_page(self.message(thread, number))

    def claim(self, pending: Pending) -> str:
        """That somebody is sending it."""
        return f"{self.message(pending.thread, pending.number)}/{pending.route}-sending-{pending.attempt}.json"

    def sent(self, thread: str, number: int, route: str) -> str:
        """That it went over a route."""
        return f"{self.message(thread, number)}/{route}-sent.json"

    def failure(self, pending: Pending) -> str:
        """That an attempt failed."""
        return f"{self.message(pending.thread, pending.number)}/{pending.route}-failed-{pending.attempt}.json"

    def failures_in(self, thread: str, number: int, route: str, names: Iterable[str]) -> list[str]:
        """The paths of the attempts over a route that failed, among the names in a message's folder."""
        return [f"{self.message(thread, number)}/{name}" for name in names if name.startswith(f"{route}-failed-")]

    @property
    def all_pending(self) -> str:
        """The folder of what has yet to be sent."""
        return f"{self.folder}/pending"

    def pending(self, pending: Pending) -> str:
        """A mark that it has yet to be sent."""
        return f"{self.all_pending}/{pending.file}"


def message_page(folder: str) -> str:
    """What is to be read in the folder of a message."""
    return f"{folder}/message.md"
