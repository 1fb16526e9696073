"""Keys that an audit has a hard time with: such that the user may not see, and such that live for moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.servers.kinds import REDIS_7, REDIS_62, REDIS_82, VALKEY, ServerKind
from lab.servers.server import Server, run_server
from redis_ttl.domain.audit.ttl_histogram import TTL_CLASSES
from redis_ttl.domain.errors import MissingPermission
from tests.adapters.keyspaces import send, set_keys
from tests.conftest import require
from tests.usecases.auditing import Auditing, with_shards


@pytest.fixture(params=[VALKEY, REDIS_7, REDIS_62, REDIS_82], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> ServerKind:
    """Each kind of server with ACLs, in turn."""
    return require(request.param)


@pytest.mark.parametrize("others", [1, 3_000])
def test_keys_that_the_user_may_not_see_fail_the_audit(kind: ServerKind, tmp_path: Path, others: int) -> None:
    """SCAN lists keys whose TTL may not be asked: one such key is enough, wherever the scan meets it, and no count leaves it out."""
    with run_server(kind) as server:
        with server.client() as client:
            client.acl_setuser("app", enabled=True, reset=True, passwords=["+pw"], keys=["app:*"], categories=["+@all"])
        set_keys(server, (f"app:{number}" for number in range(3_000)))
        set_keys(server, (f"other:{number}" for number in range(others)))
        with pytest.raises(MissingPermission, match="on every key"):
            Auditing(f"redis://app:pw@{server.host}:{server.port}/0", tmp_path).run()


def test_keys_that_the_user_may_see_alone_are_counted(kind: ServerKind, tmp_path: Path) -> None:
    """Where the user's key patterns cover what there is, nothing is missing."""
    with run_server(kind) as server:
        with server.client() as client:
            client.acl_setuser("app", enabled=True, reset=True, passwords=["+pw"], keys=["app:*"], categories=["+@all"])
        set_keys(server, (f"app:{number}" for number in range(3_000)))
        audit = Auditing(f"redis://app:pw@{server.host}:{server.port}/0", tmp_path).run()
        assert (audit.keys, audit.completeness.is_whole) == (3_000, True)


@pytest.mark.parametrize("life_ms", [1, 30, 60_000])
def test_keys_that_live_for_moments_are_counted_or_gone(any_server: Server, tmp_path: Path, life_ms: int) -> None:
    """Keys that expire while the scan passes are met with a TTL, or are gone; they never count as keys without one, and the others are
    exact.
    """
    lasting, passing = 30_000, 20_000
    set_keys(any_server, (f"cart:{number}" for number in range(lasting)))
    send(any_server, (("SET", f"lock:{number}", "x", "PX", life_ms) for number in range(passing)))
    audit = Auditing(any_server.url, tmp_path, with_shards(2)).run()
    rows = {row.pattern: row for row in audit.patterns}
    assert (rows["cart:{n}"].keys, rows["cart:{n}"].no_ttl_keys, audit.no_ttl_keys) == (lasting, lasting, lasting)
    locks = rows.get("lock:{n}")
    assert locks is None or (locks.no_ttl_keys, locks.ttl_histogram[0]) == (0, locks.keys), TTL_CLASSES[0]
    met = (0 if locks is None else locks.keys) + audit.vanished
    assert met <= passing
    assert life_ms < 60_000 or met == passing
    assert audit.completeness.is_whole
