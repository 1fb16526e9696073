"""Imported before polars: has it compute on one thread.

Each scan has a thread that counts, beside the one that reads. Spreading a batch over more threads takes processor time
from the reading, and from a server on the same machine, for no gain; more shards make more processes. Not a part of
every adapter, because it is read from the environment, which other people's code shares. A value that an operator has
set stays.
"""

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")
