"""Amounts in a policy file: percentages, keys, sizes, rates, whole numbers."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from redis_ttl.adapters.policy_files.leaves.leaf import did_you_mean, leaf, refuse, whole_number
from redis_ttl.domain.audit.databases import MAX_DATABASE, parse_databases
from redis_ttl.domain.audit.shards import MOST_SHARDS
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.keys.pattern import shown
from redis_ttl.domain.policy.load import LOAD_EXPECTED, LoadKind, parse_load
from redis_ttl.domain.policy.rate import RATE_EXPECTED, parse_rate
from redis_ttl.domain.policy.written import KEYS_PER_S

MAX_PARALLEL: Final = 64
DATABASES: Final = f"all, a number from 0 to {MAX_DATABASE}, or several as in 0,3"
MAX_KEYS: Final = 1_000_000_000
MAX_APPROVALS: Final = 2
MAX_FREQ: Final = 255
"""What an LFU counter can come to."""


MAX_FACTOR: Final = 1000.0


def _databases(value: str) -> tuple[int, ...] | Literal["all"]:
    try:
        return parse_databases(value, default=0, where="db")
    except BadInput as error:
        raise ValueError from error


_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?")
_ALL_PERCENT = 100


def _percent(value: str) -> float:
    match = _PERCENT.fullmatch(value)
    if not match:
        refuse(shown(value), None, _percent_advice(value))
    percent = float(match[1])
    if percent > _ALL_PERCENT:
        raise ValueError
    return percent


def _percent_advice(value: str) -> str | None:
    if not NUMBER.fullmatch(value) or float(value) > _ALL_PERCENT:
        return None
    is_fraction = "." in value and float(value) <= 1
    percent = float(value) * (_ALL_PERCENT if is_fraction else 1)
    return f"Write {percent:g}%"


def _ratio(value: str) -> float:
    return _percent(value) / _ALL_PERCENT


def ratio_above_zero(value: str) -> float:
    """A percentage, as a fraction of 1."""
    ratio = _ratio(value)
    if not ratio:
        refuse(shown(value), "a percentage above 0%", None)
    return ratio


def _usd(value: str) -> float:
    if not NUMBER.fullmatch(value) or not float(value):
        advice = "Leave out currency signs and thousands separators" if set(value) & set("$,_ ") else None
        refuse(shown(value), None, advice)
    return float(value)


def _load(value: str) -> str:
    try:
        parse_load(value)
    except BadInput:
        refuse(shown(value), None, did_you_mean(value, LoadKind))
    return value


def _rate(value: str) -> str:
    try:
        parse_rate(value)
    except BadInput:
        refuse(shown(value), None, f"Write {value}/s" if re.fullmatch(KEYS_PER_S, value) else None)
    return value


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


def size_bytes(value: str) -> int:
    """A size with its unit."""
    match = _SIZE.fullmatch(value)
    if not match:
        advice = "A bare number doesn't say its unit" if value.isdecimal() else None
        refuse(shown(value), None, advice)
    return int(match[1]) << 10 * _SIZE_UNITS[match[2][0]]


_TIMES = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,3})?)x")


def _factor(value: str) -> float:
    match = _TIMES.fullmatch(value)
    if not match:
        refuse(shown(value), None, f"Write {value}x" if NUMBER.fullmatch(value) else None)
    if not 1 < float(match[1]) <= MAX_FACTOR:
        raise ValueError
    return float(match[1])


A_PERCENTAGE = "a percentage from 0% to 100%"


Ratio = Annotated[float, leaf(_ratio, A_PERCENTAGE)]
RatioAboveZero = Annotated[float, leaf(ratio_above_zero, A_PERCENTAGE)]
Percent = Annotated[float, leaf(_percent, A_PERCENTAGE)]
UsDollars = Annotated[float, leaf(_usd, "a number of US dollars above zero, as in 135")]


LoadText = Annotated[str, leaf(_load, LOAD_EXPECTED)]
Shards = Annotated[int | Literal["auto"], whole_number(1, MOST_SHARDS, "auto")]
Parallel = Annotated[int, whole_number(1, MAX_PARALLEL)]


Databases = Annotated[tuple[int, ...] | Literal["all"], leaf(_databases, DATABASES)]


RateText = Annotated[str, leaf(_rate, RATE_EXPECTED)]


KeyCount = Annotated[int, leaf(_keys, f"a number of keys from 1 to {MAX_KEYS:,}")]
DriftKeys = Annotated[int, leaf(_keys_or_none, f"a number of keys from 0 to {MAX_KEYS:,}, or none")]
Approvals = Annotated[int, whole_number(1, MAX_APPROVALS)]
Freq = Annotated[int, whole_number(0, MAX_FREQ)]


SizeBytes = Annotated[int, leaf(size_bytes, "a size with a unit: B, KB, MB or GB, as in 64MB")]
Factor = Annotated[float, leaf(_factor, f"how many times, more than 1x and at most {MAX_FACTOR:g}x, as in 5x")]
