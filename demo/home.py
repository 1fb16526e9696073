"""Where everything that the demo makes lies: one folder, so that removing it removes the demo."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.loopback import free_port


@dataclass(frozen=True, slots=True)
class Home:
    """The demo's folder, ``.demo`` in the checkout, and the places in it."""

    checkout: Path

    @property
    def root(self) -> Path:
        """The folder itself."""
        return self.checkout / ".demo"

    @property
    def processes(self) -> Path:
        """One file for each process that runs or ran."""
        return self.root / "processes"

    @property
    def logs(self) -> Path:
        """What each process wrote."""
        return self.root / "logs"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.root / "airflow"

    @property
    def store(self) -> Path:
        """The documents of the audits."""
        return self.root / "store"

    @property
    def keyspace(self) -> Path:
        """What the loaded keyspace consists of, as the loader printed it."""
        return self.root / "keyspace.json"

    @property
    def passwords(self) -> Path:
        """The users' passwords, in the form in which Airflow reads them."""
        return self.root / "passwords.json"

    def make(self) -> None:
        """Make the folders, readable by their owner alone: there are passwords in them."""
        self.root.mkdir(mode=0o700, exist_ok=True)
        for folder in (self.processes, self.logs, self.airflow, self.store):
            folder.mkdir(exist_ok=True)

    def kept_port(self, name: str) -> int:
        """A free loopback port: the one that ``name`` had in the last run where it is free, so that bookmarks keep working."""
        path = self.root / f"{name}.port"
        kept = int(read_text(path) or 0)
        port = (kept and free_port(kept)) or free_port()
        path.write_text(str(port))
        return port


def read_text(path: Path) -> str:
    """What the file holds; nothing when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def read_json(path: Path) -> Any:
    """What the JSON file holds; None when there is none, or half of one."""
    try:
        return json.loads(read_text(path) or "null")
    except ValueError:
        return None


def write_private(path: Path, text: str) -> None:
    """Write the file whole, readable by its owner alone."""
    unfinished = path.with_name(path.name + ".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)
