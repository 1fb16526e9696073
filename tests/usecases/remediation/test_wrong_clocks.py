"""Clocks that are wrong: a server's that is hours off the worker's, and a worker's that is set back."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.servers.kinds import REDIS_62, VALKEY, ServerKind
from lab.servers.server import Server, run_server
from redis_ttl.domain.audit.ttl_histogram import TTL_CLASSES
from redis_ttl.domain.errors import ServerProblem
from redis_ttl.domain.watch.oddities import OddityKind
from redis_ttl.usecases.remediation.verify_plan import verify_plan
from tests.adapters.keyspaces import send, set_keys
from tests.conftest import require
from tests.usecases.auditing import Auditing
from tests.usecases.verifying import Remediation, figures
from tests.usecases.watching import Watching

HOUR_S = 3_600
_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@dataclass
class WrongClock:
    """A worker's clock that is off."""

    off_s: float

    def now(self) -> dt.datetime:
        """What it says."""
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.off_s)

    def monotonic(self) -> float:
        """Durations are right all the same."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Real seconds go by."""
        time.sleep(seconds)


@pytest.mark.parametrize("kind", [VALKEY, REDIS_62], ids=lambda kind: kind.name)
@pytest.mark.parametrize("off", ["+5h", "-5h"])
def test_an_audit_of_a_server_whose_clock_is_off_is_exact(
    kind: ServerKind, off: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of a key's life is what the server says is left; no clock of ours is held against it. Nothing is written there."""
    if shutil.which("faketime") is None or not _LIBRARY.exists():
        (pytest.fail if os.environ.get("CI") == "true" and platform.machine() == "x86_64" else pytest.skip)(
            "no faketime (apt-get install faketime)"
        )
    monkeypatch.setenv("LD_PRELOAD", str(_LIBRARY))
    monkeypatch.setenv("FAKETIME", off)
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    with run_server(require(kind)) as server:
        monkeypatch.delenv("LD_PRELOAD")
        send(server, (("SET", f"hour:{number}", "x", "EX", HOUR_S) for number in range(100)))
        send(server, (("SET", f"cart:{number}", "x") for number in range(50)))
        audit = Auditing(server.url, tmp_path).run()
        (hours,) = [row for row in audit.patterns if row.pattern == "hour:{n}"]
        assert dict(zip(TTL_CLASSES, hours.ttl_histogram, strict=True))["1h"] == 100
        assert hours.ttl_max_s is not None
        assert HOUR_S - 600 < hours.ttl_max_s <= HOUR_S
        assert (audit.no_ttl_keys, audit.completeness.is_whole) == (50, True)
        with pytest.raises(ServerProblem, match="clock"):
            Applying(server.url, tmp_path, policy_of(rule("cart:{id}"))).run()
        with server.client() as client:
            assert client.ttl("cart:1") == -1


@pytest.mark.parametrize("off_s", [3 * 86_400, -3 * 86_400])
def test_a_worker_whose_clock_is_off_verifies_by_the_servers(any_server: Server, tmp_path: Path, off_s: int) -> None:
    """What has expired and what was deleted before is told apart by the server's clock, and the difference is noted."""
    run = Remediation(any_server.url, tmp_path, policy_of(rule("cart:{id}")))
    now_ms = time.time_ns() // 1_000_000
    set_keys(any_server, ["cart:3"])
    with any_server.client() as client:
        client.pexpireat("cart:3", now_ms + 7_200_000)
    run.journal({b"cart:1": now_ms - 60_000, b"cart:2": now_ms + 3_600_000, b"cart:3": now_ms + 7_200_000})
    verification = verify_plan(run.applying.plan, replace(run.tools(), clock=WrongClock(off_s)))
    assert figures(verification.rules[0]) == {"met": 1, "kept": 1, "expired": 1, "gone": 1}
    sign = "-" if off_s > 0 else r"\+"
    assert re.search(rf"is {sign}259,(199|200|201) s off ours", " ".join(verification.notes))


def test_a_watch_whose_clock_went_back_says_so(valkey: Server, tmp_path: Path) -> None:
    """A look that seems earlier than the one before is named, and no growth is made of the two."""
    watching = Watching(valkey.url, tmp_path, policy_of())
    watching.pass_by(600)
    watching.look()
    watching.now_at -= dt.timedelta(minutes=30)
    set_keys(valkey, (f"key:{number}" for number in range(5_000)))
    seen = watching.look()
    assert [each.kind for each in seen.oddities] == [OddityKind.CLOCK]
    assert seen.growth is None


@pytest.mark.parametrize("command", [("FLUSHALL",), ("SWAPDB", "0", "1"), ("FLUSHDB",)])
def test_a_watch_names_what_exchanged_the_data_set(valkey: Server, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Between two looks a flush or a swap is named by its command."""
    watching = Watching(valkey.url, tmp_path, policy_of())
    watching.look()
    with valkey.client() as client:
        client.execute_command(*command)
    watching.pass_by()
    (oddity,) = watching.look().oddities
    assert (oddity.kind, command[0] in oddity.what) == (OddityKind.EXCHANGE, True)
