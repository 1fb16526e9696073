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
        or "no address in the policy"
    )
    return f"""\
### Audit of `{policy.cluster}`

Reads every key's name and TTL once and reports, for each key pattern, how many keys have no TTL, how many bytes they
hold and how the other TTLs are spread. **It changes nothing on the server**, and doesn't touch the counters by which
the server evicts keys.

| | |
|---|---|
| owner | {markdown_text(policy.owner.team)} ({contact}) |
| connection | `{policy.connection}` |
| schedule | {"by hand only" if audit.schedule is None else f"`{audit.schedule}` {audit.timezone}"} |
| load | `{audit.load}`, at most {audit.parallel} shards at a time{f", pool `{audit.pool}`" if audit.pool else ""} |

**Is it safe to run now?** With load `gentle`, yes: it takes about a fifth of the server's thread at most and backs off
when the server slows down. `fast` takes all that the server gives; neighbours will notice.

**Where is the result?** In the log of `report`. The documents are in the store, under
`{policy.cluster}/audits/<audit id>/`. The asset `redis_ttl/{policy.cluster}/audit` and the metrics `redis_ttl.*` carry
the headline figures.

**It hurts, stop it.** Mark the run as failed: scanning ends within about ten seconds and nothing needs cleaning up.
Then trigger it again with load `gentle`.

**It failed.** The first red task's log has one line that begins with the server's address, the file or the option, and
says what to do. Lost connections and restarts of the server are retried by themselves; wrong passwords, missing
permissions and mistakes in the policy are not. When the cause is gone, clear the red task: scanned shards stay scanned,
and a shard that was cut off goes on from its last checkpoint.
"""


INSPECT_SERVER: Final = """\
Connects, and writes the server's profile to the log: flavour, version, role, memory, keys per database, and which
commands the user may call.

**If it fails:** the connection, the password, the ACL, the pool or the store is not as it must be; the log says which.
Repair it, then clear this task.
"""

PLAN_SHARDS: Final = """\
Decides into how many shards each database is cut, checks on the server itself that its cursors may be cut so, and draws
the keys that will prove afterwards that none was lost.

**If it fails:** mostly because the server went away meanwhile. Clear `inspect_server`, with downstream tasks.
"""

SCAN_SHARD: Final = """\
Scans one part of the keyspace and counts it; its progress is in the log, every few seconds. It saves where it is every
ten seconds or so.

**If it fails or is killed:** it is retried and goes on from there, if the same server process still answers; otherwise
it begins its shard again. After the last retry: see what the log says, then clear the failed shards only.
"""

MERGE_AUDIT: Final = """\
Adds up the shards, checks that every key drawn beforehand was met or is gone, scans again what can't be trusted, and
writes the audit to the store.

**If it fails:** with *keys were not met*, the connection probably leads to several servers behind one address: point it
at one node. Otherwise clear it.
"""

REPORT: Final = """\
Prints the report to this task's log, and tells the owners what concerns them: once, not every night. Its log says what was
sent to whom, and where the message is. Its return value is the headline.

**If it fails:** the audit itself is complete and in the store. Clear this task. A message that can't be sent doesn't fail it.
"""
