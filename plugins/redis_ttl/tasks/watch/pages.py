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

Every few minutes one INFO of each primary, no scan. A run is **red once, when something has changed for the worse**: memory
reached {memory.warn_ratio:.0%} or {memory.critical_ratio:.0%} of its limit, the share of keys without a TTL reached
{policy.no_ttl.warn_ratio:.0%}, or keys or bytes grow far beyond what is usual at that hour. The runs after it are green until the
next change.

**It is red.** The log of `sample` says what. For a burst it names the patterns that grew, with the share of all keys and a 95%
interval, their TTLs, the clients that write (name, user, host, last command), the commands called since the look before, and the
DAG runs and declared jobs of that time.

The owner of the cluster is told of each change, and every look sends what other tasks had to leave (see its log).

**It is red with another error.** The server or the store can't be reached; the next run looks again.

**Too many alarms, or too few.** Thresholds are `memory`, `no_ttl` and `watch` of the policy.
"""


SAMPLE: Final = """\
Asks each primary for INFO, compares it with the looks before, and writes the sample into the store. Fails once when a level has
got worse or a burst began; what was found is in the store before that.

**If it fails otherwise:** it isn't tried again; the next run looks again in a few minutes, and says which samples are missing.
"""
