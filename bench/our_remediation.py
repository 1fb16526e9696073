"""One shard of a remediation on a keyspace where every key matches, and its rollback, in a process of its own.

A process of its own because its memory and its interpreter are part of the figures; it is started as ``python -m
bench.our_remediation`` and answers with an empty line when it begins to write the shard and one line of JSON at the end.
The plan is made here, without an audit and without people: what is measured is reading, deciding, journalling and
writing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.our_audit import peak_mib
from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.remediation.restoring import roll_back
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import Policy

if TYPE_CHECKING:
    from redis_ttl.domain.policy.policy import Policy


@dataclass(frozen=True, slots=True)
class RemediationFigures:
    """What one shard took, from the first look at the server to the part's result, and its rollback afterwards.

    ``peak_mib`` is from before the rollback.
    """

    changed: int
    wall_s: float
    journal_bytes: int
    peak_mib: float
    restored: int
    restore_s: float

    @property
    def keys_per_s(self) -> float:
        """Keys changed for each second, the scan included."""
        return self.changed / self.wall_s

    @property
    def restored_per_s(self) -> float:
        """Keys given back their former expiry for each second, the journal's reading included."""
        return self.restored / self.restore_s

    @property
    def bytes_per_key(self) -> float:
        """Journal bytes for each key that was changed."""
        return self.journal_bytes / self.changed if self.changed else 0.0


def remediated(url: str, *, rate: str = "unlimited", load: str = "fast") -> RemediationFigures:
    """Write the incident's rules on that server in a process of its own."""
    with TemporaryDirectory(prefix="redis-ttl-bench-") as place:
        answer = subprocess.run(_command(place, url, rate, load), check=True, stdout=subprocess.PIPE)  # noqa: S603
    return RemediationFigures(**json.loads(answer.stdout.splitlines()[-1]))


@contextmanager
def remediation_under_way(url: str, *, rate: str, load: str) -> Iterator[subprocess.Popen[bytes]]:
    """A shard that is just being written, ended with the ``with`` block however far it is."""
    with TemporaryDirectory(prefix="redis-ttl-bench-", ignore_cleanup_errors=True) as place:
        process = subprocess.Popen(_command(place, url, rate, load), stdout=subprocess.PIPE)  # noqa: S603
        try:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError("the remediation did not start")
            yield process
        finally:
            process.kill()
            process.communicate()


def incident_policy() -> Policy:
    """The incident's four rules."""
    return policy_of(
        rule("MARKETING:COUPON:UNREAD:{userId}"),
        rule("contact:userGroupLabel:set:{contactId}", ttl_s=90 * DAY_S),
        rule("exchange:coupon:high:commodity:price:{id}", ttl_s=30 * DAY_S),
        rule("contact:last:activity:{contactId}", ttl_s=90 * DAY_S, mode=Mode.CAP),
    )


def _command(place: str, url: str, rate: str, load: str) -> list[str]:
    wishes = {"place": place, "url": url, "rate": rate, "load": load}
    return [sys.executable, "-m", "bench.our_remediation", json.dumps(wishes)]


def _remediate(place: str, url: str, *, rate: str, load: str) -> RemediationFigures:
    applying = Applying(url, Path(place), incident_policy(), rate=rate, load=load, limit_keys=10**9)
    applying.pass_canary()
    print(flush=True)  # noqa: T201  # the parent may wait for the writing to begin
    started_s = time.perf_counter()
    result = applying.shard()
    wall_s = time.perf_counter() - started_s
    peak = peak_mib()
    started_s = time.perf_counter()
    restored = roll_back(applying).restored
    restore_s = time.perf_counter() - started_s
    return RemediationFigures(result.changed, wall_s, result.journal_bytes, peak, restored, restore_s)


def main() -> None:
    """Write the shard that the first argument describes, and print its figures."""
    print(json.dumps(asdict(_remediate(**json.loads(sys.argv[1])))))  # noqa: T201  # the answer to the parent


if __name__ == "__main__":
    main()
