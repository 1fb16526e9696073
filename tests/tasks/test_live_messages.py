"""Messages on a complete running Airflow, to servers that stand for Slack and mail: to whom, once, in threads, never in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from lab.servers.server import Server
from lab.services.block_kit import words_of_blocks
from lab.services.mail_server import MailServer
from lab.services.slack_endpoint import Received, SlackEndpoint
from redis_ttl.adapters.policy_files.policy_file import load_policy
from tests.tasks.approval_case import ClusterAudit
from tests.tasks.conftest import LiveTests

pytestmark = pytest.mark.timeout(1800)

GATE = "approve_plan"


@dataclass
class Channels:
    """Slack and mail, with connections to them in Airflow."""

    slack: SlackEndpoint
    mail: MailServer

    def in_slack(self, words: str) -> list[Received]:
        """The messages with these words in their notification."""
        return [each for each in self.slack.received if words in each.text]


@pytest.fixture(scope="module")
def channels(live: LiveTests) -> Iterator[Channels]:
    """Both, for all tests of this file."""
    with SlackEndpoint() as slack, MailServer() as mail:
        connection(live, "slack_told", "slack", password=slack.token, extra=json.dumps({"base_url": slack.api_url}))
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "redis-ttl@example.com", "timeout": 5}
        connection(live, "mail_told", "smtp", host=mail.host, port=mail.port, extra=json.dumps(extra))
        yield Channels(slack, mail)


def connection(live: LiveTests, name: str, kind: str, **fields: object) -> None:
    """An Airflow connection."""
    live.airflow.request("POST", "/connections", json={"connection_id": name, "conn_type": kind, **fields})


def policy(live: LiveTests, cluster: str, more: str = "") -> None:
    """Two teams: growth in Slack, cart by mail."""
    (live.policies / f"{cluster}.yaml").write_text(f"""\
cluster: {cluster}
connection: redis_{cluster}
owner: {{team: growth, slack: "#growth-{cluster}", languages: [en, zh], timezone: Asia/Shanghai}}
owners:
  - {{team: cart, email: [cart@example.com]}}
messages: {{slack_connection: slack_told, smtp_connection: mail_told}}
audit: {{schedule: none, load: fast}}
watch: {{schedule: none}}
remediation: {{approvers: [bob], canary: {{watch: 0s}}, rate: unlimited, load: fast}}
rules:
  - {{pattern: "contact:{{n}}", ttl: 60d, priority: P1, sign_off: {{by: Lin Wei, on: 2026-02-20}}}}
  - {{pattern: "cart:{{n}}", ttl: 30d, owner: cart, sign_off: {{by: Ana, on: 2026-02-20}}}}
{more}""")


def run(live: LiveTests, dag_id: str, state: str = "success") -> str:
    """One run, to its end; its id."""
    live.airflow.unpause(dag_id)
    run_id = live.airflow.trigger(dag_id)
    assert live.airflow.wait_run(dag_id, run_id) == state, live.airflow.task_instances(dag_id, run_id)
    return run_id


def test_from_the_audit_to_the_result(live: LiveTests, valkey: Server, channels: Channels) -> None:
    """Each team hears of its own keys, once; of the plan with a link to where it is answered; of the result in the same thread; and
    of keys that come back.
    """
    cluster = "told"
    with valkey.client() as client:
        client.mset({f"contact:{number}": "" for number in range(300)})
        client.mset({f"cart:{number}": "" for number in range(200)})
        pipeline = client.pipeline(transaction=False)
        for number in range(1_500):  # a plan may not change most of a keyspace
            pipeline.set(f"order:{number}", "", ex=86_400)
        pipeline.execute()
    live.connect(f"redis_{cluster}", valkey)
    policy(live, cluster)
    audit, remediate, drift = (f"redis_ttl.{cluster}.{job}" for job in ("audit", "remediate", "drift_check"))
    live.airflow.unpause(drift)
    audited = run(live, audit)

    (growth,) = channels.in_slack("Redis keys without a TTL")
    said = words_of_blocks(growth.blocks)
    assert growth.channel == f"#growth-{cluster}"
    assert "contact:{n}" in said
    assert "cart:{n}" not in said
    assert "永不过期" in said
    assert f"{live.airflow.url}/dags/{audit}/runs/{quote(audited, safe='')}" in json.dumps(growth.blocks)
    (cart,) = channels.mail.received
    assert cart.rcpt_tos == ["cart@example.com"]
    text = cart.message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "cart:{n}" in text
    assert "contact:{n}" not in text
    assert "sent over slack" in live.airflow.log(audit, audited, "report")

    again = run(live, audit)
    assert len(channels.in_slack("Redis keys without a TTL")) == len(channels.mail.received) == 1
    assert "was told this already" in live.airflow.log(audit, again, "report")

    asked, run_id = _waiting(live, remediate, channels)
    page = f"{live.airflow.url}/dags/{remediate}/runs/{quote(run_id, safe='')}/tasks/{GATE}/required_actions"
    buttons = [element for block in asked.blocks if block["type"] == "actions" for element in block["elements"]]
    assert {button["url"] for button in buttons} == {page}
    assert "approve TTLs for 200 keys" in channels.mail.received[1].message["Subject"]
    _approve(live, remediate, run_id)
    assert live.airflow.wait_run(remediate, run_id) == "success"
    (result,) = channels.in_slack("TTLs set on 300 keys")
    (first,) = [each for each in channels.slack.received if each is asked]
    assert result.thread_ts is not None
    assert first.thread_ts is None
    assert "TTLs set on 200 keys" in channels.mail.received[2].message["Subject"]
    assert channels.mail.received[2].message["In-Reply-To"] == channels.mail.received[1].message["Message-ID"]

    with valkey.client() as client:
        client.mset({f"contact:{number}": "" for number in range(25)})
    run(live, audit)
    live.airflow.wait(lambda: bool(channels.in_slack("25 new keys without a TTL")), "the drift's message")


def _waiting(live: LiveTests, dag_id: str, channels: Channels) -> tuple[Received, str]:
    """The message that a plan waits, and the run that waits."""
    live.airflow.unpause(dag_id)
    run_id = live.airflow.trigger(dag_id)
    live.airflow.wait(lambda: live.airflow.is_put_to_rest(dag_id, run_id, GATE, attempt=1), "the gate to wait")
    (asked,) = channels.in_slack("approve TTLs for")
    return asked, run_id


def _approve(live: LiveTests, dag_id: str, run_id: str) -> None:
    """As bob, by the form."""
    path = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{GATE}/-1/hitlDetails"
    with live.airflow.client_of("bob") as bob:
        form = bob.get(path).json()["params"]["plan_digest"]
        digest = form["value"] if isinstance(form, dict) else form
        answer = bob.patch(
            path, json={"chosen_options": ["Approve"], "params_input": {"plan_digest": digest, "comment": None}}
        )
    assert answer.status_code == 200, answer.text


def test_a_channel_that_fails_is_tried_again_by_the_watch(live: LiveTests, valkey: Server, channels: Channels) -> None:
    """A run whose message isn't taken is what it would be without messages; the watch sends it when it is due again."""
    cluster = "patient"
    with valkey.client() as client:
        client.mset({f"contact:{number}": "" for number in range(50)})
    live.connect(f"redis_{cluster}", valkey)
    policy(live, cluster)
    channels.slack.fail_next = ["server_error"]
    audit, watch = (f"redis_ttl.{cluster}.{job}" for job in ("audit", "watch"))
    audited = run(live, audit)
    assert "could not be sent to #growth-patient, next try at" in live.airflow.log(audit, audited, "report")
    assert not [each for each in channels.slack.received if each.channel == "#growth-patient"]
    (waiting,) = (live.store / cluster / "messages" / "pending").iterdir()
    waiting.rename(waiting.with_name("20260101T000000" + waiting.name[15:]))  # as if five minutes had passed
    # All keys without a TTL are a level of their own: this look is red, and says so too.
    run(live, watch, "failed")
    told = [each.text for each in channels.slack.received if each.channel == "#growth-patient"]
    assert any("Redis keys without a TTL" in text for text in told)
    assert any("of all keys have no TTL" in text for text in told)
    assert not (live.store / cluster / "messages" / "pending").exists()


def test_without_connections_messages_are_in_the_store(live: LiveTests, valkey: Server) -> None:
    """And the log says what, where, and why."""
    cluster = "quiet"
    with valkey.client() as client:
        client.mset({f"contact:{number}": "" for number in range(50)})
    live.connect(f"redis_{cluster}", valkey)
    policy(live, cluster)
    path = live.policies / f"{cluster}.yaml"
    path.write_text(path.read_text().replace("slack_connection: slack_told, smtp_connection: mail_told", ""))
    audit = f"redis_ttl.{cluster}.audit"
    log = live.airflow.log(audit, run(live, audit), "report")
    assert "is in the store only" in log
    (message,) = (live.store / cluster / "messages").glob("growth.audit.*/0001/message.md")
    assert "`contact:{n}`" in message.read_text()
    assert [line for line in message.read_text().splitlines() if line not in log] == []


def test_a_users_own_dag_tells(live: LiveTests, valkey: Server, channels: Channels, tmp_path: Path) -> None:
    """The notifier in a callback of a DAG that isn't the project's says what the newest audit found."""
    cluster = "noted"
    with valkey.client() as client:
        client.mset({f"contact:{number}": "" for number in range(70)})
    policy(live, cluster)
    audit_id = "20260101T000000Z-000000"
    policy_of = load_policy(live.policies / f"{cluster}.yaml")
    ClusterAudit(valkey.url, live.store, policy=policy_of, audit_id=audit_id).run()
    draft = tmp_path / "own.py"
    draft.write_text("""\
from airflow.sdk import DAG, task

from redis_ttl.tasks.notifiers import TtlNotifier

with DAG("my_own_dag", schedule=None, on_success_callback=TtlNotifier(cluster="noted", kind="action_required")):

    @task
    def work():
        pass

    work()
""")
    draft.rename(live.own_dags / "own.py")
    run(live, "my_own_dag")

    def told() -> list[Any]:
        return [each for each in channels.slack.received if each.channel == f"#growth-{cluster}"]

    live.airflow.wait(lambda: bool(told()), "the callback's message")
    assert "70" in words_of_blocks(told()[0].blocks)
