"""What Airflow shows beside the drift check and its task: for an operator at night, who has never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def of_dag(policy: Policy) -> str:
    """The page of one cluster's drift check."""
    return f"""\
### Drift check of `{policy.cluster}`

Runs after each finished audit and compares its keys without TTL, one by one, with the accepted *baseline*.
**It fails when there are more new ones than the policy tolerates.** It changes nothing on the server.

**It is red. What now?** The log of `compare` names each pattern, its owner, how many keys are new, since when, and some of them.

1. **Make sure the owner knows.** They are notified if the policy has their contact (see the log): something writes keys
   without a TTL, and only they can change that.
2. **Remediate** with `redis_ttl.{policy.cluster}.remediate` once a rule says which TTL.
3. **Or accept**: trigger this DAG with *Accept existing keys* and a reason. Both your user name and the reason are recorded, and
   the existing keys become the baseline. This doesn't clear an overdue rule: change its `due` in the policy.

It fails every night until one of these is done: the baseline doesn't move by itself.

**Is it urgent?** See *Per day*: that many are added each day, and none of them ever expires.

**It failed for another reason, or was killed.** Clear the task. Checking the same audit again gives the same report.
"""


COMPARE: Final = """\
Compares the audit with the baseline, writes the report (and the next baseline, if it changes) to the store, and prints the report to
this task's log.

**If it fails:** with *weren't accepted*, it has done its job: read the DAG's page. With *needs a
reason* or *cannot identify who*, nothing was accepted: trigger it again as a named user, with a reason. With *no such audit*, run
the audit first. Otherwise clear this task.
"""
