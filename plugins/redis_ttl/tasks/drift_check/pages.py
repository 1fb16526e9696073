"""What Airflow shows beside the drift check and its task: for an operator at night, who has never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def of_dag(policy: Policy) -> str:
    """The page of one cluster's drift check."""
    return f"""\
### Drift check of `{policy.cluster}`

Runs after each finished audit. Compares its keys without TTL, one by one, with those that were accepted (the *baseline*).
**It is red when more new ones have come than the policy tolerates**, and changes nothing on the server.

**It is red. What now?** The log of `compare` names each pattern, its owner, how many keys are new, since when, and some of them.

1. **See that the owner knows.** They were told, if the policy says how they are reached (the log has it): something writes keys
   without a TTL, and only they can change that.
2. **Remediate** with `redis_ttl.{policy.cluster}.remediate` once a rule says which TTL.
3. **Or accept**: trigger this DAG with *Accept what is there* and a reason. Your user name and the reason are kept, and what
   is there is the baseline from then on. An overdue rule isn't accepted that way: change its `due` in the policy.

It stays red every night until one of these is done: the baseline doesn't slide.

**Is it urgent?** Look at *A day*: that many more come each day, and none of them goes by itself.

**It failed for another reason, or was killed.** Clear the task. Checking an audit twice gives the same report.
"""


COMPARE: Final = """\
Compares the audit with the baseline, writes the report and perhaps the next baseline into the store, and prints the report to this
task's log.

**If it fails:** with *without TTL that nobody has accepted*, it has done its work: read the page of the DAG. With *needs a
reason* or *nobody can be named*, nothing was accepted: trigger it again as a user, with a reason. With *no such audit*, run
the audit first. Otherwise clear this task.
"""
