"""Marked secrets in every field of every connection, a whole cycle with failures, and then a search of everything left behind."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from lab.loopback import free_port
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from lab.services.mail_server import MailServer
from lab.services.slack_endpoint import SlackEndpoint
from tests.tasks.conftest import LiveTests
from tests.tasks.test_live_messages import GATE, _approve, connection, run

pytestmark = pytest.mark.timeout(1800)

NAMES = ("read", "write", "sentinel", "slack", "webhook", "mail", "wrong", "silent", "signing")
#: What is planted: a password with characters that are written in another way in addresses.
MARKS = {name: f"Mark+{name}/7f3a9c&0e77" for name in NAMES}
#: A signing key that looks like a password is refused before anything is signed.
MARKS["signing"] = base64.b64encode(hashlib.sha256(b"the mark of the signing key").digest()).decode()
#: Connections of other parts of the product, which this search covers, too: id, type, fields.
OTHERS = (("redis_ttl_signing", "generic", {"password": MARKS["signing"]}),)


def forms_of(mark: str) -> set[bytes]:
    """A mark as it is, in addresses, in base64 (at each of its three places) and in hex."""
    raw = mark.encode()
    forms = {
        raw,
        quote(mark).encode(),
        quote(mark, safe="").encode(),
        raw.hex().encode(),
        json.dumps(mark)[1:-1].encode(),
    }
    for shift in range(3):
        # Without the ends, which depend on what stands beside it.
        forms |= {encode(b"x" * shift + raw)[4:-4] for encode in (base64.b64encode, base64.urlsafe_b64encode)}
    return forms


def leaks(content: bytes) -> set[str]:
    """The names of the marks that are in it."""
    return {name for name, mark in MARKS.items() if any(form in content for form in forms_of(mark))}


@contextmanager
def watched_processes() -> Iterator[set[str]]:
    """Looks at the command line of every process, again and again; the marks that were seen."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.update(leaks(path.read_bytes()))
                except OSError:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with a user that reads and one that writes."""
    users = (f"user {name} on >{MARKS[name]} ~* &* +@all" for name in ("read", "write"))
    with run_server(VALKEY, *users, password="default-of-the-test") as running:
        yield running


def _policy(live: LiveTests, cluster: str, reader: str, writer: str, owner: str) -> None:
    (live.policies / f"{cluster}.yaml").write_text(f"""\
cluster: {cluster}
connection: {reader}
write_connection: {writer}
owner: {owner}
messages: {{slack_connection: marked_slack, smtp_connection: marked_mail}}
audit: {{schedule: none, load: fast}}
watch: {{schedule: none}}
remediation: {{approvers: [bob], canary: {{watch: 0s}}, rate: unlimited, load: fast}}
rules:
  - {{pattern: "contact:{{n}}", ttl: 60d, priority: P1, sign_off: {{by: Lin Wei, on: 2026-02-20}}}}
""")


def test_no_secret_is_left_anywhere(live: LiveTests, server: Server) -> None:
    """After audits, plans, an approval, writes, verifications, drift, watch, messages and a rollback, with refused passwords, silent
    servers and silent channels among them, no mark is in the store, in any log, in Airflow's database or in a process' arguments.
    """
    with (
        SlackEndpoint(token=MARKS["slack"]) as slack,
        MailServer(user="ttl", password=MARKS["mail"]) as mail,
        watched_processes() as seen,
    ):
        live.connect("marked_read", server, login="read", password=MARKS["read"])
        live.connect("marked_write", server, login="write", password=MARKS["write"])
        live.connect("marked_wrong", server, login="read", password=MARKS["wrong"])
        nobody = {
            "sentinel": f"127.0.0.1:{free_port()}",
            "sentinel_master": "m",
            "sentinel_password": MARKS["sentinel"],
        }
        connection(live, "marked_silent", "redis", password=MARKS["silent"], extra=json.dumps(nobody))
        connection(live, "marked_slack", "slack", password=slack.token, extra=json.dumps({"base_url": slack.api_url}))
        closed = f"http://127.0.0.1:{free_port()}/services"
        connection(live, "marked_webhook", "slackwebhook", host=closed, password=MARKS["webhook"])
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "redis-ttl@example.com", "timeout": 5}
        fields = {"host": mail.host, "port": mail.port, "login": "ttl", "password": MARKS["mail"]}
        connection(live, "marked_mail", "smtp", **fields, extra=json.dumps(extra))
        for name, kind, others in OTHERS:
            connection(live, name, kind, **others)
        with server.client(password="default-of-the-test") as client:
            client.mset({f"contact:{number}": "" for number in range(300)})
            pipeline = client.pipeline(transaction=False)
            for number in range(1_500):
                pipeline.set(f"order:{number}", "", ex=86_400)
            pipeline.execute()
        slack_owner = '{team: growth, slack: "#growth", email: [a@example.com]}'
        _policy(live, "marked", "marked_read", "marked_write", slack_owner)
        webhook_owner = "{team: growth, slack_webhook: marked_webhook}"
        _policy(live, "unheard", "marked_read", "marked_wrong", webhook_owner)
        _policy(live, "refused", "marked_wrong", "marked_wrong", webhook_owner)
        _policy(live, "lost", "marked_silent", "marked_silent", webhook_owner)

        audit, remediate, rollback, watch = (
            f"redis_ttl.marked.{job}" for job in ("audit", "remediate", "rollback", "watch")
        )
        live.airflow.unpause("redis_ttl.marked.drift_check")
        run(live, audit)
        live.airflow.unpause(remediate)
        run_id = live.airflow.trigger(remediate)
        live.airflow.wait(lambda: live.airflow.is_put_to_rest(remediate, run_id, GATE, attempt=1), "the gate")
        _approve(live, remediate, run_id)
        assert live.airflow.wait_run(remediate, run_id) == "success"
        run(live, watch)
        (plan,) = (path.stem for path in (live.store / "marked" / "plans").iterdir())
        live.airflow.unpause(rollback)
        taken_back = live.airflow.trigger(rollback, plan=plan, dry_run=False)
        assert live.airflow.wait_run(rollback, taken_back) == "success"
        run(live, "redis_ttl.unheard.audit")
        for dag_id in ("redis_ttl.refused.watch", "redis_ttl.lost.watch", "redis_ttl.refused.audit"):
            run(live, dag_id, "failed")
        assert slack.received
        assert mail.received
    assert not seen
    found = {}
    for path in sorted(live.airflow.home.rglob("*")):
        if path.is_file() and path.name != "airflow.cfg":
            marks = leaks(path.read_bytes())
            if marks:
                found[str(path.relative_to(live.airflow.home))] = marks
    assert not found


@pytest.mark.parametrize("name", NAMES)
def test_the_search_finds_what_is_planted(name: str) -> None:
    """A mark in the middle of anything is found as it is, in an address, in hex, and in base64 whatever stands before it."""
    raw = MARKS[name].encode()
    for content in (
        raw,
        quote(raw).encode(),
        raw.hex().encode(),
        *(base64.b64encode(b"x" * at + raw) for at in range(4)),
    ):
        assert leaks(b"before " + content + b" behind") == {name}
    assert not leaks(b"Mark+ and nothing more")
