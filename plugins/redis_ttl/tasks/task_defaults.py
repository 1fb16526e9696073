"""What the tasks of several DAGs have in common: how they are tried again, and what Airflow keeps of what they return."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

#: Of a task that may be done again, to the same effect: a lost connection is no reason to give up.
RETRIES: Final[dict[str, Any]] = {
    "retries": 5,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
}
#: A task's dict is one XCom, not one for each key, and the log says in words what came of it.
QUIET: Final[dict[str, Any]] = {"multiple_outputs": False, "show_return_value_in_logs": False}
