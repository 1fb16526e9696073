from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from demo.first_audit import compared
from redis_ttl.cli.main import app
from redis_ttl.domain.errors import InvalidOption

if TYPE_CHECKING:
    from lab.servers.server import Server


def _json(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_audit_finds_what_the_loader_says(valkey: Server) -> None:
    """The report's counts equal the loader's, pattern by pattern, whatever folds by shape and whatever by number."""
    loaded = _json("demo", "load", valkey.url, "--keys", "30000")
    audit = _json("audit", valkey.url, "--load", "fast")

    assert (audit["keys"], audit["no_ttl_keys"]) == (loaded["keys"], loaded["no_ttl_keys"]) == (30_000, 11_760)
    assert compared(audit, loaded).startswith("The counts equal what was loaded")


def test_the_table_ends_with_the_totals(valkey: Server) -> None:
    """Without --json a person gets a line for each pattern, names with line ends on one line, and the totals."""
    done = CliRunner().invoke(app, ["demo", "load", valkey.url, "--keys", "1000"], catch_exceptions=False)

    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert any(line.startswith("MARKETING:COUPON:UNREAD:{n} ") and line.split()[-2:] == ["22", "22"] for line in lines)
    assert any(r"\nFROM goods\n" in line for line in lines)
    assert "1,000 keys, 392 of them without TTL (39.2%)" in done.stdout


def test_a_database_with_keys_is_refused(valkey: Server) -> None:
    """A load into a database that holds keys fails without --add, and works with it."""
    with valkey.client() as client:
        client.set("mine", "precious")
    arguments = ["demo", "load", valkey.url, "--keys", "1000"]

    with pytest.raises(InvalidOption, match=r"isn't empty"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert CliRunner().invoke(app, [*arguments, "--add"], catch_exceptions=False).exit_code == 0
    with valkey.client() as client:
        assert client.dbsize() == 1_001
