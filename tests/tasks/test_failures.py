from __future__ import annotations

import logging

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from redis_ttl.domain.errors import AuthenticationFailed, ConnectionLost
from redis_ttl.tasks.failures import clear_failure


def test_what_trying_again_cannot_help_is_never_retried(caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password becomes the exception that Airflow doesn't retry, with our text in the log first and no chain of
    causes.
    """
    with caplog.at_level(logging.ERROR), pytest.raises(AirflowFailException) as caught, clear_failure():
        raise AuthenticationFailed("wrong password", where="10.0.0.1:6379")
    assert str(caught.value) == "10.0.0.1:6379: wrong password"
    assert caught.value.__suppress_context__
    assert caplog.messages == ["10.0.0.1:6379: wrong password"]


def test_a_lost_connection_is_left_to_airflows_retries() -> None:
    """An error that may pass becomes an exception that Airflow retries."""
    with pytest.raises(AirflowException) as caught, clear_failure():
        raise ConnectionLost("the connection was lost", where="10.0.0.1:6379")
    assert not isinstance(caught.value, AirflowFailException)


def test_a_defect_keeps_its_traceback() -> None:
    """An error that isn't the program's own passes through unchanged."""
    with pytest.raises(ZeroDivisionError), clear_failure():
        1 / 0  # noqa: B018
