"""What Airflow shows beside the rollback DAG and its tasks: for an operator at night, who has never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.tasks.remediate.control import variable_of

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def of_dag(policy: Policy) -> str:
    """The page of one cluster's rollback."""
    return f"""\
### Rollback of remediations of `{policy.cluster}`

Rolls back one plan of `redis_ttl.{policy.cluster}.remediate`: each key **whose expiry is still exactly the one the plan set**
gets its previous expiry back, or none. Every other key is left as it is. Each restore is journalled first.

1. **Stop the remediation** if it is still running: mark its run as failed.
2. Trigger this DAG with the plan's id and **dry run on**. The log of `report` says per rule what would be restored,
   what the application has changed since, and what has expired. Expired keys can't be restored.
3. Trigger it again with **dry run off**. It needs no approval: it restores the previous state. It ends the plan's own approval, so
   that a restarted writer doesn't set the TTLs again.

**Slower, pause, stop.** Set the Airflow Variable `{variable_of(policy.cluster, "rollback")}` (Admin > Variables) to a rate such as
`5000/s`, or to `pause`, `stop`, or `run`. After a stop there is nothing to clean up: clear the red tasks, or trigger it again.

**It failed, or was killed.** Clear the red task, or trigger it again, as often as you like: restored keys
are left as they are and counted as *restored before*.

**Is it urgent?** Until the first key of the plan expires, everything can be rolled back. That is no earlier than
{policy.remediation.undo_window_s // 3600} hours after approval; `redis-ttl journal show PLAN` says when exactly.
"""


LOAD_JOURNAL: Final = """\
Finds the plan and its journal, and splits the journal into parts. Unless it is a dry run, it ends the plan's approval.

**If it fails:** the plan's id is wrong, the plan has no journal (it wrote nothing, or the journal is gone), the store can't
be read, or later plans have changed this plan's keys: the error names the order in which to roll them back.
"""

RESTORE_SHARD: Final = """\
Reads its part of the journal, latest first, reads the keys' current expiries, journals what it is about to restore, and
restores a hundred keys at a time: only those that still have the plan's expiry, compared and set atomically. It pauses while a server is
in trouble, as a remediation does, and gives up when that lasts too long.

**If it fails or is killed:** it is retried from the start of its part; restored keys stay restored. With *don't
continue those of the plan*, read about *Skip the server identity check* in the trigger form.
"""

VERIFY: Final = """\
Checks every key of the journal again, scans the whole keyspace for the plan's expiries, reports per rule how many keys still have
them, and notifies the owners.

**If it fails:** something of the plan is left, or unknown. Keys still have the plan's expiry: either the remediation is still writing (stop
it), or journal objects are missing. Missing or damaged journal objects, which a dry run names too: restore them from a backup of the
store. Keys weren't reached: wait until the cluster is healthy. Then clear `load_journal` with its downstream tasks.
"""

REPORT: Final = """\
Prints to this task's log what was, or would be, restored per rule; its return value has the totals.

**If it fails:** the rollback itself is complete. Clear this task.
"""
