"""Stands for Slack in tests: an HTTP server on loopback that takes messages as Slack's Web API and incoming webhooks do.

It checks what it receives against Slack's documented limits and keeps what it accepted. Where Slack would repair a
message silently (cut a long text, guess at a missing one), it refuses. The module knows nothing of pytest.

The comments name the pages of Slack that the limits come from; what Slack answers besides is as users quote it in issues.
"""

from __future__ import annotations

import json
import re
import select
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from types import TracebackType

#: What a request can meet instead of an answer to its message: HTTP 429, HTTP 500, silence, a closed connection before
#: the message was taken, and one after it was taken.
Failure = Literal["rate_limited", "server_error", "hang", "drop", "drop_answer"]

_API_PATH = "/api/"
_WEBHOOK_PATH = "/services/"
_HANG_S = 5.0
_LOOK_S = 0.05
_FIRST_TS_S = 1_700_000_000

# https://api.slack.com/reference/block-kit/blocks: "You can include up to 50 blocks in each message"; block_id: 255.
MAX_BLOCKS = 50
MAX_BLOCK_ID = 255
# https://api.slack.com/changelog/2018-04-truncating-really-long-messages: longer ones are cut off, with a warning.
MAX_MESSAGE_TEXT = 40_000
# https://docs.slack.dev/reference/block-kit/composition-objects/text-object: 1 to 3000.
MAX_TEXT = 3000
# https://docs.slack.dev/tools/node-slack-sdk/reference/types/interfaces/HeaderBlock
MAX_HEADER = 150
# https://docs.slack.dev/reference/block-kit/blocks/section-block
MAX_FIELDS = 10
MAX_FIELD = 2000
# https://docs.slack.dev/reference/block-kit/blocks/context-block
MAX_CONTEXT_ELEMENTS = 10
# https://api.slack.com/reference/block-kit/blocks#actions
MAX_ACTIONS = 25
# https://docs.slack.dev/reference/block-kit/block-elements/button-element
MAX_BUTTON_TEXT = 75
MAX_ACTION_ID = 255
MAX_URL = 3000
MAX_VALUE = 2000
MAX_LABEL = 75
_STYLES = ("primary", "danger")
# https://docs.slack.dev/reference/block-kit/blocks/rich-text-block, and the models of slack_sdk: sections, lists, preformatted text
# and quotes, made of pieces that say what they are.
_RICH_STYLES = {"bold", "italic", "strike", "code"}

# https://docs.slack.dev/messaging/formatting-message-text: `&`, `<` and `>` are control characters; `<!...>`, `<@...>`
# and `<#...>` mention, `<http...>` and `<http...|text>` link, and URLs with spaces break.
_LINK = re.compile(r"<https?://[^<>|\s]+(?:\|[^<>\n]+)?>")
_MENTION = re.compile(r"<(?:[!@#]|subteam)")
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt);)")
# The text object's page: unless `verbatim` is true, "certain mentions will be automatically parsed".
_PLAIN_MENTION = re.compile(r"@(?:here|channel|everyone)\b")

_TS = re.compile(r"\d{10}\.\d{6}")
_CHANNEL_ID = re.compile(r"[CDG][A-Z0-9]{8,}")


@dataclass(frozen=True, slots=True)
class Received:
    """One message that was accepted; ``channel`` is what the client wrote, None for most webhooks."""

    path: str
    channel: str | None
    text: str
    blocks: list[dict[str, Any]]
    thread_ts: str | None
    reply_broadcast: bool
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


class SlackEndpoint:
    """A Slack that lives as long as its ``with`` block.

    ``channels`` and ``webhooks`` (the paths behind ``/services/``) name what there is; None stands for everything.
    """

    def __init__(
        self,
        *,
        token: str = "xoxb-test",
        channels: Collection[str] | None = None,
        webhooks: Collection[str] | None = None,
    ) -> None:
        self.token = token
        self.channels = channels
        self.webhooks = webhooks
        self.received: list[Received] = []
        #: The error code and the reasons of each message that was refused; failures of ``fail_next`` are not among them.
        self.refused: list[tuple[str, list[str]]] = []
        #: One failure for each of the next requests, in order.
        self.fail_next: list[Failure] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads_of_channels: dict[str, set[str]] = {}
        self._mishaps: list[BaseException] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the server answers, without a slash at the end."""
        if self._server is None:
            raise RuntimeError("The endpoint is not running")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def api_url(self) -> str:
        """The base URL for a client of the Web API."""
        return self.url + _API_PATH

    @property
    def webhook_url(self) -> str:
        """The URL of one incoming webhook: the first that there is, or any where all are allowed."""
        path = next(iter(self.webhooks or ()), "T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX")
        return f"{self.url}{_WEBHOOK_PATH}{path}"

    def __enter__(self) -> Self:
        self._stopping.clear()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": _LOOK_S})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server, thread = self._server, self._thread
        if server is None or thread is None:
            raise RuntimeError("The endpoint is not running")
        self._stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
        self._server = self._thread = None
        if error is None and self._mishaps:
            raise self._mishaps[0]

    def next_failure(self) -> Failure | None:
        """Take the failure that waits for this request, if one does."""
        with self._lock:
            return self.fail_next.pop(0) if self.fail_next else None

    def note_mishap(self, error: BaseException) -> None:
        """Keep an error of the endpoint itself, which is raised when the ``with`` block ends."""
        self._mishaps.append(error)

    def wait_for_hang_up(self, hung_up: Callable[[float], bool]) -> None:
        """Return when the client has closed the connection, after 5 seconds, or when the endpoint stops."""
        for _ in range(int(_HANG_S / _LOOK_S)):
            if self._stopping.is_set() or hung_up(_LOOK_S):
                return

    def answer(self, path: str, authorization: str | None, content_type: str, body: bytes) -> _Answer:
        """The answer to one request, after its message was kept or its refusal was noted."""
        with self._lock:
            if path.startswith(_WEBHOOK_PATH):
                return self._answer_webhook(path, content_type, body)
            if path == f"{_API_PATH}chat.postMessage":
                return self._answer_post(path, authorization, content_type, body)
        return _api_error("unknown_method") if path.startswith(_API_PATH) else _Answer(404, "not found")

    def _answer_post(self, path: str, authorization: str | None, content_type: str, body: bytes) -> _Answer:
        payload = _payload_of(content_type, body)
        if payload is None:
            return self._refuse_call("invalid_json" if "json" in content_type else "invalid_form_data")
        in_body = payload.pop("token", None)
        token = authorization.removeprefix("Bearer ") if authorization else in_body
        if token is None:
            return self._refuse_call("not_authed")
        if token != self.token:
            return self._refuse_call("invalid_auth")
        channel = payload.get("channel")
        if not isinstance(channel, str) or not self._has_channel(channel):
            return self._refuse_call("channel_not_found")
        if problems := problems_of(payload):
            return self._refuse_call("invalid_blocks", problems)
        thread_ts = payload.get("thread_ts")
        known = self._threads_of_channels.setdefault(_channel_id(channel), set())
        if thread_ts is not None:
            # Slack takes a number without an error, and the message appears nowhere (slackapi/node-slack-sdk#780).
            if not isinstance(thread_ts, str) or not _TS.fullmatch(thread_ts):
                return self._refuse_call("invalid_thread_ts", [f"{thread_ts} is not a valid thread_ts"])
            # "Avoid using a reply's ts value; use its parent instead", says the page of chat.postMessage.
            if thread_ts not in known:
                return self._refuse_call("thread_not_found")
        self._keep(path, payload)
        ts = f"{_FIRST_TS_S + len(self.received)}.{len(self.received) * 100 % 1_000_000:06d}"
        if thread_ts is None:
            known.add(ts)
        message = {"type": "message", "text": payload["text"], "ts": ts}
        return _json_answer({"ok": True, "channel": _channel_id(channel), "ts": ts, "message": message})

    def _answer_webhook(self, path: str, content_type: str, body: bytes) -> _Answer:
        if self.webhooks is not None and path.removeprefix(_WEBHOOK_PATH) not in self.webhooks:
            return self._refuse_delivery(404, "no_service")
        payload = _payload_of(content_type, body)
        if payload is None:
            return self._refuse_delivery(400, "invalid_payload")
        if problems := problems_of(payload):
            return self._refuse_delivery(400, "invalid_blocks", problems)
        self._keep(path, payload)
        return _Answer(200, "ok")

    def _has_channel(self, channel: str) -> bool:
        if self.channels is None:
            return bool(channel.removeprefix("#"))
        return _channel_id(channel) in {_channel_id(name) for name in self.channels}

    def _keep(self, path: str, payload: dict[str, Any]) -> None:
        self.received.append(
            Received(
                path=path,
                channel=payload.get("channel"),
                text=payload["text"],
                blocks=payload.get("blocks") or [],
                thread_ts=payload.get("thread_ts"),
                reply_broadcast=payload.get("reply_broadcast") in (True, "1", "true"),
                payload=payload,
            )
        )

    def _refuse_call(self, error: str, problems: list[str] | None = None) -> _Answer:
        self.refused.append((error, problems or []))
        return _api_error(error, problems or [])

    def _refuse_delivery(self, status: int, error: str, problems: list[str] | None = None) -> _Answer:
        self.refused.append((error, problems or []))
        return _Answer(status, error)


def words_of_blocks(blocks: list[dict[str, Any]]) -> str:
    """All words of a message's blocks as a reader sees them: lists and preformatted text on lines of their own."""
    lines = []
    for block in blocks:
        match block["type"]:
            case "header" | "section":
                lines.append(block["text"]["text"])
            case "actions":
                lines += [button["text"]["text"] for button in block["elements"]]
            case "rich_text":
                for element in block["elements"]:
                    sections = element["elements"] if element["type"] == "rich_text_list" else [element]
                    lines += ["".join(piece["text"] for piece in section["elements"]) for section in sections]
            case _:
                pass
    return "\n".join(lines)


def problems_of(payload: dict[str, Any]) -> list[str]:
    """Every reason why that message is not one that Slack shows as it is and that mentions nobody; empty for a good one.

    Characters are counted as Python counts them. Blocks and fields that Slack knows and this function doesn't are
    reasons too.
    """
    return [f"{what} [json-pointer:{where}]" for where, what in _message_problems(payload)]


def _message_problems(payload: dict[str, Any]) -> Iterator[tuple[str, str]]:
    text = payload.get("text")
    yield from _string_problems("/text", text, MAX_MESSAGE_TEXT)
    if isinstance(text, str):
        yield from _markup_problems("/text", text)
    for name in ("attachments", "markdown_text"):
        if name in payload:
            yield f"/{name}", "is not checked here"
    # https://docs.slack.dev/reference/methods/chat.postMessage: both make mentions of plain names.
    if payload.get("link_names") in (True, "1", "true"):
        yield "/link_names", "makes mentions of names"
    if payload.get("parse", "none") != "none":
        yield "/parse", "makes mentions of names"
    blocks = payload.get("blocks")
    if blocks is None:
        return
    if not isinstance(blocks, list):
        yield "/blocks", "must be an array"
        return
    if len(blocks) > MAX_BLOCKS:
        yield "/blocks", f"no more than {MAX_BLOCKS} items allowed"
    for number, block in enumerate(blocks):
        yield from _block_problems(f"/blocks/{number}", block)
    yield from _repetitions("/blocks", blocks, "block_id")


def _block_problems(where: str, block: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(block, dict):
        yield where, "must be an object"
        return
    kind = block.get("type")
    checks = _BLOCKS.get(kind) if isinstance(kind, str) else None
    if checks is None:
        yield f"{where}/type", f"unsupported type: {kind}"
        return
    required, optional, check = checks
    yield from _field_problems(where, block, {"type", *required}, {"block_id", *optional})
    if "block_id" in block:
        yield from _string_problems(f"{where}/block_id", block["block_id"], MAX_BLOCK_ID)
    yield from check(where, block)


def _divider_problems(_where: str, _block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    return iter(())


def _header_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "text" in block:
        yield from _text_problems(f"{where}/text", block["text"], MAX_HEADER, plain_only=True)


def _section_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "text" not in block and "fields" not in block:
        yield where, "needs text or fields"
    if "text" in block:
        yield from _text_problems(f"{where}/text", block["text"], MAX_TEXT)
    if "fields" in block:
        for place, item in _items(f"{where}/fields", block["fields"]):
            yield from _text_problems(place, item, MAX_FIELD)
        yield from _count_problems(f"{where}/fields", block["fields"], MAX_FIELDS)
    if "accessory" in block:
        yield from _button_problems(f"{where}/accessory", block["accessory"])
    if not isinstance(block.get("expand", False), bool):
        yield f"{where}/expand", "must be a boolean"


def _context_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "elements" in block:
        for place, item in _items(f"{where}/elements", block["elements"]):
            yield from _text_problems(place, item, MAX_TEXT)
        yield from _count_problems(f"{where}/elements", block["elements"], MAX_CONTEXT_ELEMENTS)


def _actions_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "elements" not in block:
        return
    elements = block["elements"]
    for place, item in _items(f"{where}/elements", elements):
        yield from _button_problems(place, item)
    yield from _count_problems(f"{where}/elements", elements, MAX_ACTIONS)
    # "Should be unique among all other action_ids in the containing block", says the button's page.
    if isinstance(elements, list):
        yield from _repetitions(f"{where}/elements", elements, "action_id")


def _rich_text_problems(where: str, block: dict[str, Any]) -> Iterator[tuple[str, str]]:
    width = 0
    for place, element in _items(f"{where}/elements", block.get("elements", [])):
        kind = element.get("type") if isinstance(element, dict) else None
        if kind == "rich_text_list":
            yield from _field_problems(place, element, {"type", "style", "elements"}, {"indent", "offset", "border"})
            if element.get("style") not in ("bullet", "ordered"):
                yield f"{place}/style", "must be bullet or ordered"
            sections = _items(f"{place}/elements", element.get("elements"))
        elif kind in ("rich_text_section", "rich_text_preformatted", "rich_text_quote"):
            sections = [(place, element)]
        else:
            yield f"{place}/type", f"unsupported type: {kind}"
            continue
        for section_place, section in sections:
            yield from _field_problems(section_place, section, {"type", "elements"}, {"border"})
            pieces = _items(f"{section_place}/elements", section.get("elements"))
            if not pieces:
                yield f"{section_place}/elements", "must have at least one item"
            for piece_place, piece in pieces:
                yield from _piece_problems(piece_place, piece)
                width += len(str(piece.get("text", "")))
    if not block.get("elements"):
        yield f"{where}/elements", "must have at least one item"
    if width > MAX_TEXT:  # no page of Slack says so: it is the limit of its other texts
        yield where, f"must be less than {MAX_TEXT + 1} characters"


def _piece_problems(where: str, piece: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Text and links. Everything else in rich text mentions, shows or dates something."""
    kind = piece.get("type")
    if kind == "link":
        yield from _field_problems(where, piece, {"type", "url"}, {"text", "style", "unsafe"})
        if not _is_web_address(piece.get("url")):
            yield f"{where}/url", "must be a web address"
    elif kind == "text":
        yield from _field_problems(where, piece, {"type", "text"}, {"style"})
    else:
        yield f"{where}/type", f"unsupported type: {kind}"
        return
    if "text" in piece and (not isinstance(piece["text"], str) or not piece["text"]):
        yield f"{where}/text", "must be more than 0 characters"
    style = piece.get("style", {})
    if (
        not isinstance(style, dict)
        or not set(style) <= _RICH_STYLES
        or not all(each is True for each in style.values())
    ):
        yield f"{where}/style", "must be flags of bold, italic, strike, code"


#: The required fields, the optional fields and the check of each kind of block.
_BLOCKS: dict[str, tuple[set[str], set[str], Callable[[str, dict[str, Any]], Iterator[tuple[str, str]]]]] = {
    "header": ({"text"}, set(), _header_problems),
    "section": (set(), {"text", "fields", "accessory", "expand"}, _section_problems),
    "divider": (set(), set(), _divider_problems),
    "context": ({"elements"}, set(), _context_problems),
    "actions": ({"elements"}, set(), _actions_problems),
    "rich_text": ({"elements"}, set(), _rich_text_problems),
}


def _button_problems(where: str, button: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(button, dict):
        yield where, "must be an object"
        return
    if button.get("type") != "button":
        yield f"{where}/type", f"unsupported type: {button.get('type')}"
        return
    lengths = {"action_id": MAX_ACTION_ID, "url": MAX_URL, "value": MAX_VALUE, "accessibility_label": MAX_LABEL}
    yield from _field_problems(where, button, {"type", "text"}, {"style", *lengths})
    if "text" in button:
        yield from _text_problems(f"{where}/text", button["text"], MAX_BUTTON_TEXT, plain_only=True)
    for name, limit in lengths.items():
        if name in button:
            yield from _string_problems(f"{where}/{name}", button[name], limit)
    if "url" in button and not _is_web_address(button["url"]):
        yield f"{where}/url", "must be an http or https URL"
    if "style" in button and button["style"] not in _STYLES:
        yield f"{where}/style", f"must be one of {', '.join(_STYLES)}"


def _text_problems(where: str, item: Any, limit: int, *, plain_only: bool = False) -> Iterator[tuple[str, str]]:
    if not isinstance(item, dict):
        yield where, "must be an object"
        return
    kind = item.get("type")
    if kind != "plain_text" and (plain_only or kind != "mrkdwn"):
        yield f"{where}/type", f"unsupported type: {kind}"
        return
    switch = "emoji" if kind == "plain_text" else "verbatim"
    yield from _field_problems(where, item, {"type", "text"}, {switch})
    if not isinstance(item.get(switch, False), bool):
        yield f"{where}/{switch}", "must be a boolean"
    if "text" not in item:
        return
    text = item["text"]
    yield from _string_problems(f"{where}/text", text, limit)
    if kind == "mrkdwn" and isinstance(text, str):
        yield from _markup_problems(f"{where}/text", text)
        if item.get("verbatim") is not True and _PLAIN_MENTION.search(text):
            yield f"{where}/text", "may mention many, as verbatim is not true"


def _markup_problems(where: str, text: str) -> Iterator[tuple[str, str]]:
    rest = _LINK.sub("", text)
    if _MENTION.search(rest):
        yield where, "mentions somebody"
    elif "<" in rest:
        yield where, "has a < that begins no link"
    if _BARE_AMPERSAND.search(text):
        yield where, "has a & that is not escaped"


def _string_problems(where: str, value: Any, limit: int) -> Iterator[tuple[str, str]]:
    if not isinstance(value, str):
        yield where, "must be a string"
    elif not value.strip():
        yield where, "must be more than 0 characters"
    elif len(value) > limit:
        yield where, f"must be less than {limit + 1} characters"


def _field_problems(
    where: str, item: dict[str, Any], required: set[str], optional: set[str]
) -> Iterator[tuple[str, str]]:
    for name in sorted(required - item.keys()):
        yield where, f"missing required field: {name}"
    for name in sorted(item.keys() - required - optional):
        yield where, f"no field of this name: {name}"


def _count_problems(where: str, items: Any, limit: int) -> Iterator[tuple[str, str]]:
    if not isinstance(items, list):
        yield where, "must be an array"
    elif not items:
        yield where, "must have at least one item"
    elif len(items) > limit:
        yield where, f"no more than {limit} items allowed"


def _repetitions(where: str, items: list[Any], name: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for item in items:
        value = item.get(name) if isinstance(item, dict) else None
        if isinstance(value, str):
            if value in seen:
                yield where, f"{name} {value} is not unique"
            seen.add(value)


def _items(where: str, items: Any) -> list[tuple[str, Any]]:
    return [(f"{where}/{number}", item) for number, item in enumerate(items)] if isinstance(items, list) else []


def _is_web_address(value: Any) -> bool:
    if not isinstance(value, str) or re.search(r"\s", value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _payload_of(content_type: str, body: bytes) -> dict[str, Any] | None:
    """The message in a body of JSON or of form fields, its blocks decoded; None for a body that has none."""
    try:
        if "json" in content_type:
            payload = json.loads(body)
        else:
            payload = dict(parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
            if "payload" in payload:  # how webhooks take JSON in a form
                payload = json.loads(payload["payload"])
        if isinstance(payload, dict) and isinstance(payload.get("blocks"), str):
            payload["blocks"] = json.loads(payload["blocks"])
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def _channel_id(channel: str) -> str:
    """The id of a channel; one that is named has an id that is made of its name, the same each time."""
    name = channel.removeprefix("#")
    return name if _CHANNEL_ID.fullmatch(name) else "C" + name.encode().hex().upper().rjust(8, "0")


def _json_answer(content: dict[str, Any], status: int = 200, **headers: str) -> _Answer:
    return _Answer(status, json.dumps(content), {"Content-Type": "application/json; charset=utf-8", **headers})


def _api_error(error: str, problems: list[str] | None = None) -> _Answer:
    if not problems:
        return _json_answer({"ok": False, "error": error})
    messages = [f"[ERROR] {problem}" for problem in problems]
    return _json_answer({"ok": False, "error": error, "errors": problems, "response_metadata": {"messages": messages}})


def _failed(path: str, failure: Failure) -> _Answer:
    """The answer of a failure that has one, in the form of the Web API or of webhooks."""
    status, error, plain = {
        "rate_limited": (429, "ratelimited", "rate_limited"),
        "server_error": (500, "internal_error", "rollup_error"),
    }[failure]
    headers = {"Retry-After": "1"} if status == 429 else {}
    if path.startswith(_API_PATH):
        return _json_answer({"ok": False, "error": error}, status, **headers)
    return _Answer(status, plain, headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for the last answer

    def __init__(self, endpoint: SlackEndpoint) -> None:
        self.endpoint = endpoint
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # as in the library
        """Keep what went wrong, unless it was the client who went away."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.endpoint.note_mishap(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # a client that sends half a request doesn't keep the server from stopping

    def do_POST(self) -> None:
        """Read one request, and answer it or fail as was ordered."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        endpoint = self.server.endpoint
        failure = endpoint.next_failure()
        if failure == "hang":
            endpoint.wait_for_hang_up(self._hung_up)
        elif failure in ("rate_limited", "server_error"):
            self._send(_failed(path, failure))
        elif failure in (None, "drop_answer"):
            content_type = self.headers.get("Content-Type", "")
            answer = endpoint.answer(path, self.headers.get("Authorization"), content_type, body)
            if failure is None:
                self._send(answer)
        elif failure != "drop":
            raise ValueError(f"no failure of this name: {failure}")

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""

    def _hung_up(self, patience_s: float) -> bool:
        readable, _, _ = select.select([self.connection], [], [], patience_s)
        return bool(readable) and not self.connection.recv(1)

    def _send(self, answer: _Answer) -> None:
        content = answer.body.encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "text/html", **answer.headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
