"""What the project adds to Airflow itself, beside its DAGs. Loaded by every component and every task, so it imports
next to nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from redis_ttl.tasks.pools import MissingPools


class RedisTtlPlugin(AirflowPlugin):
    """Lets a run whose pool doesn't exist fail with a clear error."""

    name = "redis_ttl"
    listeners: ClassVar[list[Any]] = [MissingPools()]
