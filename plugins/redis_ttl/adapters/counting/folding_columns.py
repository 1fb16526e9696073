"""The first stage of folding on whole columns: the same steps as `domain.keys.folding`, run by polars.

It must not decide anything about folding: which text becomes which placeholder is said in `domain.keys.folding` alone. What
it adds is speed. Most names need one replacement, so each further step is tried only on the rows that it can change.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from redis_ttl.domain.keys.folding import LONGEST_BYTES, PLAIN, SPECIAL, STAGES, TOO_LONG, Step
from redis_ttl.domain.keys.name import key_text


def key_texts(keys: pl.Series) -> pl.Series:
    """The text of each key of a Binary column, as `domain.keys.name.key_text` gives it."""
    try:
        return keys.cast(pl.String)
    except pl.exceptions.ComputeError:
        # Polars doesn't say which rows are not UTF-8: those without a byte beyond ASCII are, the others go one by one.
        beyond_ascii = (keys.cast(pl.List(pl.UInt8)).list.max() > _LAST_ASCII).fill_null(value=False)
        rows = beyond_ascii.arg_true()
        texts = pl.Series([key_text(key) for key in keys.gather(rows)], dtype=pl.String)
        blank = pl.Series(keys.name, [b""], dtype=pl.Binary)
        return _with_rows(_with_rows(keys, rows, blank.gather(_numbers(len(rows)) * 0)).cast(pl.String), rows, texts)


_LAST_ASCII = 0x7F


def fold_shapes(texts: pl.Series) -> pl.Series:
    """The pattern of each name of a String column by shape: row by row what `domain.keys.folding.fold_shapes` gives."""
    special = texts.str.contains(SPECIAL)
    plain_rows, special_rows = (~special).arg_true(), special.arg_true()
    plain, folded = _replace(PLAIN, texts.gather(plain_rows)), texts.gather(special_rows)
    for stage in STAGES:
        rows = _rows_with(stage.needs, folded)
        part = folded.gather(rows)
        for step in stage.steps:
            part = _apply(step, part)
        folded = _with_rows(folded, rows, part)
    places = _numbers(len(texts)).scatter(pl.concat([plain_rows, special_rows]), _numbers(len(texts)))
    patterns = pl.concat([plain, folded], rechunk=True).gather(places)
    too_long = (patterns.str.len_bytes() > LONGEST_BYTES).arg_true()
    return _with_rows(patterns, too_long, pl.Series([TOO_LONG]).new_from_index(0, len(too_long)))


def _apply(step: Step, texts: pl.Series) -> pl.Series:
    rows = _rows_with(step.needs, texts)
    if rows.is_empty():
        return texts
    folded = _replace(step, texts.gather(rows))
    # What a round didn't need to touch, no later round does.
    return _with_rows(texts, rows, _apply(replace(step, rounds=step.rounds - 1), folded) if step.rounds > 1 else folded)


def _replace(step: Step, texts: pl.Series) -> pl.Series:
    if step.quick is None:
        return texts.str.replace_all(step.regex, step.template)
    quickly = texts.str.replace_all(step.quick.regex, step.quick.template)
    others = _rows_with(step.quick.unless, texts)
    return _with_rows(quickly, others, texts.gather(others).str.replace_all(step.regex, step.template))


def _rows_with(regex: str, texts: pl.Series) -> pl.Series:
    return texts.str.contains(regex).arg_true()


def _with_rows(column: pl.Series, rows: pl.Series, values: pl.Series) -> pl.Series:
    # Not Series.scatter, which works in place. One chunk, because a gather from several is twenty times slower.
    if rows.is_empty():
        return column
    sources = _numbers(len(column)).scatter(rows, _numbers(len(rows)) + len(column))
    return pl.concat([column, values], rechunk=True).gather(sources)


def _numbers(count: int) -> pl.Series:
    return pl.arange(0, count, dtype=pl.UInt32, eager=True)
