"""Turns the program's errors into what Airflow acts on and a person reads first. Knows no particular error."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from redis_ttl.domain.errors import RedisTtlError

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)


@contextmanager
def clear_failure() -> Iterator[None]:
    """Fail the task for good when trying again can't help, let Airflow retry it otherwise; either way with our text and
    no stack of causes.

    Errors that aren't the program's own pass through unchanged, with their traceback: they are defects, and retried
    like any other.
    """
    try:
        yield
    except RedisTtlError as error:
        _log.error("%s", error)
        if error.retryable:
            raise AirflowException(str(error)) from None
        raise AirflowFailException(str(error)) from None
