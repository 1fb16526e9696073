"""What a single text in a policy file may be, and the value that it becomes. Knows nothing of the entries around it.

Each type below reads one text: it returns the value, or says what it found, what it expected and often what to write
instead. pydantic carries that as an error of type ``MISTAKE``.
"""

from __future__ import annotations

import datetime as dt
import difflib
import itertools
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Final, Literal, NoReturn
from zoneinfo import ZoneInfo, available_timezones

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from redis_ttl.domain.audit.databases import MAX_DATABASE, parse_databases
from redis_ttl.domain.audit.shards import MOST_SHARDS
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.keys.pattern import KeyPattern, shown
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.duration import EXPECTED as DURATION
from redis_ttl.domain.policy.duration import format_duration, parse_duration
from redis_ttl.domain.policy.load import LOAD_EXPECTED, LoadKind, parse_load
from redis_ttl.domain.policy.policy import Language, Priority, QuietHours
from redis_ttl.domain.policy.rate import RATE_EXPECTED, parse_rate
from redis_ttl.domain.policy.written import KEYS_PER_S

MISTAKE: Final = "policy_mistake"
"""The type of these errors; their context has ``found``, ``expected`` and ``advice``."""

MAX_TTL_S: Final = 3650 * 86_400
MAX_PARALLEL: Final = 64
DATABASES: Final = f"all, a number from 0 to {MAX_DATABASE}, or several as in 0,3"
MAX_KEYS: Final = 1_000_000_000
MAX_APPROVALS: Final = 2
MAX_FREQ: Final = 255
"""What an LFU counter can come to."""
MAX_FACTOR: Final = 1000.0
MAX_WORDS: Final = 500
MAX_NAME: Final = 100
"""Airflow's limit for a tag, which a team's name becomes."""
_COMPARED: Final = 700
_COMPARED_CHARACTERS: Final = 40
"""Names that a misspelt one is compared with, and how long they may be: comparing long ones takes for ever."""


def describe(value: object) -> str:
    """What a document holds at some place, in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return shown(value) if value.strip() else "an empty text"
    return "a list" if isinstance(value, list) else "a mapping"


def did_you_mean(word: str, names: Iterable[str]) -> str | None:
    """A question with the name that the word most looks like, if it looks like one."""
    if len(word) > _COMPARED_CHARACTERS:
        return None
    few = itertools.islice(names, _COMPARED)
    by_folded = {name.casefold(): name for name in few if len(name) <= _COMPARED_CHARACTERS}
    close = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"Did you mean `{by_folded[close[0]]}`?" if close else None


def mistake(found: str, expected: str, advice: str | None) -> PydanticCustomError:
    """An error for pydantic to carry."""
    context = {"found": found, "expected": expected, "advice": advice}
    return PydanticCustomError(MISTAKE, "found {found}; expected {expected}", context)


def _leaf(read: Callable[[str], object], expected: str) -> PlainValidator:
    """Reads one text. A reader's ``ValueError`` means that it isn't what was expected; its ``BadInput`` says more."""

    def validate(value: object) -> object:
        if not isinstance(value, str) or not value.strip():
            in_flow = isinstance(value, list | dict)
            raise mistake(describe(value), expected, "Quote a text that begins with { or [" if in_flow else None)
        try:
            return read(value)
        except BadInput as error:
            raise mistake(error.found or shown(value), error.allowed or expected, error.todo) from error
        except ValueError as error:
            raise mistake(shown(value), expected, None) from error

    return PlainValidator(validate)


def _refuse(found: str, expected: str | None, advice: str | None) -> NoReturn:
    raise BadInput("not usable", found=found, allowed=expected, todo=advice)


def _databases(value: str) -> tuple[int, ...] | Literal["all"]:
    try:
        return parse_databases(value, default=0, where="db")
    except BadInput as error:
        raise ValueError from error


def _matching(regex: str) -> Callable[[str], str]:
    compiled = re.compile(regex)

    def read(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError
        return value

    return read


def _choice(*names: str) -> PlainValidator:
    def read(value: str) -> str:
        if value not in names:
            _refuse(shown(value), None, did_you_mean(value, names))
        return value

    return _leaf(read, f"{', '.join(names[:-1])} or {names[-1]}")


def _whole_number(least: int, most: int, *words: str) -> PlainValidator:
    def read(value: str) -> int | str:
        if value in words:
            return value
        number = int(_matching("[0-9]{1,9}")(value))
        if not least <= number <= most:
            raise ValueError
        return number

    return _leaf(read, ", or ".join([*words, f"a whole number from {least} to {most}"]))


def _words(meaning: str, at_most: int = MAX_WORDS) -> PlainValidator:
    def read(value: str) -> str:
        if len(value) > at_most:
            _refuse(f"{len(value)} characters", f"{meaning} in at most {at_most} characters", None)
        if not value.isprintable():
            _refuse(shown(value), f"{meaning} on one line", None)
        return value.strip()

    return _leaf(read, meaning)


_cluster_name = _matching(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_NAME - 1}}}")


def _cluster(value: str) -> str:
    try:
        return _cluster_name(value)
    except ValueError:
        _refuse(shown(value), None, "It becomes part of DAG ids and the name of a folder")


_connection_id = _matching(r"[A-Za-z0-9_.-]{1,200}")


def _connection(value: str) -> str:
    if "://" in value:
        # Not shown: it may hold a password, and mistakes end up in logs.
        _refuse("a URL", None, "Make an Airflow connection of it and write that id; passwords don't belong in a policy")
    return _connection_id(value)


def _ttl(value: str) -> int:
    seconds = parse_duration(value)
    if seconds > MAX_TTL_S:
        advice = "Keys that may stay for longer want an exemption, not a TTL"
        _refuse(shown(value), f"at most {format_duration(MAX_TTL_S)}", advice)
    return seconds


_HOUR_S: Final = 3_600


def _an_hour_at_least(value: str) -> int:
    seconds = _ttl(value)
    if seconds < _HOUR_S:
        _refuse(shown(value), "an hour or more", "The same fact told more often is noise")
    return seconds


_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_ALL_PERCENT = 100


def _percent(value: str) -> float:
    match = _PERCENT.fullmatch(value)
    if not match:
        _refuse(shown(value), None, _percent_advice(value))
    percent = float(match[1])
    if percent > _ALL_PERCENT:
        raise ValueError
    return percent


def _percent_advice(value: str) -> str | None:
    if not _NUMBER.fullmatch(value) or float(value) > _ALL_PERCENT:
        return None
    is_fraction = "." in value and float(value) <= 1
    percent = float(value) * (_ALL_PERCENT if is_fraction else 1)
    return f"Write {percent:g}%"


def _ratio(value: str) -> float:
    return _percent(value) / _ALL_PERCENT


def _ratio_above_zero(value: str) -> float:
    ratio = _ratio(value)
    if not ratio:
        _refuse(shown(value), "a percentage above 0%", None)
    return ratio


def _usd(value: str) -> float:
    if not _NUMBER.fullmatch(value) or not float(value):
        advice = "Leave out currency signs and thousands separators" if set(value) & set("$,_ ") else None
        _refuse(shown(value), None, advice)
    return float(value)


_clock = _matching("([01][0-9]|2[0-3]):[0-5][0-9]")
_YES_OR_NO: Final = {"yes": True, "no": False}


def _time_of_day(value: str) -> dt.time:
    return dt.time.fromisoformat(_clock(value))


def _quiet_hours(value: str) -> QuietHours:
    begin, dash, end = value.partition("-")
    hours = QuietHours(_time_of_day(begin.strip()), _time_of_day(end.strip()))
    if not dash or hours.begin == hours.end:
        raise ValueError
    return hours


def _yes_or_no(value: str) -> bool:
    if value not in _YES_OR_NO:
        raise ValueError
    return _YES_OR_NO[value]


_iso_date = _matching(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _date(value: str) -> dt.date:
    return dt.date.fromisoformat(_iso_date(value))


_slack_channel = _matching(r"#[^\s#@,<>:]{1,80}|[CG][A-Z0-9]{8,}")


def _slack(value: str) -> str:
    try:
        return _slack_channel(value)
    except ValueError:
        _refuse(shown(value), None, None if value.startswith("#") else f'Write "#{value}", with the quotes')


_PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
_CRON_FIELDS = 5


def _schedule(value: str) -> str | None:
    if value == "none":
        return None
    if value in _PRESETS:
        return value
    if value.startswith("@"):
        _refuse(shown(value), None, did_you_mean(value, _PRESETS))
    fields = len(value.split())
    if fields != _CRON_FIELDS:
        _refuse(shown(value) if fields == 1 else f"{shown(value)}, which has {fields} fields", None, None)
    # Late: it takes longer to import than a policy to read, and Airflow has it already where there are schedules.
    from croniter import CroniterBadDateError, CroniterError, croniter  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        croniter(value, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)).get_next()
    except CroniterBadDateError:
        _refuse(shown(value), None, "No day ever matches it")
    except (CroniterError, ValueError):
        _refuse(shown(value), None, "A field is misspelt or out of range")
    return value


def _job_schedule(value: str) -> str:
    schedule = _schedule(value)
    if schedule is None:
        raise ValueError
    return schedule


def _timezone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, LookupError):
        _refuse(shown(value), None, did_you_mean(value, sorted(available_timezones())))


def _load(value: str) -> str:
    try:
        parse_load(value)
    except BadInput:
        _refuse(shown(value), None, did_you_mean(value, LoadKind))
    return value


def _rate(value: str) -> str:
    try:
        parse_rate(value)
    except BadInput:
        _refuse(shown(value), None, f"Write {value}/s" if re.fullmatch(KEYS_PER_S, value) else None)
    return value


def _span(value: str) -> int:
    if value in ("none", "0s"):
        return 0
    try:
        return parse_duration(value)
    except BadInput as error:
        _refuse(error.found or shown(value), f"{error.allowed}, or none", error.todo)


_GROUPED = re.compile(r"[0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]{1,10}")


def _keys(value: str) -> int:
    if not _GROUPED.fullmatch(value):
        raise ValueError
    keys = int(value.replace(",", "").replace("_", ""))
    if not 1 <= keys <= MAX_KEYS:
        raise ValueError
    return keys


def _keys_or_none(value: str) -> int:
    return 0 if value in ("none", "0") else _keys(value)


_SIZE = re.compile(r"([0-9]{1,9}) ?(B|KB|MB|GB|KiB|MiB|GiB)")
_SIZE_UNITS = {"B": 0, "K": 1, "M": 2, "G": 3}


def _size(value: str) -> int:
    match = _SIZE.fullmatch(value)
    if not match:
        advice = "A bare number doesn't say its unit" if value.isdecimal() else None
        _refuse(shown(value), None, advice)
    return int(match[1]) << 10 * _SIZE_UNITS[match[2][0]]


_PER_SECOND = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)/s")


def _per_second(value: str) -> float:
    match = _PER_SECOND.fullmatch(value)
    if not match:
        advice = f"Write {value}/s" if _NUMBER.fullmatch(value) else None
        _refuse(shown(value), None, advice)
    return float(match[1])


#: Says that there is no such guard, because the server hides what it needs.
UNGUARDED: Final = "unguarded"
Unguarded = Literal["unguarded"]


def _or_unguarded(read: Callable[[str], object]) -> Callable[[str], object]:
    """The same reader, which lets a policy do without the guard."""
    return lambda value: UNGUARDED if value == UNGUARDED else read(value)


def _no_guard(value: str) -> str:
    if value != UNGUARDED:
        raise ValueError(value)
    return value


_TIMES = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)x")


def _factor(value: str) -> float:
    match = _TIMES.fullmatch(value)
    if not match:
        _refuse(shown(value), None, f"Write {value}x" if _NUMBER.fullmatch(value) else None)
    if not 1 < float(match[1]) <= MAX_FACTOR:
        raise ValueError
    return float(match[1])


_user_name = _matching(r"[^\s,;:/\\]{1,200}")


_A_CLUSTER = f"a name of letters, digits, `-`, `_` and `.`, at most {MAX_NAME}, beginning with a letter or digit"
_A_CONNECTION = "the id of an Airflow connection: letters, digits, `_`, `-` and `.`"
_A_PERCENTAGE = "a percentage from 0% to 100%"
_AN_ADDRESS = "one e-mail address, as in team@example.com"
_ADDRESS = r"[^\s@<>(),;:\"\[\]\\]{1,64}@(?=.{1,253}$)(?:\w(?:[\w-]{0,61}\w)?\.)+[^\W\d_][\w-]{0,61}\w"
_A_SCHEDULE = 'five cron fields as in "0 19 * * *", a preset such as @daily, or none'

ClusterName = Annotated[str, _leaf(_cluster, _A_CLUSTER)]
ConnectionId = Annotated[str, _leaf(_connection, _A_CONNECTION)]
Team = Annotated[str, _words("the name of a team", MAX_NAME)]
SlackChannel = Annotated[str, _leaf(_slack, 'a Slack channel, as in "#team"')]
EmailAddress = Annotated[str, _leaf(_matching(_ADDRESS), _AN_ADDRESS)]
LanguageName = Annotated[str, _choice(*Language)]
TimeOfDay = Annotated[dt.time, _leaf(_time_of_day, 'a time of day as "HH:MM", as in "09:00"')]
Quiet = Annotated[QuietHours, _leaf(_quiet_hours, "from when to when, as in 22:00-08:00")]
YesOrNo = Annotated[bool, _leaf(_yes_or_no, "yes or no")]
Ratio = Annotated[float, _leaf(_ratio, _A_PERCENTAGE)]
RatioAboveZero = Annotated[float, _leaf(_ratio_above_zero, _A_PERCENTAGE)]
Percent = Annotated[float, _leaf(_percent, _A_PERCENTAGE)]
UsDollars = Annotated[float, _leaf(_usd, "a number of US dollars above zero, as in 135")]
Note = Annotated[str, _words("a few words")]
Schedule = Annotated[str | None, _leaf(_schedule, _A_SCHEDULE)]
JobSchedule = Annotated[str, _leaf(_job_schedule, 'five cron fields as in "30 13 * * *", or a preset such as @daily')]
JobName = Annotated[str, _words("the name of a job", MAX_NAME)]
TimeZone = Annotated[str, _leaf(_timezone, "an IANA time zone, as in Asia/Shanghai")]
LoadText = Annotated[str, _leaf(_load, LOAD_EXPECTED)]
Shards = Annotated[int | Literal["auto"], _whole_number(1, MOST_SHARDS, "auto")]
Parallel = Annotated[int, _whole_number(1, MAX_PARALLEL)]
PoolName = Annotated[str, _words("the name of an Airflow pool", MAX_NAME)]
Databases = Annotated[tuple[int, ...] | Literal["all"], _leaf(_databases, DATABASES)]
Source = Annotated[Literal["primary", "replica"], _choice("primary", "replica")]
RateText = Annotated[str, _leaf(_rate, RATE_EXPECTED)]
Duration = Annotated[int, _leaf(_ttl, DURATION)]
Interval = Annotated[int, _leaf(_an_hour_at_least, DURATION)]
Span = Annotated[int, _leaf(_span, f"{DURATION}, or none")]
KeyCount = Annotated[int, _leaf(_keys, f"a number of keys from 1 to {MAX_KEYS:,}")]
DriftKeys = Annotated[int, _leaf(_keys_or_none, f"a number of keys from 0 to {MAX_KEYS:,}, or none")]
Approvals = Annotated[int, _whole_number(1, MAX_APPROVALS)]
Freq = Annotated[int, _whole_number(0, MAX_FREQ)]
UserName = Annotated[str, _leaf(_user_name, "the name of an Airflow user")]
SizeBytes = Annotated[int, _leaf(_size, "a size with a unit: B, KB, MB or GB, as in 64MB")]
Factor = Annotated[float, _leaf(_factor, f"how many times, more than 1x and at most {MAX_FACTOR:g}x, as in 5x")]
GuardRatio = Annotated[float | Unguarded, _leaf(_or_unguarded(_ratio_above_zero), f"{_A_PERCENTAGE}, or {UNGUARDED}")]
GuardPerSecond = Annotated[
    float | Unguarded, _leaf(_or_unguarded(_per_second), f"how many a second, as in 0/s or 1.5/s, or {UNGUARDED}")
]
GuardSizeBytes = Annotated[
    int | Unguarded, _leaf(_or_unguarded(_size), f"a size with a unit: B, KB, MB or GB, as in 64MB, or {UNGUARDED}")
]
GuardDuration = Annotated[int | Unguarded, _leaf(_or_unguarded(_ttl), f"{DURATION}, or {UNGUARDED}")]
NoGuard = Annotated[Unguarded, _leaf(_no_guard, f"{UNGUARDED}; this guard has no bound to set")]
PatternText = Annotated[KeyPattern, _leaf(KeyPattern, "a pattern such as user:{userId}")]
Ttl = Annotated[int, _leaf(_ttl, DURATION)]
ModeName = Annotated[str, _choice(*Mode)]
PriorityName = Annotated[str, _choice(*Priority)]
Date = Annotated[dt.date, _leaf(_date, "a date of the calendar as YYYY-MM-DD, as in 2026-02-20")]
Person = Annotated[str, _words("the name of the person who agreed")]
Reference = Annotated[str, _words("a ticket or a link")]
Reason = Annotated[str, _words("why these keys are never touched")]
