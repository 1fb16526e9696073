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
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from lab.services.block_kit import problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType


#: What a request can meet instead of an answer to its message: HTTP 429, HTTP 500, silence, a closed connection before
#: the message was taken, and one after it was taken.
Failure = Literal["rate_limited", "server_error", "hang", "drop", "drop_answer"]


_API_PATH = "/api/"
_WEBHOOK_PATH = "/services/"
_HANG_S = 5.0
_LOOK_S = 0.05
_FIRST_TS_S = 1_700_000_000


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
    headers = {"Retry-After": "1"} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
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
