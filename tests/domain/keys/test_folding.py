"""The names of real software fold to what a person would write down."""

from __future__ import annotations

import pytest

from redis_ttl.domain.keys.folding import fold_shapes
from tests.domain.real_names import REAL_NAMES


@pytest.mark.parametrize(("software", "name", "pattern"), REAL_NAMES, ids=lambda value: repr(value)[:60])
def test_real_names_fold_as_a_person_would_write(software: str, name: str, pattern: str) -> None:
    """A name that real software writes folds to the pattern that a person would write down for it."""
    assert fold_shapes(name) == pattern, software
