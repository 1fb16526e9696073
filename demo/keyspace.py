"""Loads the incident's keyspace into the demo's server, or finds it loaded already."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from demo.failure import with_log
from demo.home import Home, read_json, read_text

if TYPE_CHECKING:
    from demo.processes import Process, Processes
    from demo.valkey_server import Valkey

FULL_KEYS = 6_693_836
_FULL_MAXMEMORY_BYTES = round(2.32 * 2**30)
_INCIDENT_MEMORY_RATIO = 0.875
# A small keyspace takes a little more memory a key, and a server some for itself.
_SLACK_BYTES = 64 * 2**20
_SEED = 1
_NAME = "load"


class Keyspace:
    """The keys of the incident, ``keys`` of them, on one server."""

    def __init__(self, home: Home, processes: Processes, server: Valkey, keys: int) -> None:
        self._home = home
        self._processes = processes
        self._server = server
        self._process: Process | None = None
        self.keys = keys

    def is_loaded(self) -> bool:
        """Whether the server holds these keys, all of them: none has expired or was added since they were loaded."""
        manifest = self.manifest()
        return manifest is not None and manifest["keys"] == self.keys == self._server.keys()

    def manifest(self) -> dict[str, Any] | None:
        """What an audit must find: ``keys``, ``no_ttl_keys``, and ``patterns`` with the same for each."""
        found = read_json(self._home.keyspace)
        return found if isinstance(found, dict) else None

    @property
    def room_bytes(self) -> int:
        """The ``maxmemory`` to start the server with."""
        return round(_FULL_MAXMEMORY_BYTES * self.keys / FULL_KEYS) + _SLACK_BYTES

    def start_loading(self) -> None:
        """Begin to load in the background."""
        self._processes.stop([_NAME])
        self._home.keyspace.unlink(missing_ok=True)
        command = [sys.executable, "-m", "redis_ttl.cli.main", "demo", "load", self._server.url]
        command += ["--keys", str(self.keys), "--seed", str(_SEED), "--json"]
        self._process = self._processes.start(_NAME, command, cwd=self._home.root)

    def finish_loading(self) -> bool:
        """Whether all keys are there; when they are, the server's limit is set so that it is as full as the incident's.

        Raises DemoFailed when the loader gave up.
        """
        if self._process is None:
            return True
        code = self._processes.exit_code(self._process)
        if code is None:
            return False
        log = self._processes.log(_NAME)
        if code:
            raise with_log("the keyspace could not be loaded", log)
        text = read_text(log)
        self._home.keyspace.write_text(json.dumps(json.loads(text[text.index("{\n") :])))
        self._server.limit_memory(round(self._server.used_memory_bytes() / _INCIDENT_MEMORY_RATIO))
        self._processes.stop([_NAME])
        self._process = None
        return True

    def progress(self) -> str:
        """The loader's last word on how far it is."""
        lines = read_text(self._processes.log(_NAME)).splitlines()
        return lines[-1] if lines else "starting"
