"""What Airflow shows beside the audit DAG and its tasks: for an operator at night, who has never seen the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.messages.formats.markdown_text import markdown_text

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


def of_dag(policy: Policy) -> str:
    """The page of one cluster's audit."""
    audit = policy.audit
    contact = (
        ", ".join(markdown_text(each) for each in (policy.owner.slack, *policy.owner.email) if each)
        or "no contact in the policy"
    )
    return f"""\
### Audit of `{policy.cluster}`

Reads every key's name and TTL once and reports, for each key pattern, how many keys have no TTL, how many bytes they
hold and how the other TTLs are spread. **It changes nothing on the server**, and doesn't touch the counters by which
the server decides which keys to evict.

| | |
|---|---|
| owner | {markdown_text(policy.owner.team)} ({contact}) |
| connection | `{policy.connection}` |
| schedule | {"manual only" if audit.schedule is None else f"`{audit.schedule}` {audit.timezone}"} |
| load | `{audit.load}`, at most {audit.parallel} shards at a time{f", pool `{audit.pool}`" if audit.pool else ""} |

**Is it safe to run now?** With load `gentle`, yes: it takes at most about 20% of the server's main thread and backs off
when the server slows down. `fast` takes all the server can give; other clients will notice.

**Where is the result?** In the log of `report`. The documents are in the store, under
`{policy.cluster}/audits/<audit id>/`. The asset `redis_ttl/{policy.cluster}/audit` and the metrics `redis_ttl.*` carry
the headline figures.

**Stop it.** Mark the run as failed: scanning stops within about ten seconds and leaves nothing to clean up.
Then trigger it again with load `gentle`.

**It failed.** The first red task's log has one line that names the server, file or option, and says what to do. Lost
connections and server restarts are retried automatically; wrong passwords, missing permissions and policy mistakes are
not. Once fixed, clear the red task: finished shards are kept, and an interrupted shard resumes at its last checkpoint.
"""


INSPECT_SERVER: Final = """\
Connects, and writes the server's profile to the log: flavour, version, role, memory, keys per database, and which
commands the user may call.

**If it fails:** the connection, password, ACL, pool or store is wrong; the log says which. Fix it, then clear this task.
"""

PLAN_SHARDS: Final = """\
Decides how many shards to split each database into, verifies on the server that its cursors can be split that way, and
draws random keys to check completeness afterwards.

**If it fails:** usually the server became unavailable. Clear `inspect_server` with its downstream tasks.
"""

SCAN_SHARD: Final = """\
Scans and counts one part of the keyspace, logs its progress every few seconds, and saves a checkpoint about every ten
seconds.

**If it fails or is killed:** it is retried and resumes at the checkpoint if the server process is still the same, else
it starts the shard again. After the last retry, read the log, then clear only the failed shards.
"""

MERGE_AUDIT: Final = """\
Adds up the shards, checks that every random key was seen or is gone, rescans shards that can't be trusted, and
writes the audit to the store.

**If it fails:** with *keys were not met*, the connection probably leads to several servers behind one address: point it
at one node. Otherwise clear it.
"""

REPORT: Final = """\
Prints the report to this task's log and notifies each owner about their keys: once, not every night. The log says what was
sent to whom, and where the message is stored. Its return value is the headline.

**If it fails:** the audit itself is complete and in the store. Clear this task. A message that can't be sent doesn't fail this task.
"""
