"""Stands for a mail server in tests: a real SMTP server on loopback, without TLS, that keeps the messages it accepted.

The module knows nothing of pytest.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
from dataclasses import dataclass
from email.message import EmailMessage
from typing import TYPE_CHECKING, Literal, Self
from weakref import WeakKeyDictionary

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from lab.loopback import free_port

if TYPE_CHECKING:
    from types import TracebackType

    from aiosmtpd.smtp import SMTP, Envelope, Session

#: What a message can meet: a temporary refusal of its content, a refusal of its recipients, a closed connection.
Failure = Literal["451", "550", "drop"]
_FAILURES = ("451", "550", "drop")


@dataclass(frozen=True, slots=True)
class Received:
    """One message that was accepted, its lines ended by a newline alone, with the addresses of its envelope."""

    message: EmailMessage
    mail_from: str
    rcpt_tos: list[str]


class MailServer:
    """A mail server that lives as long as its ``with`` block; with a ``user`` it takes mail from that user only."""

    def __init__(self, *, user: str | None = None, password: str | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.user = user
        self.password = password
        self.received: list[Received] = []
        #: One failure for each of the next messages, in order.
        self.fail_next: list[Failure] = []
        self._controller: Controller | None = None

    def __enter__(self) -> Self:
        self.port = free_port()
        self._controller = Controller(
            _Handler(self),
            hostname=self.host,
            port=self.port,
            server_hostname="localhost",
            auth_require_tls=False,
            authenticator=self._authenticate if self.user is not None else None,
        )
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._controller is None:
            raise RuntimeError("The mail server is not running")
        self._controller.stop()
        self._controller = None

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object
    ) -> AuthResult:
        expected = LoginPassword((self.user or "").encode(), (self.password or "").encode())
        return AuthResult(success=login == expected, handled=False)


class _Handler:
    """Decides about each command of a client, in the words of SMTP."""

    def __init__(self, server: MailServer) -> None:
        self.mail = server
        self._failures: WeakKeyDictionary[Session, Failure | None] = WeakKeyDictionary()

    async def handle_MAIL(  # noqa: N802  # aiosmtpd looks for this name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Begin a message, whose failure is chosen here, so that one with several recipients fails as one."""
        if self.mail.user is not None and not session.authenticated:
            return "530 5.7.0 authentication required"
        self._failures[session] = failure = self.mail.fail_next.pop(0) if self.mail.fail_next else None
        if failure not in {None, *_FAILURES}:
            raise ValueError(f"no failure of this name: {failure}")
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 ok"

    async def handle_RCPT(  # noqa: N802  # aiosmtpd looks for this name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse one recipient."""
        if self._failures.get(session) == "550":
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # the same
        """Keep the message, unless it was to fail."""
        failure = self._failures.get(session)
        if failure == "451":
            return "451 try later"
        if failure == "drop":
            if isinstance(server.transport, asyncio.WriteTransport):
                server.transport.abort()
            await asyncio.Event().wait()  # until the lost connection cancels this task
        content = bytes(envelope.original_content or b"").replace(b"\r\n", b"\n")  # as in a mailbox
        message = email.message_from_bytes(content, policy=email.policy.default)
        self.mail.received.append(Received(message, envelope.mail_from or "", list(envelope.rcpt_tos)))
        return "250 ok"
