from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.definitions.param import ParamsDict

from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.domain.audit.audit import AuditOptions
from redis_ttl.domain.errors import InvalidOption
from redis_ttl.tasks.audit.form import form_of, options_of
from tests.tasks.conftest import policy_text

if TYPE_CHECKING:
    from pathlib import Path


def answers(policies: Path, audit: str = "{schedule: none}", **given: Any) -> dict[str, Any]:
    """What a run gets when somebody fills in only these fields of the form."""
    (policies / "one.yaml").write_text(policy_text("one", audit=audit))
    fields = ParamsDict(dict(form_of(load_policy(policies / "one.yaml"))))
    fields.update(given)
    filled: dict[str, Any] = fields.validate()
    return filled


def test_an_untouched_form_means_what_the_policy_says(policies: Path) -> None:
    """Scheduled runs, which nobody fills in a form for, have the policy's settings."""
    audit = "{schedule: none, load: fast, shards: 8, sample: 5%, db: all, source: replica, parallel: 3}"
    assert options_of(answers(policies, audit), connection_db=0, parallel=3) == AuditOptions(
        "fast", 8, 5.0, "replica", "all", 3
    )


def test_an_empty_database_is_the_connections(policies: Path) -> None:
    """Where neither policy nor form names a database, the connection's is read."""
    assert options_of(answers(policies), connection_db=7, parallel=4).databases == (7,)


@pytest.mark.parametrize(("answer", "databases"), [("all", "all"), ("3", (3,)), (" 3, 0,3 ", (0, 3))])
def test_databases_are_read_as_people_write_them(policies: Path, answer: str, databases: object) -> None:
    """All, one, or several with commas."""
    assert options_of(answers(policies, db=answer), connection_db=0, parallel=4).databases == databases


@pytest.mark.parametrize("answer", ["db3", "-1", "0;3", "٣"])
def test_a_database_that_is_none_is_refused(policies: Path, answer: str) -> None:
    """The form doesn't take it; where it comes by another way, the error repeats the answer and says what is possible."""
    with pytest.raises(Exception, match="Invalid input for param"):
        answers(policies, db=answer)
    with pytest.raises(InvalidOption, match="0,3"):
        options_of(answers(policies) | {"db": answer}, connection_db=0, parallel=4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shards": 0},
        {"shards": 65},
        {"sample_percent": -1},
        {"sample_percent": 101},
        {"source": "master"},
        {"load": "fsat"},
    ],
)
def test_the_form_itself_refuses_what_is_out_of_range(policies: Path, wrong: dict[str, Any]) -> None:
    """Airflow doesn't start a run with such an answer."""
    with pytest.raises(Exception, match="Invalid input for param"):
        answers(policies, **wrong)


def test_a_policy_without_sampling_makes_a_form_without_sampling(policies: Path) -> None:
    """``sample: 0%`` is a setting like any other: the form takes it for its default and the audit asks no key."""
    assert options_of(answers(policies, "{sample: 0%}"), connection_db=0, parallel=4).sample_percent == 0.0


def test_a_share_that_is_no_number_is_refused(policies: Path) -> None:
    """NaN is within every bound of JSON Schema, and samples nothing."""
    with pytest.raises(InvalidOption, match="from 0 to 100"):
        options_of(answers(policies, sample_percent=float("nan")), connection_db=0, parallel=4)
