"""The face in a terminal: the same use cases without Airflow."""

import redis_ttl.adapters.counting.polars_threads  # noqa: F401  # before anything that imports polars
