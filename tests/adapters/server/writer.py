"""Run as a program: grows or shrinks a keyspace over a unix socket while somebody else reads it.

    python writer.py SOCKET grow|shrink FIRST LAST

sets, or deletes, the keys "other:FIRST" to "other:LAST", a hundred in each round trip.
"""

from __future__ import annotations

import sys

import redis


def main(path: str, action: str, first: int, last: int) -> None:
    """Write all of it, then end."""
    client = redis.Redis(unix_socket_path=path)
    for start in range(first, last, 100):
        names = [f"other:{number}" for number in range(start, min(start + 100, last))]
        if action == "grow":
            client.mset(dict.fromkeys(names, "x"))
        else:
            client.delete(*names)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
