"""The trigger form of a remediation: which audit it stands on, which rules it takes, how fast it goes. The policy's own
settings are its defaults.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Param

from redis_ttl.domain.document_ids import ID_PATTERN, check_document_id
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.policy.duration import format_duration, parse_duration
from redis_ttl.domain.policy.load import LOAD_PATTERN, parse_load
from redis_ttl.domain.policy.rate import RATE_PATTERN, parse_rate
from redis_ttl.domain.policy.written import quoted, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.policy.policy import Policy

LATEST: Final = "latest"
_NO_WATCH: Final = "0"
_AUDIT_PATTERN: Final = whole(f"{LATEST}|{ID_PATTERN}")
#: What :func:`watch_of` reads, all of it: no watch, or a duration in the units that :func:`format_duration` writes.
WATCH_PATTERN: Final = whole("0|none|(?=[0-9])(?:[0-9]{1,4}d)?(?:[0-9]{1,4}h)?(?:[0-9]{1,5}m)?(?:[0-9]{1,6}s)?")
_WATCH: Final = re.compile(WATCH_PATTERN)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asked for. ``audit_id`` None is the latest finished audit, ``rules`` None all of them."""

    audit_id: str | None
    rules: tuple[str, ...] | None
    rate: str
    load: str
    canary_watch_s: int


def form_of(policy: Policy) -> dict[str, Param]:
    """The fields of the trigger form, by their names in the run's configuration."""
    remediation = policy.remediation
    watch = format_duration(remediation.canary.watch_s) if remediation.canary.watch_s else _NO_WATCH
    return {
        "audit": Param(
            LATEST,
            type="string",
            pattern=_AUDIT_PATTERN,
            title="Audit",
            description=f"The id of the audit to plan from, or {LATEST}. "
            f"It must be younger than {format_duration(remediation.audit_age_s)}.",
            examples=[LATEST],
        ),
        "rules": Param(
            [],
            type=["null", "array"],
            items=_one_of([rule.pattern.text for rule in policy.rules]),
            uniqueItems=True,
            title="Rules",
            description="Apply only these rules. Empty: all signed-off rules.",
            examples=[rule.pattern.text for rule in policy.rules],
        ),
        "rate": Param(
            remediation.rate,
            type="string",
            pattern=RATE_PATTERN,
            title="Rate",
            description="Write rate: keys per second on each server, such as 20000/s, or unlimited. "
            "It can be changed during the run: see this DAG's page.",
            examples=list(dict.fromkeys([remediation.rate, "5000/s", "unlimited"])),
        ),
        "load": Param(
            remediation.load,
            type="string",
            pattern=LOAD_PATTERN,
            title="Load",
            description="Read load meanwhile: gentle, fast, or keys per second, such as 20000/s.",
            examples=["gentle", "fast", "20000/s"],
        ),
        "canary_watch": Param(
            watch,
            type="string",
            pattern=WATCH_PATTERN,
            title="Canary watch",
            description="How long to watch the servers after writing the first few keys of each rule, such as 10m; 0 skips the watch.",
            examples=list(dict.fromkeys([watch, "10m", _NO_WATCH])),
        ),
    }


def wanted_of(params: Mapping[str, Any]) -> Wanted:
    """What the answers ask for; :class:`InvalidOption` for one that can't be meant."""
    audit = str(params["audit"]).strip()
    rate, load = str(params["rate"]), str(params["load"])
    parse_rate(rate)
    parse_load(load)
    return Wanted(
        audit_id=None if audit == LATEST else check_document_id(audit, where="audit"),
        rules=tuple(params["rules"]) if params["rules"] else None,
        rate=rate,
        load=load,
        canary_watch_s=watch_of(str(params["canary_watch"])),
    )


def watch_of(text: str) -> int:
    """The seconds of a canary's watch, which may be none; :class:`InvalidOption` for what the form refuses, too."""
    if not _WATCH.match(text):
        raise InvalidOption(
            "not a valid watch time", where="canary_watch", found=quoted(text), allowed="a duration such as 10m, or 0"
        )
    return 0 if not re.search("[1-9]", text) else parse_duration(text.strip())


def _one_of(patterns: list[str]) -> dict[str, Any]:
    # A policy without rules has none to choose, and an empty list of choices is no schema.
    return {"type": "string", "enum": patterns} if patterns else {"type": "string", "maxLength": 0}
