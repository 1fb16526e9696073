"""A change counts as noticed only when a test fails: whatever else may come of a test run says nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_RUN = """
import json, sys
from pathlib import Path
from mutants.forked_tests import start
found = {}
for test in sys.argv[2:]:
    found[test] = start(Path(sys.argv[1]), [test], timeout_s=5.0 if "endless" in test else 500.0).wait()
print(json.dumps(found))
"""

_TESTS = {
    "test_passes.py": "def test(): pass",
    "test_fails.py": "def test(): assert False",
    "test_raises.py": "def test(): raise ValueError",
    "test_skips.py": "import pytest\ndef test(): pytest.skip()",
    "test_has_no_fixture.py": "import pytest\n@pytest.fixture\ndef server(): raise OSError\ndef test(server): pass",
    "test_waits.py": "def test(): raise TimeoutError('the server did not start')",
    "test_hangs.py": "import time, pytest\n@pytest.mark.timeout(1)\ndef test(): time.sleep(60)",
    "test_endless.py": "import time, pytest\n@pytest.mark.timeout(0)\ndef test(): time.sleep(60)",
    "test_is_not_collected.py": "import nothing_of_that_name\ndef test(): pass",
    "test_is_empty.py": "",
    "test_dies.py": "import os\ndef test(): os._exit(1)",
}


@pytest.mark.timeout(600)
def test_only_a_test_that_fails_has_noticed(tmp_path: Path) -> None:
    """A failure counts; a test that can't be collected, times out, is skipped, or has no server doesn't."""
    for name, text in _TESTS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ran = subprocess.run(  # our own interpreter
        [sys.executable, "-c", _RUN, str(tmp_path), *_TESTS],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == {
        "test_passes.py": "survived",
        "test_fails.py": "killed",
        "test_raises.py": "killed",
        "test_skips.py": "survived",
        "test_has_no_fixture.py": "doubtful",
        "test_waits.py": "doubtful",
        "test_hangs.py": "timeout",
        "test_endless.py": "timeout",
        "test_is_not_collected.py": "not run",
        "test_is_empty.py": "not run",
        "test_dies.py": "not run",
    }
