"""Names in a policy file: clusters, connections, people and their addresses, patterns, words of a few."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from redis_ttl.adapters.policy_files.leaves.leaf import MAX_NAME, few_words, leaf, matching, one_of, refuse
from redis_ttl.domain.keys.pattern import KeyPattern, shown
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import Language, Priority

_cluster_name = matching(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{MAX_NAME - 1}}}")


def _cluster(value: str) -> str:
    try:
        return _cluster_name(value)
    except ValueError:
        refuse(shown(value), None, "It becomes part of DAG ids and the name of a folder")


_connection_id = matching(r"[A-Za-z0-9_.-]{1,200}")


def _connection(value: str) -> str:
    if "://" in value:
        # Not shown: it may hold a password, and mistakes end up in logs.
        refuse("a URL", None, "Make an Airflow connection of it and write that id; passwords don't belong in a policy")
    return _connection_id(value)


_YES_OR_NO: Final = {"yes": True, "no": False}


def _yes_or_no(value: str) -> bool:
    if value not in _YES_OR_NO:
        raise ValueError
    return _YES_OR_NO[value]


_slack_channel = matching(r"#[^\s#@,<>:]{1,80}|[CG][A-Z0-9]{8,}")


def _slack(value: str) -> str:
    try:
        return _slack_channel(value)
    except ValueError:
        refuse(shown(value), None, None if value.startswith("#") else f'Write "#{value}", with the quotes')


_user_name = matching(r"[^\s,;:/\\]{1,200}")


_A_CLUSTER = f"a name of letters, digits, `-`, `_` and `.`, at most {MAX_NAME}, beginning with a letter or digit"
_A_CONNECTION = "the id of an Airflow connection: letters, digits, `_`, `-` and `.`"


_AN_ADDRESS = "one e-mail address, as in team@example.com"
_ADDRESS = r"[^\s@<>(),;:\"\[\]\\]{1,64}@(?=.{1,253}$)(?:\w(?:[\w-]{0,61}\w)?\.)+[^\W\d_][\w-]{0,61}\w"


ClusterName = Annotated[str, leaf(_cluster, _A_CLUSTER)]
ConnectionId = Annotated[str, leaf(_connection, _A_CONNECTION)]
Team = Annotated[str, few_words("the name of a team", MAX_NAME)]
SlackChannel = Annotated[str, leaf(_slack, 'a Slack channel, as in "#team"')]
EmailAddress = Annotated[str, leaf(matching(_ADDRESS), _AN_ADDRESS)]
LanguageName = Annotated[str, one_of(*Language)]


YesOrNo = Annotated[bool, leaf(_yes_or_no, "yes or no")]


Note = Annotated[str, few_words("a few words")]


JobName = Annotated[str, few_words("the name of a job", MAX_NAME)]


PoolName = Annotated[str, few_words("the name of an Airflow pool", MAX_NAME)]


Source = Annotated[Literal["primary", "replica"], one_of("primary", "replica")]


UserName = Annotated[str, leaf(_user_name, "the name of an Airflow user")]


PatternText = Annotated[KeyPattern, leaf(KeyPattern, "a pattern such as user:{userId}")]


ModeName = Annotated[str, one_of(*Mode)]
PriorityName = Annotated[str, one_of(*Priority)]


Person = Annotated[str, few_words("the name of the person who agreed")]
Reference = Annotated[str, few_words("a ticket or a link")]
Reason = Annotated[str, few_words("why these keys are never touched")]
