"""What Airflow shows beside the remediation DAG and its tasks: for an operator at night, who has never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.domain.policy.duration import format_duration
from redis_ttl.messages.formats.markdown_text import markdown_text
from redis_ttl.tasks.remediate.control import variable_of

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def of_dag(policy: Policy) -> str:
    """The page of one cluster's remediation."""
    remediation = policy.remediation
    approvers = ", ".join(f"`{name}`" for name in remediation.approvers) or "whoever Airflow lets answer, by name"
    if not remediation.self_approval:
        approvers += "; not by whoever triggers the run"
    return f"""\
### Remediation of `{policy.cluster}`

Gives keys the TTLs that the policy's signed-off rules ask for. **It writes to the server, and a TTL deletes its key when
it runs out.** Nothing is written before somebody has approved exactly the plan that the run shows.

| | |
|---|---|
| owner | {markdown_text(policy.owner.team)} |
| writes over | connection `{policy.write_connection or policy.connection}` |
| approvals | {remediation.approvals}, by {approvers} |
| an approval is good for | {format_duration(remediation.approval_valid_s)} |
| rate | {remediation.rate}, on each server |
| first expiry | not earlier than {format_duration(remediation.undo_window_s)} after the approval |

**How it goes.** `build_plan` makes the plan, `approve_plan` shows it and waits: open it, *Required Actions*, Approve or
Reject. Marking that task as success approves too, and as failed rejects, if the Airflow connection `redis_ttl_airflow`
lets the run see who did it. Then a few keys of each rule go first and the server is watched, then the others follow,
then every key is looked at once more. Clearing `approve_plan` takes back what was decided there, and asks again.

**Slower, pause, stop.** Set the Airflow Variable `{variable_of(policy.cluster, "remediate")}` (Admin > Variables) to `pause`, `stop`,
`run`, a rate such as `5000/s`, or both as in `{{"state": "run", "rate": "5000/s"}}`. It is read every two seconds. Delete
it to go on as planned. Marking the run as failed stops it as well, within seconds.

**It hurts, take it back.** Stop it, then trigger `redis_ttl.{policy.cluster}.rollback` with the plan's id: every key whose
expiry is still ours gets back what it had.

**It failed.** The first red task's log says why in one line, and what to do. A part that was killed begins again from its
start, and leaves what it has done as it is.
"""


BUILD_PLAN: Final = """\
Makes the plan from the audit, the policy and the servers as they are now, and keeps it in the store.

**If it fails:** the log names the limit that is exceeded, what was found, and the way out: an older audit than allowed,
too many keys, too little memory, nothing that is signed off. Repair it, then trigger a new run.
"""

ANNOUNCE: Final = """\
Prints the plan, its digest, and where to approve it.
"""

APPROVE_PLAN: Final = """\
Shows the plan, tells the owners of its rules where to answer, and waits for **Approve** or **Reject** under *Required Actions*.
It holds no worker while it waits. No answer in time means no.

**If it is red:** the plan was rejected, or nobody answered. To ask again, clear this task with its downstream tasks.
"""

CONFIRM_APPROVAL: Final = """\
Decides whether what happened at the gate is an approval, by somebody with a name, for exactly this plan, and writes down
what was decided. Without an approval it fails, and nothing is written.

**If it fails:** the log says what is missing and what to do.
"""

APPLY_CANARY: Final = """\
Reads everything once without writing, counts what each rule would change, and refuses if that is more than was planned.
Then it writes the first few keys of each rule.

**If it fails:** see its log. What it has written is in the journal, and the rollback takes it off.
"""

CHECK_CANARY: Final = """\
Watches the servers for as long as the plan says: evictions, misses, latency, memory, errors.

**If it fails:** the log names the figure. Only the canary's keys have been written.
"""

APPLY_SHARD: Final = """\
Writes one part of the keyspace: read, decide, journal, write. Its progress, and why it pauses, is in the log, every few seconds.

**If it fails or is killed:** it is retried from the part's start; what has our expiry is left as it is. When a guard or an
operator ended it, clear it to go on, as long as the approval is good.
"""

VERIFY: Final = """\
Looks at every key once more: what has our expiry, what has none and why. **Missed must be 0.**

**If it fails:** with *keys were missed*, clear `apply_shard` with its downstream tasks while the approval is good.
"""

REPORT: Final = """\
Prints the report, also of a run that was stopped or aborted, and fails then. It is in the store as well. Tells the owners how it
ended.
"""
