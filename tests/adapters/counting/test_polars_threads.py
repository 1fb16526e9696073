"""Each face has polars compute on one thread, unless an operator wants more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SIZE = "import polars; print(polars.thread_pool_size())"


@pytest.mark.parametrize("first", ["redis_ttl.cli.main", "redis_ttl.tasks.polars_memory"])
@pytest.mark.parametrize(("wanted", "expected"), [(None, "1"), ("3", "3")])
def test_threads_of_a_face(first: str, wanted: str | None, expected: str) -> None:
    """A process that begins with a face's first module has one thread of polars, or as many as its environment says."""
    environment = {name: value for name, value in os.environ.items() if name != "POLARS_MAX_THREADS"}
    if wanted is not None:
        environment["POLARS_MAX_THREADS"] = wanted

    done = subprocess.run(
        [sys.executable, "-c", f"import {first}; {_SIZE}"], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == [expected]
