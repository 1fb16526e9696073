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
    approvers = ", ".join(f"`{name}`" for name in remediation.approvers) or "any named Airflow user allowed to answer"
    if not remediation.self_approval:
        approvers += "; not the user who triggered the run"
    return f"""\
### Remediation of `{policy.cluster}`

Sets the TTLs of the policy's signed-off rules. **It writes to the server, and a key is deleted when its TTL runs out.**
Nothing is written until someone approves exactly the plan that the run shows.

| | |
|---|---|
| owner | {markdown_text(policy.owner.team)} |
| writes through | connection `{policy.write_connection or policy.connection}` |
| approvals | {remediation.approvals}, from {approvers} |
| approval valid for | {format_duration(remediation.approval_valid_s)} |
| write rate | {remediation.rate}, per server |
| first expiry | no earlier than {format_duration(remediation.undo_window_s)} after approval |

**How it works.** `build_plan` builds the plan, `approve_plan` shows it and waits: open it, *Required Actions*, Approve or
Reject. Marking that task as success also approves, and marking it as failed rejects, if the Airflow connection
`redis_ttl_airflow` lets the run see who did it. Then a few keys of each rule are written and the server is watched, then the rest,
then every key is checked. Clearing `approve_plan` withdraws the decision and asks again.

**Slower, pause, stop.** Set the Airflow Variable `{variable_of(policy.cluster, "remediate")}` (Admin > Variables) to `pause`, `stop`,
`run`, a rate such as `5000/s`, or both as in `{{"state": "run", "rate": "5000/s"}}`. It is read every two seconds. Delete
it to continue as planned. Marking the run as failed also stops it within seconds.

**Take it back.** Stop it, then trigger `redis_ttl.{policy.cluster}.rollback` with the plan's id: every key that still has the
plan's expiry gets its previous one back.

**It failed.** The first red task's log says why in one line, and what to do. A shard that was killed starts again and
skips keys that are already set.
"""


BUILD_PLAN: Final = """\
Builds the plan from the audit, the policy and the servers' current state, and writes it to the store.

**If it fails:** the log names the limit, the figure that exceeds it, and the way out: an audit that is too old, too many keys,
too little memory, no signed-off rule. Fix it, then trigger a new run.
"""

ANNOUNCE: Final = """\
Prints the plan, its digest, and where to approve it.
"""

APPROVE_PLAN: Final = """\
Shows the plan, notifies the rules' owners, and waits for **Approve** or **Reject** under *Required Actions*.
It occupies no worker while it waits. No answer in time means no.

**If it is red:** the plan was rejected, or timed out. To ask again, clear this task with its downstream tasks.
"""

CONFIRM_APPROVAL: Final = """\
Checks that the answer is an approval of exactly this plan by an identified user, and records the decision. Without an
approval it fails, and nothing is written.

**If it fails:** the log says what is missing and what to do.
"""

APPLY_CANARY: Final = """\
Reads all keys without writing, counts what each rule would change, and refuses if that exceeds the plan. Then it writes
the first few keys of each rule.

**If it fails:** see the log. What it has written is in the journal, and a rollback restores it.
"""

CHECK_CANARY: Final = """\
Watches the servers for the time in the plan: evictions, misses, latency, memory, errors.

**If it fails:** the log names the figure. Only the canary's keys have been written.
"""

APPLY_SHARD: Final = """\
Writes one part of the keyspace: read, decide, journal, write. It logs its progress, and why it pauses, every few seconds.

**If it fails or is killed:** it is retried from the start and skips keys that are already set. If a guard or an operator
stopped it, clear it to resume while the approval is valid.
"""

VERIFY: Final = """\
Checks every key: which have the plan's expiry, which have none, and why. **Missed must be 0.**

**If it fails:** with *keys were missed*, clear `apply_shard` with its downstream tasks while the approval is valid.
"""

REPORT: Final = """\
Prints the report and writes it to the store, also for a run that was stopped or aborted; then this task fails. Notifies the owners of the
result.
"""
