"""Journal objects as columns: a batch's changes to parquet and back.

Sorted by key, so that names of one family share their beginnings with their neighbours and compress to a few bytes
each. Objects of this version say so: their names carry a checksum, by which they are proven before anybody reads them. What doesn't
say so is of version 0.1, or damaged, and is tried in another process first. Knows nothing of where the objects lie.
"""

from __future__ import annotations

import io
from typing import Final

import polars as pl

from redis_ttl.adapters.store.parquet_trial import TRIAL
from redis_ttl.domain.errors import DamagedDocument, NewerDocument
from redis_ttl.domain.policy.actions import Action
from redis_ttl.domain.rollback.journal import JOURNAL_COLUMNS

#: The type of a column of actions, by their names.
ACTIONS: Final = pl.Enum([action.value for action in Action])
JOURNAL_TYPES: Final[dict[str, pl.DataType | type[pl.DataType]]] = dict(
    zip(JOURNAL_COLUMNS, (pl.Binary, pl.Int32, pl.Int32, pl.Int64, pl.Int64, ACTIONS), strict=True)
)

_MAGIC: Final = b"PAR1"
#: What the file says about itself, which is at its end, has less.
_FOOTER_BYTES: Final = 64 * 1024
#: Measured on the incident's keys: level 9 saves a tenth of the bytes and takes three times as long.
_LEVEL: Final = 3
#: In the file's own words about itself.
_MARK: Final = "redis_ttl.journal"
#: 3 added ``action``.
_VERSION: Final = 3


def journal_bytes(changes: pl.DataFrame) -> bytes:
    """The journal object of these changes, which have the journal's columns and may have others."""
    buffer = io.BytesIO()
    rows = changes.select(pl.col(name).cast(kind) for name, kind in JOURNAL_TYPES.items()).sort("key")
    # As text, so that another version's list of actions, or another tool, reads it too.
    rows.with_columns(pl.col("action").cast(pl.String)).write_parquet(
        buffer, compression="zstd", compression_level=_LEVEL, statistics=False, metadata={_MARK: str(_VERSION)}
    )
    return buffer.getvalue()


def journal_rows(data: bytes) -> pl.DataFrame:
    """The rows of a journal object: the columns of `JOURNAL_COLUMNS`, in the order of the keys.

    Raises `DamagedDocument` for what is no journal object, and `NewerDocument` for one of a later version.
    """
    if data[:4] != _MAGIC or data[-4:] != _MAGIC:
        # Cut off, most likely. What the parser makes of such bytes isn't always an error: it may end the process.
        raise DamagedDocument(
            "this journal object isn't whole",
            found=f"{len(data):,} bytes",
            allowed="a parquet file from its start to its end",
        )
    if _MARK.encode() not in data[-_FOOTER_BYTES:]:
        TRIAL.require(data)
    try:
        _refuse_newer(pl.read_parquet_metadata(io.BytesIO(data)).get(_MARK, "1"))
        table = pl.read_parquet(io.BytesIO(data))
        if "action" not in table.columns:
            table = table.with_columns(_ACTION_BEFORE_3)
        return table.select(pl.col(name).cast(kind) for name, kind in JOURNAL_TYPES.items())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise DamagedDocument(
            "this journal object can't be made sense of", found=f"{len(data):,} bytes: {str(error)[:120]}"
        ) from error


def _refuse_newer(version: str) -> None:
    if int(version) > _VERSION:
        raise NewerDocument(
            "this journal object was written by a newer version of redis_ttl",
            found=f"version {version}",
            allowed=f"1 to {_VERSION}",
            todo="Install the version that wrote it, or a newer one, on every machine of this Airflow.",
        )


#: Versions without ``action`` knew two: who had no TTL got one, and the others a shorter one. A rollback's row has it the other way round.
_ACTION_BEFORE_3: Final = (
    pl.when(pl.any_horizontal(pl.col("was_ms", "set_ms").is_null()))
    .then(pl.lit(Action.SET.value))
    .otherwise(pl.lit(Action.CAP.value))
    .alias("action")
)
