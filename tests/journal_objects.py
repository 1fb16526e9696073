"""Journal objects of rows that a test makes up."""

from __future__ import annotations

import polars as pl

from redis_ttl.adapters.columns import journal
from redis_ttl.domain.policy.actions import Action


def with_actions(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their ``action``: keys that had no TTL got one, and all others a shorter one."""
    return rows.with_columns(
        pl.when(pl.col("was_ms").is_null())
        .then(pl.lit(Action.SET.value))
        .otherwise(pl.lit(Action.CAP.value))
        .alias("action")
    )


def journal_bytes(rows: pl.DataFrame) -> bytes:
    """The journal object of these rows."""
    return journal.journal_bytes(rows if "action" in rows.columns else with_actions(rows))
