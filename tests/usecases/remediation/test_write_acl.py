from __future__ import annotations

import re
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from lab.remediation.applying import Applying
from lab.remediation.policies import DAY_S, policy_of, rule
from lab.remediation.restoring import are_same, expiries, roll_back
from lab.servers.server import Server
from redis_ttl.domain.errors import MissingPermission
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import Cold

_README = Path(__file__).parents[3] / "README.md"
_NEWER = {"+client|no-touch", "+pexpiretime"}
"""What README says to leave out where the server doesn't know it."""


def _make_user(server: Server, *, without: str = "") -> str:
    """The user that README makes, without one of its words; the URL for it."""
    [line] = re.findall(r"^ {4}ACL SETUSER redis_ttl_writer (.+)$", _README.read_text(), flags=re.MULTILINE)
    words = [word for word in line.split() if word != without]
    with server.client() as client:
        for optional in _NEWER:
            try:
                client.execute_command("ACL", "SETUSER", "redis_ttl_probe", optional)
            except ResponseError:
                words = [word for word in words if word != optional]
        client.acl_deluser("redis_ttl_probe")
        client.execute_command("ACL", "SETUSER", "redis_ttl_writer", "reset", *words)
    return f"redis://redis_ttl_writer:PASSWORD@{server.host}:{server.port}/0"


def _fill(server: Server) -> None:
    with server.client() as client:
        client.mset({f"user:{number}": "x" for number in range(300)})
        for number in range(100):
            client.set(f"visit:{number}", "x", ex=300 * DAY_S)


def test_writer_of_the_readme(any_server: Server, tmp_path: Path) -> None:
    """The user that README makes may remediate and roll back on each kind of server, and not delete a key."""
    _fill(any_server)
    before = expiries([any_server])
    url = _make_user(any_server)
    try:
        rules = (rule("user:{n}", cold=Cold(idle_s=0, freq_at_most=255)), rule("visit:{n}", 90 * DAY_S, Mode.CAP))
        run = Applying(url, tmp_path, policy_of(*rules))
        changed = sum(part.changed for part in run.run())
        assert changed == 400
        assert roll_back(run).restored == 400
        assert are_same(before, expiries([any_server]), any_server)
        with any_server.client(username="redis_ttl_writer", password="PASSWORD") as client:
            for command in (("DEL", "user:1"), ("EXPIRE", "user:1", "1"), ("GET", "user:1"), ("FLUSHALL",)):
                with pytest.raises(NoPermissionError):
                    client.execute_command(*command)
    finally:
        with any_server.client() as client:
            client.acl_deluser("redis_ttl_writer")


def test_a_missing_permission_is_named_before_anything_is_written(any_server: Server, tmp_path: Path) -> None:
    """A user who may read and not set expiries fails with the command's name, and no key is changed."""
    _fill(any_server)
    before = expiries([any_server])
    url = _make_user(any_server, without="+pexpireat")
    try:
        run = Applying(url, tmp_path, policy_of(rule("user:{n}")))
        with pytest.raises(MissingPermission, match="PEXPIREAT"):
            run.run()
        assert are_same(before, expiries([any_server]), any_server)
    finally:
        with any_server.client() as client:
            client.acl_deluser("redis_ttl_writer")
