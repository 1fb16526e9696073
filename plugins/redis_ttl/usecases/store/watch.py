"""What the watch keeps in the store: a document for each look, one for each day that is over, and events.

A look's document carries what the next one needs of the day so far, so that a look reads one document of today and one for each
earlier day. When a day is over its looks become one document, and days beyond the policy's retention are removed.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis_ttl.domain.codec import document
from redis_ttl.domain.errors import AlreadyWritten
from redis_ttl.domain.schema import read_lines
from redis_ttl.domain.watch.events import BurstReport, LevelChange
from redis_ttl.domain.watch.history import PlainPoint, Point
from redis_ttl.domain.watch.levels import LevelState, Measure
from redis_ttl.domain.watch.oddities import Oddity
from redis_ttl.domain.watch.sample import SAMPLE_SCHEMA, Sample
from redis_ttl.usecases.store.catalogue import (
    ClusterPaths,
    EventKind,
    day_of,
    event_name,
    event_time,
    events_in,
    finished_days_in,
    open_days_in,
)
from redis_ttl.usecases.store.json_documents import read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis_ttl.usecases.ports import Documents, RemovableDocuments


@document(SAMPLE_SCHEMA)
@dataclass(frozen=True, slots=True)
class Look:
    """What a look leaves for the next one: its sample, its day's points, levels, and a burst that goes on; and, for people, what was out
    of order.
    """

    sample: Sample | None
    today: tuple[PlainPoint, ...] = ()
    levels: Mapping[Measure, LevelState] = field(default_factory=dict)
    burst_since: str | None = None
    quiet: int = 0
    oddities: tuple[Oddity, ...] = ()


class WatchDocuments:
    """The looks of one cluster. Nothing is ever removed but what was written here."""

    def __init__(self, documents: RemovableDocuments, cluster: str) -> None:
        self._documents = documents
        self._paths = ClusterPaths(cluster).watch

    def last(self, now: dt.datetime) -> Look:
        """What the look before left, today or on the latest day that has samples."""
        for day in reversed(self._days(now)):
            if paths := self._samples(day):
                return self._read(paths[-1])
        return Look(None)

    def history(self, now: dt.datetime, days: int) -> list[Point]:
        """The points of the finished days among the last ``days``."""
        first = day_of(now - dt.timedelta(days=days))
        points: list[Point] = []
        for day in finished_days_in(self._documents.names(self._paths.folder)):
            if first <= day <= day_of(now):
                path = self._paths.finished_day(day)
                points += read_lines(self._documents.read(path).decode().splitlines(), Point.from_json, where=path)
        return points

    def write(self, now: dt.datetime, look: Look) -> None:
        """Keep what this look saw and the next one needs."""
        write_record(self._documents, self._paths.sample(now), look, indent=None)

    def tidy(self, now: dt.datetime, retention_days: int) -> None:
        """Make one document of each day that is over, and remove the samples of days beyond the retention."""
        for day in self._days(now)[:-1]:
            paths = self._samples(day)
            if not paths:
                continue
            lines = "".join(json.dumps(point.to_json()) + "\n" for point in self._read(paths[-1]).today)
            with suppress(AlreadyWritten):  # by a look that was killed while it removed the samples
                self._documents.write(self._paths.finished_day(day), lines.encode())
            for path in paths:
                self._documents.remove(path)
        oldest = day_of(now - dt.timedelta(days=retention_days))
        for day in finished_days_in(self._documents.names(self._paths.folder)):
            if day < oldest:
                self._documents.remove(self._paths.finished_day(day))

    def _days(self, now: dt.datetime) -> list[str]:
        """The days with samples of their own, the earliest first; today is the last, whether it has any or not."""
        today = day_of(now)
        return [*(day for day in open_days_in(self._documents.names(self._paths.folder)) if day < today), today]

    def _samples(self, day: str) -> list[str]:
        return self._paths.samples_in(day, self._documents.names(self._paths.day(day)))

    def _read(self, path: str) -> Look:
        return read_record(self._documents, path, Look)


class WatchEvents:
    """What the watch has seen of one cluster, by names that are in order as time is."""

    def __init__(self, documents: Documents, cluster: str) -> None:
        self._documents = documents
        self._paths = ClusterPaths(cluster).watch

    def write(self, now: dt.datetime, event: LevelChange | BurstReport) -> None:
        """Keep what has happened."""
        kind = EventKind.BURST if isinstance(event, BurstReport) else EventKind(event.measure.value)
        write_record(self._documents, self._paths.event(event_name(now, kind)), event, indent=None)

    def names(self, kinds: Iterable[EventKind] = EventKind, since: dt.datetime | None = None) -> list[str]:
        """The names of events of these kinds, the earliest first; all, or those since then."""
        first = "" if since is None else event_time(since)
        return [name for name in events_in(self._documents.names(self._paths.events), kinds) if name >= first]

    def level(self, name: str) -> LevelChange:
        """A level that was reached or left."""
        return read_record(self._documents, self._paths.event(name), LevelChange)

    def burst(self, name: str) -> BurstReport:
        """A burst."""
        return read_record(self._documents, self._paths.event(name), BurstReport)
