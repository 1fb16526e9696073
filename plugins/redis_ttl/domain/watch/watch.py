"""What is seen of a cluster every few minutes without a scan, and what it means: levels, bursts, and what was out of order.

Only figures and decisions: who asks the server, and where samples lie, is not known here. Moments are ISO 8601, ratios
fractions of 1. What judges is robust against a few odd samples: medians, and deviations from them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from redis_ttl.domain.audit.node_memory import Fullest, NodeMemory, NodesMemory
from redis_ttl.domain.audit.server import exchanges_text, exchanging_calls
from redis_ttl.domain.schema import fields_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from redis_ttl.domain.policy.policy import Policy, WatchSettings

#: 2 added ``limit_is_told``, and figures that may be null.
SAMPLE_SCHEMA: Final = "redis_ttl.watch_sample/2"
#: 2 added ``limit_is_told`` and ``fullest``, and figures that may be null.
EVENT_SCHEMA: Final = "redis_ttl.watch_event/2"

#: Samples further apart than this many intervals are a gap, and say nothing of the time between.
_GAP_INTERVALS: Final = 2.5
#: Two looks that are closer than this are a retry of one: scaled to an interval, their difference would be noise.
_LEAST_INTERVALS: Final = 0.5
#: How far below its threshold a figure must be, and how often in a row, before its level sinks: a share of the limit.
_CALM_RATIO: Final = 0.02
_CALM_SAMPLES: Final = 3
#: Growth is a burst beyond the median of that hour's former growth by so many robust standard deviations.
_DEVIATIONS: Final = 8.0
#: Makes a median of absolute deviations a standard deviation, for normal noise.
_MAD_TO_SIGMA: Final = 1.4826
#: So many former samples of that hour make a history.
_HISTORY_SAMPLES: Final = 12
_HOUR_AROUND: Final = dt.timedelta(hours=1)
_DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class NodeSample:
    """One INFO of one primary. Counters count since the process started; what INFO leaves out is None.

    ``limit_bytes`` is None without a limit, too: ``limit_is_told`` tells the two apart.
    """

    address: str
    run_id: str
    keys: int | None
    expires: int | None
    used_bytes: int | None
    limit_bytes: int | None = None
    eviction_policy: str | None = None
    uptime_s: int | None = None
    evicted_keys: int | None = None
    expired_keys: int | None = None
    hits: int | None = None
    misses: int | None = None
    expire_cap_hits: int | None = None
    stale_percent: float | None = None
    fragmentation: float | None = None
    clients: int | None = None
    calls: Mapping[str, int] = field(default_factory=dict)
    """How often each command was called, by its name."""
    limit_is_told: bool = True

    @property
    def no_ttl_keys(self) -> int | None:
        """Keys without a TTL, by the server's own count."""
        return None if self.keys is None or self.expires is None else self.keys - self.expires

    @property
    def hit_ratio(self) -> float | None:
        """The share of look-ups that found their key, since the process started; None before the first."""
        if self.hits is None or self.misses is None or not self.hits + self.misses:
            return None
        return self.hits / (self.hits + self.misses)

    @property
    def limit_text(self) -> str:
        """What it may use, in words."""
        if self.limit_bytes is not None:
            return f"{self.limit_bytes} bytes"
        return "no limit" if self.limit_is_told else "unknown"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Sample:
    """All primaries of a cluster at one moment; ``policy_limit_bytes`` counts where a server has no maxmemory, or doesn't tell it.

    A sum is None where one of the nodes doesn't tell: a part of it is no figure of the whole.
    """

    at: str
    nodes: tuple[NodeSample, ...]
    policy_limit_bytes: int | None = None

    @property
    def moment(self) -> dt.datetime:
        """When it was taken."""
        return dt.datetime.fromisoformat(self.at)

    @property
    def keys(self) -> int | None:
        """Keys of all nodes and databases."""
        return _sum(node.keys for node in self.nodes)

    @property
    def no_ttl_keys(self) -> int | None:
        """Those without a TTL, by the servers' own count."""
        return _sum(node.no_ttl_keys for node in self.nodes)

    @property
    def no_ttl_ratio(self) -> float | None:
        """Their share."""
        if self.keys is None or self.no_ttl_keys is None:
            return None
        return self.no_ttl_keys / self.keys if self.keys else 0.0

    @property
    def memory(self) -> NodesMemory:
        """Memory of the nodes, each with the limit that counts."""
        return NodesMemory(
            tuple(
                NodeMemory(
                    node.address,
                    node.used_bytes,
                    node.limit_bytes or self.policy_limit_bytes,
                    node.limit_is_told or self.policy_limit_bytes is not None,
                )
                for node in self.nodes
            )
        )

    @property
    def used_bytes(self) -> int | None:
        """Memory in use on all nodes."""
        return self.memory.used_bytes

    @property
    def limit_bytes(self) -> int | None:
        """The limits of all nodes together: maxmemory, or the policy's limit of a node that has none; None without either."""
        return self.memory.limit_bytes

    @property
    def memory_ratio(self) -> float | None:
        """Memory in use as a share of the limit, over all nodes."""
        return self.memory.ratio

    @property
    def evicted_keys(self) -> int | None:
        """Keys evicted since the processes started."""
        return _sum(node.evicted_keys for node in self.nodes)

    @property
    def expire_cap_hits(self) -> int | None:
        """How often servers had no time left for removing expired keys, since the processes started."""
        return _sum(node.expire_cap_hits for node in self.nodes)

    @property
    def clients(self) -> int | None:
        """Connections."""
        return _sum(node.clients for node in self.nodes)

    @property
    def hit_ratio(self) -> float | None:
        """The share of look-ups that found their key, since the processes started; None before the first."""
        hits, misses = _sum(node.hits for node in self.nodes), _sum(node.misses for node in self.nodes)
        return None if hits is None or misses is None or not hits + misses else hits / (hits + misses)

    @property
    def stale_ratio(self) -> float | None:
        """The share of keys with a TTL that have expired and are there still, as the worst server estimates it."""
        known = [node.stale_percent / 100 for node in self.nodes if node.stale_percent is not None]
        return max(known, default=None)

    @property
    def fragmentation(self) -> float | None:
        """Memory that the process has of the system for each byte in use, of the worst server."""
        return max((node.fragmentation for node in self.nodes if node.fragmentation is not None), default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return {
            "at": self.at,
            "nodes": [node.to_json() for node in self.nodes],
            "policy_limit_bytes": self.policy_limit_bytes,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sample:
        """The sample that :meth:`to_json` wrote."""
        return cls(data["at"], tuple(NodeSample(**node) for node in data["nodes"]), data["policy_limit_bytes"])


class Measure(StrEnum):
    """What has levels, and what can burst."""

    MEMORY = "memory"
    NO_TTL = "no_ttl"
    KEYS = "keys"


class Level(StrEnum):
    """How bad it is; in the order of their badness."""

    OK = "ok"
    WARN = "warn"
    CRITICAL = "critical"


_LEVELS: Final = tuple(Level)


@dataclass(frozen=True, slots=True)
class LevelState:
    """The level that was told last, since when, and for how many samples in a row the figure has been well below it."""

    level: Level = Level.OK
    since: str | None = None
    calm: int = 0

    def is_above(self, other: LevelState) -> bool:
        """Whether it is a worse level."""
        return _LEVELS.index(self.level) > _LEVELS.index(other.level)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"level": self.level.value, "since": self.since, "calm": self.calm}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LevelState:
        """The state that :meth:`to_json` wrote."""
        return cls(Level(data["level"]), data["since"], data["calm"])


def next_level(state: LevelState, ratio: float | None, thresholds: Mapping[Level, float], at: str) -> LevelState:
    """The level after one more sample. It rises at once and sinks only when the figure has stayed clearly below its threshold:
    a value that dances around it is one message. A figure that nobody knows changes nothing.
    """
    if ratio is None:
        return state
    reached = max((level for level, bound in thresholds.items() if ratio >= bound), key=_LEVELS.index, default=Level.OK)
    if _LEVELS.index(reached) > _LEVELS.index(state.level):
        return LevelState(reached, at)
    if reached is state.level or ratio >= thresholds.get(state.level, 0.0) - _CALM_RATIO:
        return replace(state, calm=0)
    if state.calm + 1 < _CALM_SAMPLES:
        return replace(state, calm=state.calm + 1)
    return LevelState(reached, at)


@dataclass(frozen=True, slots=True)
class Growth:
    """How a figure grew from one sample to the next, scaled to one interval."""

    at: str
    keys: float | None
    used_bytes: float | None
    no_ttl_keys: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """What is kept of a sample for later ones. ``growth`` is None where it couldn't be compared with the one before."""

    at: str
    keys: int | None
    no_ttl_keys: int | None
    used_bytes: int | None
    limit_bytes: int | None
    growth: Growth | None

    @property
    def moment(self) -> dt.datetime:
        """When it was taken."""
        return dt.datetime.fromisoformat(self.at)

    def to_json(self) -> list[Any]:
        """Plain data, short: a day has three hundred of them."""
        grown = None if self.growth is None else [self.growth.keys, self.growth.used_bytes, self.growth.no_ttl_keys]
        return [self.at, self.keys, self.no_ttl_keys, self.used_bytes, self.limit_bytes, grown]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Point:
        """The point that :meth:`to_json` wrote."""
        at, keys, no_ttl_keys, used_bytes, limit_bytes, grown = data
        return cls(at, keys, no_ttl_keys, used_bytes, limit_bytes, None if grown is None else Growth(at, *grown))

    @classmethod
    def of(cls, sample: Sample, grown: Growth | None) -> Point:
        """What is kept of this sample."""
        return cls(sample.at, sample.keys, sample.no_ttl_keys, sample.used_bytes, sample.limit_bytes, grown)


class OddityKind(StrEnum):
    """What makes a sample not comparable with the one before, or the nodes with each other."""

    GAP = "samples are missing"
    RESTART = "a server was restarted"
    FAILOVER = "another server answers"
    LIMIT = "maxmemory has changed"
    EXCHANGE = "a data set may have been exchanged"
    CLOCK = "the clock went back"
    DISAGREE = "nodes have different settings"


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something that explains a jump, so that it isn't taken for a burst."""

    kind: OddityKind
    what: str

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return {"kind": self.kind.value, "what": self.what}


def oddities(before: Sample | None, now: Sample, interval_s: float) -> tuple[Oddity, ...]:
    """What is out of order between two samples, and among the nodes of the later one."""
    found = [] if before is None else _between(before, now, interval_s)
    for name, told in (
        ("limit", {node.limit_text for node in now.nodes}),
        ("eviction policy", {node.eviction_policy or "unknown" for node in now.nodes}),
    ):
        if len(told) > 1:
            found.append(Oddity(OddityKind.DISAGREE, f"{name}: {', '.join(sorted(told))}"))
    return tuple(found)


def _between(before: Sample, now: Sample, interval_s: float) -> list[Oddity]:
    found = []
    apart_s = (now.moment - before.moment).total_seconds()
    if apart_s > _GAP_INTERVALS * interval_s:
        missing = round(apart_s / interval_s) - 1
        found.append(Oddity(OddityKind.GAP, f"{missing} samples since {before.at}"))
    if apart_s < 0:
        found.append(Oddity(OddityKind.CLOCK, f"the look before was made {-apart_s:,.0f} s from now"))
    earlier = {node.address: node for node in before.nodes}
    for node in now.nodes:
        known = earlier.get(node.address)
        if known is None:
            found.append(Oddity(OddityKind.FAILOVER, f"{node.address} answers, which didn't before"))
        elif known.run_id != node.run_id or _went_back(known, node):
            found.append(Oddity(OddityKind.RESTART, f"{node.address} is another process"))
        elif calls := exchanging_calls(known.calls, node.calls):
            found.append(Oddity(OddityKind.EXCHANGE, f"{node.address}: {exchanges_text(calls)}"))
        if known is not None and known.limit_text != node.limit_text:
            found.append(Oddity(OddityKind.LIMIT, f"{node.address}: {known.limit_text} to {node.limit_text}"))
    gone = sorted(set(earlier) - {node.address for node in now.nodes})
    if gone:
        found.append(Oddity(OddityKind.FAILOVER, f"{', '.join(gone)} doesn't answer as a primary any more"))
    return found


def growth(before: Sample | None, now: Sample, interval_s: float) -> Growth | None:
    """How the figures grew, for each interval; None where the two can't be compared. A gap alone only makes it a mean."""
    if before is None:
        return None
    kinds = {oddity.kind for oddity in oddities(before, now, interval_s)}
    if kinds & {OddityKind.RESTART, OddityKind.FAILOVER}:
        return None
    intervals = (now.moment - before.moment).total_seconds() / interval_s
    if intervals < _LEAST_INTERVALS:
        return None
    return Growth(
        now.at,
        _apart(before.keys, now.keys, intervals),
        _apart(before.used_bytes, now.used_bytes, intervals),
        _apart(before.no_ttl_keys, now.no_ttl_keys, intervals),
    )


@dataclass(frozen=True, slots=True)
class Excess:
    """A figure that grows as it never did at this hour: by ``grown`` in an interval, where ``usual`` is the median and
    ``bound`` what would still pass. ``by_history`` is False where there was none, and fixed bounds were taken.
    """

    measure: Measure
    grown: float
    usual: float
    bound: float
    by_history: bool


def excess(now: Growth, history: Iterable[Point], settings: WatchSettings, sample: Sample) -> tuple[Excess, ...]:
    """What grows far beyond this hour's history; by absolute bounds while there is less than a day of it."""
    moment = dt.datetime.fromisoformat(now.at)
    same_hour = [each.growth for each in history if each.growth is not None and _is_same_hour(each.moment, moment)]
    least = {
        Measure.KEYS: max(settings.burst_keys, settings.burst_ratio * (sample.keys or 0)),
        Measure.MEMORY: max(
            settings.burst_bytes, settings.burst_ratio * (sample.limit_bytes or sample.used_bytes or 0)
        ),
        Measure.NO_TTL: max(settings.burst_no_ttl_keys, settings.burst_ratio * (sample.no_ttl_keys or 0)),
    }
    found = []
    for measure, name in _GROWS.items():
        grown = getattr(now, name)
        if grown is None:
            continue
        former = [value for each in same_hour if (value := getattr(each, name)) is not None]
        by_history = len(former) >= _HISTORY_SAMPLES
        usual = median(former) if by_history else 0.0
        deviation = median(abs(value - usual) for value in former) * _MAD_TO_SIGMA if by_history else 0.0
        # Without history, the usual growth isn't known, so only what is large in itself counts.
        bound = usual + max(_DEVIATIONS * deviation, least[measure]) if by_history else 2 * least[measure]
        if grown > bound:
            found.append(Excess(measure, grown, usual, bound, by_history))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class PatternGrowth:
    """A pattern among the keys sampled during a burst: its share now with a 95% interval, the keys that this means, and how
    many the last audit knew. ``ttl_s`` is the median TTL of its sampled keys that have one, ``no_ttl_ratio`` the share without.
    """

    pattern: str
    share: float
    share_low: float
    share_high: float
    keys: int
    keys_low: int
    keys_high: int
    audited_keys: int
    no_ttl_ratio: float
    ttl_s: int | None = None
    examples: tuple[str, ...] = ()

    @property
    def grown_keys(self) -> int:
        """By how many keys it has grown since the audit, as far as can be told."""
        return self.keys - self.audited_keys

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "examples": list(self.examples)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PatternGrowth:
        """What :meth:`to_json` wrote."""
        return cls(**{**data, "examples": tuple(data["examples"])})


@dataclass(frozen=True, slots=True)
class WritingClients:
    """Connections of one name, user and host whose last command writes: how many, and which commands."""

    name: str
    user: str
    host: str
    connections: int
    commands: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**{name: getattr(self, name) for name in self.__slots__}, "commands": list(self.commands)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WritingClients:
        """What :meth:`to_json` wrote."""
        return cls(**{**data, "commands": tuple(data["commands"])})


class NotKnown(StrEnum):
    """What couldn't be found out about a burst."""

    AUDIT = "there is no audit to compare with"
    KEYS = "RANDOMKEY may not be called"
    CLIENTS = "CLIENT LIST may not be called"
    KEYSPACE = "INFO doesn't tell how many keys there are"


@dataclass(frozen=True, slots=True)
class BurstReport:
    """A burst and what is known of its source. Figures are from the sample before it to the one that found it.

    ``calls`` is how often commands that write were called since the sample before; ``jobs`` are DAG runs and declared jobs of
    the policy that overlap. ``missing`` says what couldn't be asked.
    """

    cluster: str
    at: str
    since: str
    keys: int | None
    used_bytes: int | None
    no_ttl_keys: int | None
    keys_per_s: float | None
    sampled: int
    patterns: tuple[PatternGrowth, ...] = ()
    clients: tuple[WritingClients, ...] = ()
    calls: tuple[tuple[str, int], ...] = ()
    jobs: tuple[str, ...] = ()
    audit_id: str | None = None
    missing: tuple[NotKnown, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {
            "schema": EVENT_SCHEMA,
            "kind": "burst",
            **fields,
            "patterns": [each.to_json() for each in self.patterns],
            "clients": [each.to_json() for each in self.clients],
            "calls": [list(each) for each in self.calls],
            "jobs": list(self.jobs),
            "missing": [each.value for each in self.missing],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BurstReport:
        """The report that :meth:`to_json` wrote."""
        kept = fields_of(cls, data, EVENT_SCHEMA)
        return cls(
            **{
                **kept,
                "patterns": tuple(PatternGrowth.from_json(each) for each in data.get("patterns", ())),
                "clients": tuple(WritingClients.from_json(each) for each in data.get("clients", ())),
                "calls": tuple((name, count) for name, count in data.get("calls", ())),
                "jobs": tuple(data.get("jobs", ())),
                "missing": tuple(NotKnown(each) for each in data.get("missing", ())),
            }
        )


@dataclass(frozen=True, slots=True)
class Forecast:
    """The trend of memory, in bytes a day with an interval, and when a level would be reached by it: at the earliest, most
    likely, and at the latest (None: never by that trend). ``days`` of history stand behind it.
    """

    bytes_per_day: float
    low_bytes_per_day: float
    high_bytes_per_day: float
    days: int
    reaches: tuple[tuple[str, str | None, str | None, str | None], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **{name: getattr(self, name) for name in self.__slots__},
            "reaches": [list(each) for each in self.reaches],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Forecast:
        """What :meth:`to_json` wrote."""
        return cls(**{**data, "reaches": tuple(tuple(each) for each in data["reaches"])})


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A measure that has reached another level, or came back. For memory ``ratio`` is that of the fullest node (``fullest`` where there
    are several): a sum that looks fine keeps no node from being full.
    """

    cluster: str
    at: str
    measure: Measure
    level: Level
    before: Level
    ratio: float
    used_bytes: int | None
    limit_bytes: int | None
    keys: int | None
    no_ttl_keys: int | None
    eviction_policy: str | None
    forecast: Forecast | None = None
    scaling_usd_per_month: float | None = None
    scaling_note: str | None = None
    limit_is_told: bool = True
    fullest: Fullest | None = None

    @property
    def is_worse(self) -> bool:
        """Whether it has risen."""
        return _LEVELS.index(self.level) > _LEVELS.index(self.before)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {
            "schema": EVENT_SCHEMA,
            "kind": "level",
            **fields,
            "measure": self.measure.value,
            "level": self.level.value,
            "before": self.before.value,
            "forecast": None if self.forecast is None else self.forecast.to_json(),
            "fullest": None if self.fullest is None else asdict(self.fullest),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LevelChange:
        """The change that :meth:`to_json` wrote."""
        kept = fields_of(cls, data, EVENT_SCHEMA)
        forecast, fullest = data.get("forecast"), data.get("fullest")
        return cls(
            **{
                **kept,
                "measure": Measure(data["measure"]),
                "level": Level(data["level"]),
                "before": Level(data["before"]),
                "forecast": None if forecast is None else Forecast.from_json(forecast),
                "fullest": None if fullest is None else Fullest(**fullest),
            }
        )


def trend(history: Sequence[Point], now: Sample, bounds: Mapping[str, float]) -> Forecast | None:
    """How memory grows from day to day, and when the bounds (bytes, by their names) are reached by it.

    Samples are compared with those of the same time of day on each earlier day, so that a daily cycle cancels out. Each pair of
    days gives the median of its differences; the trend is the median of the pairs (Theil and Sen), its interval twice the robust
    standard error of the differences of neighbouring days. None with less than two days of history.
    """
    if now.used_bytes is None:
        return None
    by_day: dict[int, dict[int, int]] = {}
    for point in (*history, Point.of(now, None)):
        if point.used_bytes is None:
            continue
        apart_s = (now.moment - point.moment).total_seconds()
        by_day.setdefault(int(apart_s // 86_400), {})[int(apart_s % 86_400) // 900] = point.used_bytes
    slopes: list[float] = []
    neighbours: list[float] = []
    days = sorted(by_day)
    for number, later in enumerate(days):
        for earlier in days[number + 1 :]:
            slots = by_day[later].keys() & by_day[earlier].keys()
            if len(slots) < _HISTORY_SAMPLES // 2:
                continue
            change = median(by_day[later][slot] - by_day[earlier][slot] for slot in slots) / (earlier - later)
            slopes.append(change)
            if earlier - later == 1:
                neighbours.append(change)
    if not neighbours:
        return None
    slope = median(slopes)
    spread = median(abs(each - slope) for each in neighbours) * _MAD_TO_SIGMA
    error = 2 * spread / len(neighbours) ** 0.5
    low, high = slope - error, slope + error
    level = now.used_bytes
    reaches = tuple(
        (name, _when(now, level, bound, high), _when(now, level, bound, slope), _when(now, level, bound, low))
        for name, bound in bounds.items()
        if bound > level
    )
    return Forecast(slope, low, high, len(days), reaches)


def thresholds_of(policy: Policy, measure: Measure) -> Mapping[Level, float]:
    """At which shares a measure reaches its levels."""
    if measure is Measure.MEMORY:
        return {Level.WARN: policy.memory.warn_ratio, Level.CRITICAL: policy.memory.critical_ratio}
    return {Level.WARN: policy.no_ttl.warn_ratio}


_GROWS: Final = {Measure.KEYS: "keys", Measure.MEMORY: "used_bytes", Measure.NO_TTL: "no_ttl_keys"}
#: Further away than this, a date is no forecast.
_FAR: Final = dt.timedelta(days=730)


def _when(now: Sample, level: float, bound: float, bytes_per_day: float) -> str | None:
    if bytes_per_day <= 0:
        return None
    days = (bound - level) / bytes_per_day
    return None if days > _FAR.days else (now.moment + dt.timedelta(days=days)).isoformat()


def _is_same_hour(former: dt.datetime, now: dt.datetime) -> bool:
    """Whether it was an earlier day, within an hour of this time of day."""
    apart = now - former
    if apart < _DAY - _HOUR_AROUND:
        return False
    rest = apart % _DAY
    return min(rest, _DAY - rest) <= _HOUR_AROUND


def _went_back(before: NodeSample, now: NodeSample) -> bool:
    """Whether a counter that only rises has fallen: the process was restarted, or its figures were reset."""
    if before.uptime_s is not None and now.uptime_s is not None and now.uptime_s < before.uptime_s:
        return True
    if before.expired_keys is None or now.expired_keys is None:
        return False
    return before.run_id == "" and now.expired_keys < before.expired_keys


def _sum(figures: Iterable[int | None]) -> int | None:
    """None where one of them isn't known."""
    known = list(figures)
    return None if None in known else sum(figure for figure in known if figure is not None)


def _apart(before: int | None, now: int | None, intervals: float) -> float | None:
    """By how much a figure grew in an interval."""
    return None if before is None or now is None else (now - before) / intervals
