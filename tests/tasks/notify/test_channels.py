"""Messages over Airflow's Slack and SMTP providers, to servers that check what they get."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from lab.loopback import free_port
from lab.services.mail_server import MailServer
from lab.services.slack_endpoint import SlackEndpoint
from redis_ttl.domain.errors import ChannelRefused, ChannelUnavailable
from redis_ttl.domain.incident.messages import EXAMPLES
from redis_ttl.domain.messages.delivery import ChannelKind, Receipt, Route
from redis_ttl.domain.messages.kind import MessageKind
from redis_ttl.messages.rendering import documents_of
from redis_ttl.tasks.notify import channels
from redis_ttl.usecases.store.message_ports import Envelope

BOT = Route(ChannelKind.SLACK, "slack_bot", ("#isales-marketing",))
WEBHOOK = Route(ChannelKind.SLACK_WEBHOOK, "slack_hook")
MAIL = Route(ChannelKind.EMAIL, "mail", ("isales@example.com", "lead@example.com"))


def connect(monkeypatch: pytest.MonkeyPatch, connection: str, **fields: object) -> None:
    """An Airflow connection with these fields."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{connection.upper()}", json.dumps(fields))


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackEndpoint]:
    """Slack, with a bot's and a webhook's connection to it."""
    with SlackEndpoint(channels={"isales-marketing"}, webhooks={"T1/B1/x"}) as endpoint:
        extra = {"base_url": endpoint.api_url}
        connect(monkeypatch, "slack_bot", conn_type="slack", password=endpoint.token, extra=extra)
        host = f"{endpoint.url}/services"
        connect(monkeypatch, "slack_hook", conn_type="slackwebhook", host=host, password="T1/B1/x")
        yield endpoint


def smtp(server: MailServer, **more: object) -> dict[str, Any]:
    """The fields of a connection to that server."""
    extra = {
        "disable_ssl": True,
        "disable_tls": True,
        "from_email": "redis-ttl@example.com",
        "timeout": 5,
        "retry_limit": 0,
    }
    return {"conn_type": "smtp", "host": server.host, "port": server.port, "extra": extra, **more}


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server, with a connection to it."""
    with MailServer() as server:
        connect(monkeypatch, "mail", **smtp(server))
        yield server


def envelope(route: Route, kind: MessageKind = MessageKind.ACTION_REQUIRED, **changes: Any) -> Envelope:
    """The incident's message of that kind in both languages."""
    documents = documents_of(EXAMPLES[kind], languages=("en", "zh"), timezone="Asia/Shanghai")
    return replace(Envelope(route, [each.to_json() for each in documents], "isales.audit.0123.1"), **changes)


@pytest.mark.parametrize("kind", MessageKind)
def test_a_bot_writes_every_kind_of_message(slack: SlackEndpoint, kind: MessageKind) -> None:
    """Slack takes it as it is, and its receipt lets a later one be added to it."""
    receipt = channels.send(envelope(BOT, kind))
    (received,) = slack.received
    assert received.channel == "#isales-marketing"
    assert received.thread_ts is None
    assert "luckyus-isales-market" in received.text
    assert receipt.thread is not None
    assert receipt.channel is not None


def test_a_later_message_goes_below_the_first(slack: SlackEndpoint) -> None:
    """In its thread; what is urgent is shown in the channel as well; and the receipt stays that of the thread."""
    first = channels.send(envelope(BOT))
    calm = channels.send(envelope(BOT, reply_to=(first, "isales.audit.0123.1")))
    loud = channels.send(envelope(BOT, MessageKind.MEMORY_LEVEL, reply_to=(first, "isales.audit.0123.1"), is_loud=True))
    _, second, third = slack.received
    assert (second.thread_ts, second.reply_broadcast) == (first.thread, False)
    assert (third.thread_ts, third.reply_broadcast) == (first.thread, True)
    assert calm.thread == loud.thread == first.thread


def test_a_thread_that_is_gone_begins_anew(slack: SlackEndpoint) -> None:
    """When somebody has deleted the first message, the next one stands by itself."""
    receipt = channels.send(
        envelope(BOT, reply_to=(Receipt("2026-01-01T00:00:00+00:00", "isales-marketing", "1600000000.000001"), "x"))
    )
    (received,) = slack.received
    assert received.thread_ts is None
    assert receipt.thread is not None


@pytest.mark.parametrize("kind", MessageKind)
def test_a_webhook_takes_every_kind_of_message(slack: SlackEndpoint, kind: MessageKind) -> None:
    """And has no threads."""
    assert channels.send(envelope(WEBHOOK, kind)).thread is None
    assert len(slack.received) == 1


@pytest.mark.parametrize(
    ("route", "failure"),
    [
        (BOT, "rate_limited"), (BOT, "server_error"), (BOT, "drop"),
        (WEBHOOK, "rate_limited"), (WEBHOOK, "server_error"), (WEBHOOK, "drop"),
    ],
)  # fmt: skip
def test_what_slack_may_take_later_is_said_so(slack: SlackEndpoint, route: Route, failure: Any) -> None:
    """Too many requests, an error of its own, a lost connection; asked once, and not again by itself."""
    slack.fail_next = [failure]
    with pytest.raises(ChannelUnavailable):
        channels.send(envelope(route))
    assert slack.received == []
    assert slack.fail_next == []


def test_what_slack_never_takes_is_said_so(slack: SlackEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that isn't there, a wrong token, a webhook that was revoked, a connection that doesn't exist."""
    with pytest.raises(ChannelRefused, match="channel_not_found"):
        channels.send(envelope(replace(BOT, to=("#elsewhere",))))
    connect(monkeypatch, "slack_wrong", conn_type="slack", password="xoxb-no", extra={"base_url": slack.api_url})
    with pytest.raises(ChannelRefused, match="invalid_auth"):
        channels.send(envelope(replace(BOT, connection="slack_wrong")))
    connect(monkeypatch, "slack_gone", conn_type="slackwebhook", host=f"{slack.url}/services", password="T1/B1/gone")
    with pytest.raises(ChannelRefused, match="404") as refused:
        channels.send(envelope(replace(WEBHOOK, connection="slack_gone")))
    assert "T1/B1/gone" not in str(refused.value)  # it is a password
    for route in (BOT, WEBHOOK, MAIL):
        with pytest.raises(ChannelRefused, match="there is no such connection"):
            channels.send(envelope(replace(route, connection="nowhere")))


def test_a_mail_has_both_parts(mail: MailServer) -> None:
    """The subject in both scripts, a text and a page in UTF-8, every recipient, an id of its own, and no reply asked of machines."""
    channels.send(envelope(MAIL))
    (received,) = mail.received
    message = received.message
    assert received.rcpt_tos == ["isales@example.com", "lead@example.com"]
    assert message["To"] == "isales@example.com, lead@example.com"
    assert message["Subject"].startswith("[P1] luckyus-isales-market: Redis keys without a TTL")
    assert "请于 2026年2月26日前处理" in message["Subject"]
    assert message["Message-ID"] == "<isales.audit.0123.1@example.com>"
    assert message["In-Reply-To"] is None
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime is not None
    assert message.get_content_type() == "multipart/alternative"
    text, page = message.iter_parts()
    assert (text.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content_charset() == page.get_content_charset() == "utf-8"
    for part in (text.get_content(), page.get_content()):
        assert "MARKETING:COUPON:UNREAD:{userId}" in part
        assert "永不过期" in part


@pytest.mark.parametrize("kind", MessageKind)
def test_every_kind_of_message_is_a_mail(mail: MailServer, kind: MessageKind) -> None:
    """One line of subject, and both languages in both parts."""
    channels.send(envelope(MAIL, kind))
    (received,) = mail.received
    assert "\n" not in received.message["Subject"]
    assert "luckyus-isales-market" in received.message["Subject"]


def test_mails_about_one_thing_are_one_thread(mail: MailServer) -> None:
    """A later one names the first as what it replies to."""
    first = channels.send(envelope(MAIL))
    channels.send(envelope(MAIL, message_id="isales.audit.0123.2", reply_to=(first, "isales.audit.0123.1")))
    _, second = mail.received
    assert second.message["Message-ID"] == "<isales.audit.0123.2@example.com>"
    assert second.message["In-Reply-To"] == second.message["References"] == "<isales.audit.0123.1@example.com>"


def test_small_things_are_one_mail(mail: MailServer) -> None:
    """With a subject that counts them, in each language."""
    two = [envelope(MAIL, kind).documents for kind in (MessageKind.MEMORY_LEVEL, MessageKind.DRIFT_FOUND)]
    channels.send(envelope(MAIL, documents=[*two[0], *two[1]], count=2))
    (received,) = mail.received
    assert received.message["Subject"].startswith("Daily summary: 2 updates")
    assert "每日汇总" in received.message["Subject"]


def test_a_name_makes_no_header(mail: MailServer) -> None:
    """A line end in a name adds no recipient."""
    facts = replace(EXAMPLES[MessageKind.MEMORY_LEVEL], cluster="shop\r\nBcc: everybody@example.com")
    documents = documents_of(facts, languages=("en",), timezone="UTC")
    channels.send(envelope(MAIL, documents=[each.to_json() for each in documents]))
    (received,) = mail.received
    assert received.rcpt_tos == ["isales@example.com", "lead@example.com"]
    assert received.message["Bcc"] is None


def test_what_a_mail_server_may_take_later_is_said_so(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary refusal, a lost connection, nobody there."""
    for failure in ("451", "drop"):
        mail.fail_next = [failure]
        with pytest.raises(ChannelUnavailable):
            channels.send(envelope(MAIL))
    connect(monkeypatch, "mail_away", **(smtp(mail) | {"port": free_port()}))
    with pytest.raises(ChannelUnavailable):
        channels.send(envelope(replace(MAIL, connection="mail_away")))
    assert mail.received == []


def test_what_a_mail_server_never_takes_is_said_so(mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipients that it doesn't know, a wrong password, a connection without a sender."""
    mail.fail_next = ["550"]
    with pytest.raises(ChannelRefused, match="550"):
        channels.send(envelope(MAIL))
    connect(monkeypatch, "mail_nobody", **(smtp(mail) | {"extra": {"disable_ssl": True, "disable_tls": True}}))
    with pytest.raises(ChannelRefused, match="from_email"):
        channels.send(envelope(replace(MAIL, connection="mail_nobody")))
    with MailServer(user="redis-ttl", password="right") as guarded:
        connect(monkeypatch, "mail_guarded", **smtp(guarded, login="redis-ttl", password="wrong"))
        with pytest.raises(ChannelRefused, match="535"):
            channels.send(envelope(replace(MAIL, connection="mail_guarded")))
        connect(monkeypatch, "mail_guarded", **smtp(guarded, login="redis-ttl", password="right"))
        channels.send(envelope(replace(MAIL, connection="mail_guarded")))
        assert len(guarded.received) == 1


@pytest.mark.parametrize("hangs_up", [False, True])
def test_a_mail_server_that_says_nothing_is_asked_once(monkeypatch: pytest.MonkeyPatch, *, hangs_up: bool) -> None:
    """Whether it hangs up at once or never greets: the message may be taken later, and one try is one connection."""
    asked: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    asked.append(connection)
                    if hangs_up:
                        connection.close()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "a@example.com", "timeout": 1}
        connect(
            monkeypatch, "mail_silent", conn_type="smtp", host="127.0.0.1", port=server.getsockname()[1], extra=extra
        )
        with pytest.raises(ChannelUnavailable):
            channels.send(envelope(replace(MAIL, connection="mail_silent")))
        server.shutdown(socket.SHUT_RDWR)
    accepting.join(5)
    for connection in asked:
        connection.close()
    assert len(asked) == 1
