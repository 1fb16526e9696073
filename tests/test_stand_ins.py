"""The servers that stand for Slack and for a mail server refuse what those refuse, so that tests of delivery mean something."""

from __future__ import annotations

import http.client
import json
import smtplib
import socket
import threading
from email.message import EmailMessage
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from lab.services.block_kit import problems_of
from lab.services.mail_server import MailServer
from lab.services.slack_endpoint import SlackEndpoint
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]


@pytest.fixture
def slack() -> Iterator[SlackEndpoint]:
    """A Slack with one channel and any webhook."""
    with SlackEndpoint(token="xoxb-right", channels={"C0123456789"}) as endpoint:
        yield endpoint


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server that takes mail from everybody."""
    with MailServer() as server:
        yield server


def client_of(endpoint: SlackEndpoint, token: str | None = "xoxb-right", timeout: int = 20) -> WebClient:
    """A client that tries once; as it is made by default it tries again when a connection is lost."""
    return WebClient(token, base_url=endpoint.api_url, timeout=timeout, retry_handlers=[])


def hook_of(endpoint: SlackEndpoint, timeout: int = 20) -> WebhookClient:
    """A client of the endpoint's webhook that tries once."""
    return WebhookClient(endpoint.webhook_url, timeout=timeout, retry_handlers=[])


def post(endpoint: SlackEndpoint, **message: Any) -> Any:
    """Post a message to the channel that there is."""
    return client_of(endpoint).chat_postMessage(**{"channel": "C0123456789", "text": "hello", **message})


def refusal(call: Callable[[], Any]) -> Json:
    """What Slack answers to a call that it refuses."""
    with pytest.raises(SlackApiError) as caught:
        call()
    return dict(caught.value.response.data)


def raw_post(url: str, body: str, **headers: str) -> tuple[int, str]:
    """The status and the body that answer a request with exactly that body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request("POST", parts.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def plain(text: str) -> Json:
    """A text object without markup."""
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str, **more: Any) -> Json:
    """A text object with markup, whose plain names mention nobody."""
    return {"type": "mrkdwn", "text": text, "verbatim": True, **more}


def header(size: int) -> Json:
    """A header of that many characters."""
    return {"type": "header", "text": plain("h" * size)}


def section(text: str = "hello", **more: Any) -> Json:
    """A section with that text."""
    return {"type": "section", "text": mrkdwn(text), **more}


def fields(count: int, size: int) -> Json:
    """A section of that many fields, each of that many characters."""
    return {"type": "section", "fields": [mrkdwn("f" * size)] * count}


def context(count: int, size: int = 1) -> Json:
    """A context of that many texts, each of that many characters."""
    return {"type": "context", "elements": [mrkdwn("c" * size)] * count}


def button(text: str = "Open", **more: Any) -> Json:
    """A button."""
    return {"type": "button", "text": plain(text), **more}


def actions(*buttons: Json) -> Json:
    """A row of buttons."""
    return {"type": "actions", "elements": list(buttons)}


def numbered(count: int) -> list[Json]:
    """That many buttons with names of their own."""
    return [button(action_id=str(number)) for number in range(count)]


GOOD_BLOCKS = [
    header(20),
    section("*Keys* without a TTL: <https://example.org/a?b=1&amp;c=2|the report> &lt;orders&gt;", block_id="summary"),
    {"type": "section", "fields": [mrkdwn("one"), plain("<two> & three")], "expand": True},
    section("with a button", accessory=button(action_id="look", url="http://localhost:8080/x", value="1")),
    {"type": "divider"},
    context(2),
    actions(
        button(action_id="a", style="primary", accessibility_label="Open the report"),
        button(action_id="b", style="danger"),
    ),
]


#: What has a limit: a message by the number that is limited, and the highest number.
def rich(*pieces: Json, kind: str = "rich_text_section", **more: Any) -> Json:
    """A block of rich text with one element of these pieces."""
    return {"type": "rich_text", "elements": [{"type": kind, "elements": list(pieces), **more}]}


def word(text: str, **more: Any) -> Json:
    """A piece of rich text."""
    return {"type": "text", "text": text, **more}


LIMITS: dict[str, tuple[Callable[[int], Json], int]] = {
    "text": (lambda n: {"text": "t" * n}, 40_000),
    "blocks": (lambda n: {"blocks": [{"type": "divider"}] * n}, 50),
    "header": (lambda n: {"blocks": [header(n)]}, 150),
    "section": (lambda n: {"blocks": [section("s" * n)]}, 3000),
    "plain section": (lambda n: {"blocks": [{"type": "section", "text": plain("s" * n)}]}, 3000),
    "fields": (lambda n: {"blocks": [fields(n, 1)]}, 10),
    "field": (lambda n: {"blocks": [fields(1, n)]}, 2000),
    "context": (lambda n: {"blocks": [context(n)]}, 10),
    "context text": (lambda n: {"blocks": [context(1, n)]}, 3000),
    "actions": (lambda n: {"blocks": [actions(*numbered(n))]}, 25),
    "button": (lambda n: {"blocks": [actions(button("b" * n))]}, 75),
    "action_id": (lambda n: {"blocks": [actions(button(action_id="a" * n))]}, 255),
    "url": (lambda n: {"blocks": [actions(button(url="https://x/".ljust(n, "u")))]}, 3000),
    "value": (lambda n: {"blocks": [actions(button(value="v" * n))]}, 2000),
    "rich text": (lambda n: {"blocks": [rich(word("r" * n))]}, 3000),
    "accessibility_label": (lambda n: {"blocks": [actions(button(accessibility_label="l" * n))]}, 75),
    "accessory": (lambda n: {"blocks": [section(accessory=button("b" * n))]}, 75),
    "block_id": (lambda n: {"blocks": [section(block_id="i" * n)]}, 255),
}

#: Messages that are wrong in one thing, by what is wrong, with a part of the reason.
WRONG: dict[str, tuple[Json, str]] = {
    "no text": ({"text": None}, "must be a string"),
    "an empty text": ({"text": ""}, "more than 0 characters"),
    "a blank text": ({"text": " \n"}, "more than 0 characters"),
    "a number for a text": ({"text": 7}, "must be a string"),
    "blocks that are no array": ({"blocks": {"type": "divider"}}, "must be an array"),
    "a block that is no object": ({"blocks": ["divider"]}, "must be an object"),
    "an unknown block": ({"blocks": [{"type": "table"}]}, "unsupported type: table"),
    "a block without a type": ({"blocks": [{"text": plain("x")}]}, "unsupported type: None"),
    "an unknown field": ({"blocks": [{"type": "divider", "text": plain("x")}]}, "no field of this name: text"),
    "a header without a text": ({"blocks": [{"type": "header"}]}, "missing required field: text"),
    "a header with markup": ({"blocks": [{"type": "header", "text": mrkdwn("x")}]}, "unsupported type: mrkdwn"),
    "an empty header": ({"blocks": [header(0)]}, "more than 0 characters"),
    "an empty section": ({"blocks": [section("")]}, "more than 0 characters"),
    "rich text of nothing": ({"blocks": [{"type": "rich_text", "elements": []}]}, "at least one item"),
    "an empty piece": ({"blocks": [rich(word(""))]}, "more than 0 characters"),
    "a section without pieces": ({"blocks": [rich()]}, "at least one item"),
    "a mention": ({"blocks": [rich({"type": "broadcast", "range": "channel"})]}, "unsupported type: broadcast"),
    "a user": ({"blocks": [rich({"type": "user", "user_id": "U1"})]}, "unsupported type: user"),
    "a link elsewhere": ({"blocks": [rich({"type": "link", "url": "javascript:1"})]}, "must be a web address"),
    "an unknown style of words": ({"blocks": [rich(word("x", style={"big": True}))]}, "must be flags"),
    "an unknown element": ({"blocks": [rich(word("x"), kind="rich_text_table")]}, "unsupported type: rich_text_table"),
    "a list of an unknown style": (
        {
            "blocks": [
                {
                    "type": "rich_text",
                    "elements": [
                        {"type": "rich_text_list", "style": "dashed", "elements": rich(word("x"))["elements"]}
                    ],
                }
            ]
        },
        "must be bullet or ordered",
    ),
    "a section of nothing": ({"blocks": [{"type": "section"}]}, "needs text or fields"),
    "a section without fields": ({"blocks": [fields(0, 1)]}, "at least one item"),
    "an empty field": ({"blocks": [fields(1, 0)]}, "more than 0 characters"),
    "expand that is a string": ({"blocks": [section(expand="yes")]}, "must be a boolean"),
    "a text that is a string": ({"blocks": [{"type": "section", "text": "x"}]}, "must be an object"),
    "a text without a text": ({"blocks": [{"type": "section", "text": {"type": "mrkdwn"}}]}, "field: text"),
    "verbatim that is a string": (
        {"blocks": [{"type": "section", "text": mrkdwn("x", verbatim="yes")}]},
        "must be a boolean",
    ),
    "verbatim of a plain text": (
        {"blocks": [{"type": "section", "text": {**plain("x"), "verbatim": True}}]},
        "no field of this name: verbatim",
    ),
    "emoji of a text with markup": (
        {"blocks": [{"type": "section", "text": mrkdwn("x", emoji=True)}]},
        "no field of this name: emoji",
    ),
    "a context of nothing": ({"blocks": [context(0)]}, "at least one item"),
    "elements that are no array": ({"blocks": [{"type": "actions", "elements": button()}]}, "must be an array"),
    "actions without elements": ({"blocks": [{"type": "actions"}]}, "missing required field: elements"),
    "fields that are no array": ({"blocks": [{"type": "section", "fields": plain("x")}]}, "must be an array"),
    "a context without elements": ({"blocks": [{"type": "context"}]}, "missing required field: elements"),
    "an empty context text": ({"blocks": [context(1, 0)]}, "more than 0 characters"),
    "a button in a context": ({"blocks": [{"type": "context", "elements": [button()]}]}, "unsupported type: button"),
    "actions of nothing": ({"blocks": [actions()]}, "at least one item"),
    "a text among actions": ({"blocks": [actions(plain("x"))]}, "unsupported type: plain_text"),
    "a button without a text": ({"blocks": [actions({"type": "button"})]}, "missing required field: text"),
    "an empty button": ({"blocks": [actions(button(""))]}, "more than 0 characters"),
    "a button with markup": ({"blocks": [actions({"type": "button", "text": mrkdwn("x")})]}, "unsupported type"),
    "an unknown field of a button": ({"blocks": [actions(button(link="https://x/"))]}, "name: link"),
    "an unknown style": ({"blocks": [actions(button(style="default"))]}, "must be one of primary, danger"),
    "a link to a script": ({"blocks": [actions(button(url="javascript:x"))]}, "http or https"),
    "a link to nowhere": ({"blocks": [actions(button(url="https:///x"))]}, "http or https"),
    "a link with a space": ({"blocks": [actions(button(url="https://x/a b"))]}, "http or https"),
    "an action_id used twice": (
        {"blocks": [actions(button(action_id="a"), button(action_id="a"))]},
        "action_id a is not unique",
    ),
    "a block_id used twice": ({"blocks": [section(block_id="i"), section(block_id="i")]}, "block_id i is not unique"),
    "an accessory that is no button": ({"blocks": [section(accessory=plain("x"))]}, "unsupported type: plain_text"),
    "attachments": ({"attachments": [{"text": "x"}]}, "is not checked here"),
    "markdown": ({"markdown_text": "x"}, "is not checked here"),
    "names that are linked": ({"link_names": True}, "makes mentions"),
    "names that are parsed": ({"parse": "full"}, "makes mentions"),
}

PINGS = {
    "here": "<!here>",
    "channel": "<!channel> look",
    "a user": "hello <@U012AB3CD>",
    "a channel": "in <#C0123456789|general>",
    "a group": "<!subteam^SAZ94GDB8>",
    "a group without its mark": "<subteam^SAZ94GDB8>",
    "a date": "<!date^1392734382^{date}|then>",
    "inside a link": "<https://x/|<!here>>",
}
LOOSE = {
    "a tag": "<b>",
    "smaller than": "1 < 2",
    "an address of another kind": "<mailto:a@example.org>",
    "a link with a space": "<https://x/a b>",
    "a link without an end": "<https://x/a",
    "an ampersand": "a & b",
    "an ampersand of a link": "<https://x/?a=1&b=2>",
    "another entity": "&quot;",
}
HARMLESS = {
    "entities": "&lt;!here&gt; &amp;",
    "a link": "<https://x/a?b=1&amp;c=2>",
    "a link with a text": "see <http://x/a|the *report*>",
    "a quotation": "> quoted",
    "an address": "a@example.org",
}


def test_web_api_takes_a_good_message(slack: SlackEndpoint) -> None:
    """A message with every kind of block is accepted, kept as it was sent, and answered with its ts."""
    answer = post(slack, text="keys &amp; TTLs", blocks=GOOD_BLOCKS)
    assert answer["ok"] is True
    assert answer["channel"] == "C0123456789"
    assert answer["ts"] == "1700000001.000100"
    [message] = slack.received
    assert message.path == "/api/chat.postMessage"
    assert message.channel == "C0123456789"
    assert message.text == "keys &amp; TTLs"
    assert message.blocks == GOOD_BLOCKS
    assert message.thread_ts is None
    assert message.reply_broadcast is False
    assert message.payload == {"channel": "C0123456789", "text": "keys &amp; TTLs", "blocks": GOOD_BLOCKS}
    assert slack.refused == []


def test_web_api_takes_a_form(slack: SlackEndpoint) -> None:
    """A message in form fields is the same message, with its token in the header or among the fields."""
    form = {"channel": "C0123456789", "text": "ünï & co".replace("&", "&amp;"), "blocks": json.dumps(GOOD_BLOCKS)}
    client_of(slack).api_call("chat.postMessage", params=form)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _ = raw_post(slack.api_url + "chat.postMessage", urlencode({**form, "token": "xoxb-right"}), **kind)
    assert status == 200
    first, second = slack.received
    assert first.payload == second.payload
    assert first.text == "ünï &amp; co"
    assert first.blocks == GOOD_BLOCKS


def test_ts_are_unique_and_increase(slack: SlackEndpoint) -> None:
    """Messages that arrive at once get different ts, and later messages get higher ones."""
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(post(slack)["ts"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8
    assert post(slack)["ts"] > max(found)


def test_threads(slack: SlackEndpoint) -> None:
    """A reply is accepted with the ts of a message of its channel, and says whether it was shown to all."""
    parent = post(slack)["ts"]
    post(slack, thread_ts=parent)
    post(slack, thread_ts=parent, reply_broadcast=True)
    assert [message.thread_ts for message in slack.received] == [None, parent, parent]
    assert [message.reply_broadcast for message in slack.received] == [False, False, True]


@pytest.mark.parametrize(
    ("thread_ts", "error"),
    [
        ("1600000000.000100", "thread_not_found"),
        ("0", "invalid_thread_ts"),
        ("", "invalid_thread_ts"),
        (1700000001.0001, "invalid_thread_ts"),
    ],
)
def test_threads_that_are_not_there(slack: SlackEndpoint, thread_ts: Any, error: str) -> None:
    """A ts that was never given out, or that is none, is refused."""
    post(slack)
    assert refusal(lambda: post(slack, thread_ts=thread_ts))["error"] == error
    assert len(slack.received) == 1
    assert [code for code, _ in slack.refused] == [error]


def test_threads_belong_to_channels() -> None:
    """The ts of another channel's message, or of a reply, begins no thread; a channel's id and name are not mixed up."""
    with SlackEndpoint(token="xoxb-right") as slack:
        parent = post(slack, channel="#redis")["ts"]
        reply = post(slack, channel="redis", thread_ts=parent)["ts"]
        for channel, ts in (("#other", parent), ("#redis", reply)):
            answer = refusal(partial(post, slack, channel=channel, thread_ts=ts))
            assert answer["error"] == "thread_not_found"
        assert post(slack, channel="#redis")["channel"] == post(slack, channel="redis")["channel"]
        assert post(slack, channel="#redis")["channel"] != post(slack, channel="#other")["channel"]


@pytest.mark.parametrize(("token", "error"), [("xoxb-wrong", "invalid_auth"), (None, "not_authed")])
def test_tokens(slack: SlackEndpoint, token: str | None, error: str) -> None:
    """Nobody posts without the right token."""
    answer = refusal(lambda: client_of(slack, token).chat_postMessage(channel="C0123456789", text="hello"))
    assert answer["error"] == error
    assert slack.received == []
    assert slack.refused == [(error, [])]


def test_channels(slack: SlackEndpoint) -> None:
    """A message to a channel that isn't there is refused."""
    assert refusal(lambda: post(slack, channel="#nowhere"))["error"] == "channel_not_found"
    assert slack.received == []


def test_other_requests(slack: SlackEndpoint) -> None:
    """What this endpoint doesn't know, it doesn't pretend to do."""
    assert refusal(lambda: client_of(slack).chat_update(channel="C0123456789", ts="1", text="x"))["error"] == (
        "unknown_method"
    )
    assert raw_post(slack.url + "/elsewhere", "{}")[0] == 404
    kind = {"Content-Type": "application/json", "Authorization": "Bearer xoxb-right"}
    assert "invalid_json" in raw_post(slack.api_url + "chat.postMessage", "{", **kind)[1]


def test_invalid_blocks(slack: SlackEndpoint) -> None:
    """The Web API says what is wrong with each block, and where."""
    answer = refusal(lambda: post(slack, blocks=[header(151), section("")]))
    assert answer["error"] == "invalid_blocks"
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]",
        "[ERROR] must be more than 0 characters [json-pointer:/blocks/1/text/text]",
    ]
    [(error, problems)] = slack.refused
    assert error == "invalid_blocks"
    assert [f"[ERROR] {problem}" for problem in problems] == answer["response_metadata"]["messages"]
    assert slack.received == []


def test_webhook(slack: SlackEndpoint) -> None:
    """A webhook takes a good message and says ok, and refuses a bad one with HTTP 400."""
    answer = hook_of(slack).send(text="hello", blocks=GOOD_BLOCKS)
    assert (answer.status_code, answer.body) == (200, "ok")
    [message] = slack.received
    assert message.path == "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
    assert message.channel is None
    assert message.blocks == GOOD_BLOCKS
    answer = hook_of(slack).send(text="hello", blocks=[header(151)])
    assert (answer.status_code, answer.body) == (400, "invalid_blocks")
    assert raw_post(slack.webhook_url, "hello") == (400, "invalid_payload")
    assert len(slack.received) == 1
    assert [error for error, _ in slack.refused] == ["invalid_blocks", "invalid_payload"]


def test_webhook_takes_a_form(slack: SlackEndpoint) -> None:
    """A webhook also takes its JSON as a form field."""
    assert raw_post(slack.webhook_url, urlencode({"payload": '{"text": "hello"}'})) == (200, "ok")
    assert slack.received[0].text == "hello"


def test_unknown_webhooks() -> None:
    """A webhook that isn't there is answered with HTTP 404."""
    with SlackEndpoint(webhooks={"T1/B1/secret"}) as slack:
        assert hook_of(slack).send(text="hello").status_code == 200
        answer = WebhookClient(slack.webhook_url + "x", retry_handlers=[]).send(text="hello")
        assert (answer.status_code, answer.body) == (404, "no_service")
        assert len(slack.received) == 1


@pytest.mark.parametrize("name", LIMITS)
def test_limits(slack: SlackEndpoint, name: str) -> None:
    """A message at the limit is accepted, and one that is one over it is refused, on both ways to Slack."""
    message_of, limit = LIMITS[name]
    post(slack, **message_of(limit))
    assert hook_of(slack).send_dict({"text": "hello", **message_of(limit)}).status_code == 200
    assert len(slack.received) == 2
    assert refusal(lambda: post(slack, **message_of(limit + 1)))["error"] == "invalid_blocks"
    assert hook_of(slack).send_dict({"text": "hello", **message_of(limit + 1)}).status_code == 400
    assert len(slack.received) == 2
    assert [len(problems) for _, problems in slack.refused] == [1, 1]


@pytest.mark.parametrize("name", WRONG)
def test_wrong_messages(name: str) -> None:
    """A message that is wrong in one thing has that one problem."""
    change, reason = WRONG[name]
    [problem] = problems_of({"channel": "C0123456789", "text": "hello", **change})
    assert reason in problem


def test_ids_may_be_used_again_elsewhere() -> None:
    """An action_id is unique within its block only."""
    assert (
        problems_of({"text": "hello", "blocks": [actions(button(action_id="a")), actions(button(action_id="a"))]}) == []
    )


@pytest.mark.parametrize("text", [*PINGS.values(), *LOOSE.values()], ids=[*PINGS, *LOOSE])
def test_markup_that_is_not_escaped(text: str) -> None:
    """What mentions somebody or isn't escaped is a problem wherever there is markup, and none in a plain text."""
    assert len(problems_of({"text": text})) == 1
    for block in (section(text), {"type": "section", "fields": [mrkdwn(text)]}):
        assert len(problems_of({"text": "hello", "blocks": [block]})) == 1
    assert len(problems_of({"text": "hello", "blocks": [{"type": "context", "elements": [mrkdwn(text)]}]})) == 1
    assert problems_of({"text": "hello", "blocks": [{"type": "header", "text": plain(text)}]}) == []


@pytest.mark.parametrize("text", PINGS.values(), ids=PINGS)
def test_mentions_are_named_as_such(text: str) -> None:
    """The problem of a text that mentions somebody says so."""
    assert "mentions somebody" in problems_of({"text": text})[0]


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_harmless_markup(text: str) -> None:
    """Links, entities and quotations are no problem."""
    assert problems_of({"text": text, "blocks": [section(text)]}) == []


@pytest.mark.parametrize("name", ["@here", "@channel", "@everyone"])
def test_plain_mentions(name: str) -> None:
    """Slack may parse a plain name in a block, unless the block's text is verbatim."""
    loose = {"type": "section", "text": {"type": "mrkdwn", "text": f"to {name}: look"}}
    assert len(problems_of({"text": "hello", "blocks": [loose]})) == 1
    assert problems_of({"text": f"to {name}: look", "blocks": [section(f"to {name}: look")]}) == []


def test_slack_rate_limit(slack: SlackEndpoint) -> None:
    """One request is told to wait a second, and the next one is accepted."""
    slack.fail_next = ["rate_limited", "rate_limited"]
    with pytest.raises(SlackApiError) as caught:
        post(slack)
    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "1"
    answer = hook_of(slack).send(text="hello")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert slack.received == []
    post(slack)
    assert len(slack.received) == 1


def test_slack_server_error(slack: SlackEndpoint) -> None:
    """One request is answered with HTTP 500, and the next one is accepted."""
    slack.fail_next = ["server_error", "server_error"]
    with pytest.raises(SlackApiError) as caught:
        post(slack)
    assert caught.value.response.status_code == 500
    assert hook_of(slack).send(text="hello").status_code == 500
    assert slack.received == []
    post(slack)
    assert len(slack.received) == 1


@pytest.mark.parametrize(("failure", "kept"), [("drop", 0), ("drop_answer", 1)])
def test_slack_drops_the_connection(slack: SlackEndpoint, failure: Any, kept: int) -> None:
    """The client gets no answer, and only with ``drop_answer`` the message is there all the same."""
    slack.fail_next = [failure]
    with pytest.raises((URLError, ConnectionError)):
        post(slack)
    assert len(slack.received) == kept
    post(slack)
    assert len(slack.received) == kept + 1


def test_slack_hangs(slack: SlackEndpoint) -> None:
    """The client waits until it gives up, and its message isn't there."""
    slack.fail_next = ["hang"]
    with pytest.raises((URLError, TimeoutError)):
        client_of(slack, timeout=1).chat_postMessage(channel="C0123456789", text="hello")
    assert slack.received == []
    post(slack)
    assert len(slack.received) == 1


def test_slack_stops_while_a_client_hangs() -> None:
    """The end of the block doesn't leave a client waiting."""
    with SlackEndpoint() as slack:
        slack.fail_next = ["hang"]
        address = (parts := urlsplit(slack.url)).hostname, parts.port
        client = socket.create_connection(address, timeout=20)
        client.sendall(b"POST /api/chat.postMessage HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        wait_for(lambda: not slack.fail_next, "the request to be read")
    with client:
        assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=20)


def test_slack_knows_its_failures() -> None:
    """A failure that isn't known is an error of the test, and told at the end of its block."""

    def fail_wrongly() -> None:
        with SlackEndpoint() as slack:
            slack.fail_next = ["rate_limit"]  # type: ignore[list-item]  # that is the mistake
            with pytest.raises((URLError, ConnectionError)):
                post(slack)

    with pytest.raises(ValueError, match=r"rate_limit$"):
        fail_wrongly()


def letter() -> EmailMessage:
    """A message in two forms, with a subject and an attachment that are not ASCII."""
    message = EmailMessage()
    message["Subject"] = "Ключи без TTL: 12 — 没有过期时间"
    message["From"] = "Airflow <airflow@example.org>"
    message["To"] = "a@example.org, b@example.org"
    message.set_content("Größe: 5 MB\n")
    message.add_alternative("<p>Größe: <b>5 MB</b></p>\n", subtype="html")
    message.add_attachment("ключ\n".encode(), maintype="text", subtype="csv", filename="отчёт.csv")
    return message


def send(server: MailServer, message: EmailMessage, *, login: tuple[str, str] | None = None) -> None:
    """Send a message as a program with the standard library does."""
    with smtplib.SMTP(server.host, server.port, local_hostname="localhost", timeout=20) as client:
        if login is not None:
            client.login(*login)
        client.send_message(message)


def test_mail_arrives(mail: MailServer) -> None:
    """A message arrives with its envelope, decoded, in all of its parts."""
    send(mail, letter())
    [received] = mail.received
    assert received.mail_from == "airflow@example.org"
    assert received.rcpt_tos == ["a@example.org", "b@example.org"]
    message = received.message
    assert message["Subject"] == "Ключи без TTL: 12 — 没有过期时间"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content() == "Größe: 5 MB\n"
    assert html.get_content() == "<p>Größe: <b>5 MB</b></p>\n"
    [attached] = message.iter_attachments()
    assert attached.get_filename() == "отчёт.csv"


def test_mail_keeps_the_order(mail: MailServer) -> None:
    """Messages of one connection and of several are kept in the order in which they came."""
    with smtplib.SMTP(mail.host, mail.port, local_hostname="localhost", timeout=20) as client:
        for subject in ("one", "two"):
            message = letter()
            message.replace_header("Subject", subject)
            client.send_message(message)
    send(mail, letter())
    assert [received.message["Subject"] for received in mail.received][:2] == ["one", "two"]
    assert len(mail.received) == 3


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_mail_with_a_password(mechanism: str) -> None:
    """With a user, mail is taken after a login with the right password only."""
    with MailServer(user="robot", password="geheim") as server:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            send(server, letter())
        assert refused.value.smtp_code == 530
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send(server, letter(), login=("robot", "falsch"))
        assert server.received == []
        with smtplib.SMTP(server.host, server.port, local_hostname="localhost", timeout=20) as client:
            client.ehlo()
            assert mechanism in client.esmtp_features["auth"].split()
            client.user, client.password = "robot", "geheim"
            client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
            client.send_message(letter())
        assert len(server.received) == 1


def test_mail_that_is_refused_for_now(mail: MailServer) -> None:
    """One message is put off, and the next one is accepted."""
    mail.fail_next = ["451"]
    with pytest.raises(smtplib.SMTPDataError) as refused:
        send(mail, letter())
    assert (refused.value.smtp_code, refused.value.smtp_error) == (451, b"try later")
    assert mail.received == []
    send(mail, letter())
    assert len(mail.received) == 1


def test_mail_to_nobody(mail: MailServer) -> None:
    """Every recipient of one message is refused, and the next message is accepted on the same connection."""
    mail.fail_next = ["550"]
    with smtplib.SMTP(mail.host, mail.port, local_hostname="localhost", timeout=20) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.send_message(letter())
        assert {code for code, _ in refused.value.recipients.values()} == {550}
        assert len(refused.value.recipients) == 2
        assert mail.received == []
        client.send_message(letter())
    assert len(mail.received) == 1


def test_mail_drops_the_connection(mail: MailServer) -> None:
    """The connection breaks instead of an answer to the content, and the next message is accepted."""
    mail.fail_next = ["drop"]
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(mail, letter())
    assert mail.received == []
    send(mail, letter())
    assert len(mail.received) == 1


def test_mail_knows_its_failures(mail: MailServer) -> None:
    """A failure that isn't known is told to the client as an error of the server."""
    mail.fail_next = ["452"]  # type: ignore[list-item]  # that is the mistake
    with pytest.raises(smtplib.SMTPSenderRefused, match="no failure of this name: 452"):
        send(mail, letter())


def test_mail_stops_while_a_client_is_connected() -> None:
    """The end of the block closes connections that are open, and nobody listens afterwards."""
    with MailServer() as server:
        client = socket.create_connection((server.host, server.port), timeout=20)
        assert client.recv(100).startswith(b"220 ")
    with client:
        assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=20)
