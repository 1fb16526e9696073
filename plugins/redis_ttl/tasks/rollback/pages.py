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

Takes back what one plan of `redis_ttl.{policy.cluster}.remediate` did: each key **whose expiry is still exactly the one that
the plan set** has its former expiry again, or none. Every other key is left as it is. What a rollback restores, it
journals first.

1. **Stop the remediation** if it still runs: mark its run as failed.
2. Trigger this DAG with the plan's id and **dry run on**. The log of `report` says per rule what would be restored,
   what the application changed since, and what has expired already. Expired keys can't be brought back by anything.
3. Trigger it again with **dry run off**. It asks for no approval: it restores what was there. The plan's own approval
   ends with it, so that a writer which is started again doesn't set the TTLs anew.

**Slower, pause, stop.** Set the Airflow Variable `{variable_of(policy.cluster, "rollback")}` (Admin > Variables) to a rate as in
`5000/s`, or to `pause`, `stop`, or `run`. Nothing needs cleaning up after a stop: clear the red tasks, or trigger it again.

**It failed, or was killed.** Clear the red task, or trigger it again, as often as you like: keys that were restored are
found as they were before, and counted as *restored before*.

**Is it urgent?** As long as no key of the plan has expired, everything can be taken back. The first expiry is not earlier
than {policy.remediation.undo_window_s // 3600} hours after the approval; `redis-ttl journal show PLAN` says when exactly.
"""


LOAD_JOURNAL: Final = """\
Finds the plan and its journal, and cuts the journal into parts. When it isn't a dry run, it ends the plan's approval.

**If it fails:** the plan's id isn't one, the plan has no journal (nothing was written by it, or the journal is gone), the store can't
be read, or later plans have changed keys of this one: the error names the order in which to take them back.
"""

RESTORE_SHARD: Final = """\
Reads its part of the journal, the newest first, asks the server for the keys' expiries, journals what it is about to restore, and
restores a hundred keys at a time: only those whose expiry is ours, compared and set in one step. It pauses while a server is in trouble,
as writing does, and ends when that lasts too long.

**If it fails or is killed:** it is retried from the beginning of its part; what was restored stays restored. With *don't
continue those of the plan*, read the option *Not the same servers any more* in the trigger form.
"""

VERIFY: Final = """\
Asks for every key of the journal once more, looks through the whole keyspace for the plan's expiries, says per rule how many keys
still have them, and tells the owners.

**If it fails:** something of the plan is left, or isn't known. Keys still have our expiry: somebody is writing them again (see that the
remediation has stopped), or the journal has a hole. Holes in the journal, which a dry run names, too: put the objects back from a
copy of the store. Keys weren't reached: wait until the cluster is whole. Then clear `load_journal` with its downstream tasks.
"""

REPORT: Final = """\
Prints what was, or would be, restored per rule to this task's log; its return value is the sums.

**If it fails:** the rollback itself is complete. Clear this task.
"""
