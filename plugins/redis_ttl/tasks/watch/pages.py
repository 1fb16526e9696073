"""What Airflow shows beside the watch and its task: for an operator at night, who has never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def of_dag(policy: Policy) -> str:
    """The page of one cluster's watch."""
    memory = policy.memory
    return f"""\
### Watch of `{policy.cluster}`

Every few minutes one INFO per primary, no scan. A run **fails once, when something gets worse**: memory reaches
{memory.warn_ratio:.0%} or {memory.critical_ratio:.0%} of its limit, the share of keys without a TTL reaches
{policy.no_ttl.warn_ratio:.0%}, or keys or bytes grow far faster than usual at that hour. Later runs are green until the next change.

**It is red.** The log of `sample` says what. For a burst it names the patterns that grew, with their share of all keys and a 95%
interval, their TTLs, the clients that write (name, user, host, last command), the commands called since the previous sample, and the
DAG runs and declared jobs at the time.

The cluster's owner is notified of each change, and each run also sends messages that other tasks left for later (see its log).

**It is red with another error.** The server or the store is unreachable; the next run tries again.

**Too many alarms, or too few.** Thresholds are `memory`, `no_ttl` and `watch` of the policy.
"""


SAMPLE: Final = """\
Reads INFO from each primary, compares it with earlier samples, and writes the sample to the store. It fails once when a level gets
worse or a burst begins, after writing what it found.

**If it fails otherwise:** it isn't retried; the next run follows in a few minutes and says which samples are missing.
"""
