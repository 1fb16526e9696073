"""What a report says of TTLs that fields of hashes have: of the whole keyspace, of a pattern, and where it isn't known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis_ttl.domain.audit.server import FIELD_COMMANDS, Access, Command
from redis_ttl.messages.figures import count, duration

if TYPE_CHECKING:
    from redis_ttl.domain.audit.audit import Audit
    from redis_ttl.domain.audit.pattern_statistics import PatternStatistics


def ending_text(audit: Audit) -> str:
    """A sentence about keys that end by themselves, with a space in front; nothing without any."""
    if not audit.ending_keys:
        return ""
    last_s = max((row.fields.last_s or 0 for row in audit.patterns), default=0)
    return (
        f" About {count(audit.ending_keys)} of them are self-expiring: hashes in which every field has a TTL (in the sample, the last "
        f"field expires within {duration(last_s)})."
    )


def fields_text(pattern: PatternStatistics) -> str:
    """Which of a pattern's sampled hashes have fields with TTLs, with a comma in front; nothing where none has any."""
    fields = pattern.fields
    if not fields.with_ttls:
        return ""
    kinds = ((fields.all_fields, "all"), (fields.some_fields, "some"), (fields.at_least_some, "at least some"))
    said = ", ".join(f"{what} in {count(hashes)}" for hashes, what in kinds if hashes)
    last = f" (last within {duration(fields.last_s)})" if fields.last_s is not None else ""
    return f", fields with TTL: {said} of {count(fields.hashes)}{last}"


def field_lines(audit: Audit) -> list[str]:
    """What the servers count of such hashes, and what isn't known of them; nothing where there are no hashes."""
    lines = []
    before, after = (
        None
        if None in (counts := [each.field_ttl_keys for each in keyspace])
        else sum(each for each in counts if each is not None)
        for keyspace in (audit.keyspace_before, audit.keyspace_after)
    )
    if before or after:
        lines.append(
            f"INFO keyspace reported {_number(before)} hashes with field TTLs before and {_number(after)} after; the shares per pattern "
            "are estimated from sampled hashes."
        )
    hashes = sum(row.types.get("hash", 0) for row in audit.patterns)
    looked = sum(row.fields.hashes for row in audit.patterns)
    if looked < hashes:
        lines.append(f"Field TTLs are unknown for {_of_sampled(hashes, looked)}{_why(audit)}.")
    return lines


def _of_sampled(hashes: int, looked: int) -> str:
    return f"{count(hashes - looked)} of {count(hashes)} sampled hashes" if looked else "all sampled hashes"


def _why(audit: Audit) -> str:
    servers = audit.plan.servers
    if any(server.can.get(Command.HTTL) is Access.UNKNOWN_COMMAND for server in servers):
        return ": this server has no HTTL"
    if any(server.can.get(command) is Access.FORBIDDEN for server in servers for command in FIELD_COMMANDS):
        return ": this user may not read them"
    return ""


def _number(figure: int | None) -> str:
    return "an unknown number of" if figure is None else count(figure)
