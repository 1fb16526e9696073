"""A few keys of two rules in two databases, for tests of single steps of applying."""

from __future__ import annotations

from pathlib import Path

from lab.remediation.applying import Applying
from lab.remediation.policies import policy_of, rule
from lab.servers.server import Server
from tests.adapters.keyspaces import set_keys

POLICY = policy_of(rule("a:{n}"), rule("b:{n}"), canary_keys=3)
ATTEMPT = "20991124T010101000Z-abcdef"


def fill(server: Server, keys: int = 20, first: int = 0, family: str = "a", db: int = 0) -> None:
    """Keys of a rule without TTL."""
    set_keys(server, [f"{family}:{number}" for number in range(first, first + keys)], db=db)


def with_ttl(server: Server, db: int = 0) -> int:
    """How many keys of a database have a TTL."""
    with server.client() as client:
        return int(client.info("keyspace").get(f"db{db}", {}).get("expires", 0))


def in_two_databases(server: Server, store: Path) -> Applying:
    """20 keys of one rule in database 0, and 5 of each in database 3."""
    fill(server)
    fill(server, 5, db=3)
    fill(server, 5, family="b", db=3)
    return Applying(server.url, store, POLICY, databases=(0, 3))
