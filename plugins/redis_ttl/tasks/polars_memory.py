"""Imported before polars: has it compute on one thread, and its allocator give freed memory back at once.

A task's process begins with some 140 MiB of Airflow, and a scan's peak is promised to stay below 300. Left to itself,
the allocator keeps 50 to 80 MiB of freed batches for later; giving them back costs the scan about a fifth of its own
processor time, and the server none. A value that an operator has set stays.
"""

import os

import redis_ttl.adapters.counting.polars_threads  # noqa: F401  # says why one

os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
