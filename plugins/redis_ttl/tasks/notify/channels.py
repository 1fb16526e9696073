"""Sends messages through Airflow's Slack and SMTP providers, with Airflow's connections.

Nothing here decides what is sent or when. What a channel answers is said as one of two errors: it won't take the message, or not now.
"""

from __future__ import annotations

import logging
import re
import smtplib
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any, Final, assert_never
from urllib.parse import urlsplit

from airflow.providers.slack.hooks.slack import SlackHook
from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from slack_sdk.errors import SlackApiError, SlackClientError

from redis_ttl.domain.errors import ChannelRefused, ChannelUnavailable
from redis_ttl.domain.messages.delivery import ChannelKind, Receipt
from redis_ttl.domain.secret import without_secrets
from redis_ttl.messages.formats.document import Document
from redis_ttl.messages.rendering import RenderedMessage, render, summary_title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis_ttl.domain.errors import RedisTtlError
    from redis_ttl.usecases.store.message_ports import Envelope

_log = logging.getLogger(__name__)
_TIMEOUT_S: Final = 15
_SECRET_NAME: Final = re.compile("pass|secret|token|key|proxy|webhook|auth", re.IGNORECASE)
#: By itself the client sends again when a connection breaks, perhaps what has arrived already; we count our tries.
_NO_RETRIES: Final[list[Any]] = []
#: What Slack answers when the same message may be taken later.
_LATER: Final = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_TEMPORARY: Final = range(400, 500)


def send(envelope: Envelope) -> Receipt:
    """Send it. Raises :class:`ChannelRefused` and :class:`ChannelUnavailable`."""
    documents = [Document.from_json(each) for each in envelope.documents]
    languages = list(dict.fromkeys(document.language for document in documents))
    message = render(documents, summary_title(envelope.count, languages) if envelope.count > 1 else None)
    where = f"connection {envelope.route.connection}"
    try:
        return _sent(envelope, message, where)
    except (ChannelRefused, ChannelUnavailable) as error:
        raise _without_secrets(error, envelope.route.connection) from None
    except AirflowNotFoundException as error:
        raise ChannelRefused(
            "there is no such connection, or it has no token",
            where=where,
            todo="Create it under Admin > Connections, or take its id out of the policy's messages.",
        ) from error
    except Exception as error:  # noqa: BLE001  # whatever a provider raises: one message mustn't keep those after it from being sent
        unavailable = ChannelUnavailable(f"the message can't be sent ({_text(error)})", where=where)
        # Not from the error: providers put addresses and tokens into their texts, and a traceback shows them.
        raise _without_secrets(unavailable, envelope.route.connection) from None


def _sent(envelope: Envelope, message: RenderedMessage, where: str) -> Receipt:
    match envelope.route.kind:
        case ChannelKind.SLACK:
            return _by_bot(envelope, message, where)
        case ChannelKind.SLACK_WEBHOOK:
            return _by_webhook(envelope, message, where)
        case ChannelKind.EMAIL:
            return _by_mail(envelope, message, where)
        case _:
            assert_never(envelope.route.kind)


def _without_secrets(error: ChannelRefused | ChannelUnavailable, connection_id: str) -> RedisTtlError:
    """The error, which becomes part of logs and of the store, with nothing of the connection in it that opens doors."""
    secrets = _secrets_of(connection_id)
    kept = {
        name: None if text is None else without_secrets(text, secrets)
        for name, text in (
            ("where", error.where),
            ("found", error.found),
            ("allowed", error.allowed),
            ("todo", error.todo),
        )
    }
    return type(error)(without_secrets(error.what, secrets), **kept)


def _secrets_of(connection_id: str) -> list[str]:
    """What of a connection nobody may see: its password and everything in its extra field that is named like one."""
    try:
        connection = Connection.get(connection_id)
    except Exception:  # noqa: BLE001  # there is none, or it can't be read: then nothing of it can be in an error
        return []
    extra = connection.extra_dejson
    named = [str(value) for key, value in extra.items() if _SECRET_NAME.search(key) and isinstance(value, str)]
    # A webhook's token may be a whole address.
    secrets = [connection.password or "", *named]
    return [secret for each in secrets for secret in (each, urlsplit(each).path) if secret.strip("/")]


class _Quiet(logging.Logger):
    """Says nothing: what clients log of a failure has the address with its token in it; the error is told by us."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: ARG002, N802  # logging's own name
        return False


_QUIET: Final = _Quiet("redis_ttl.channel_client")


def _by_bot(envelope: Envelope, message: RenderedMessage, where: str) -> Receipt:
    """By chat.postMessage: below the thread's first message, and in the channel as well when it is urgent."""
    asked: dict[str, Any] = {
        "channel": envelope.route.to[0],
        "text": message.slack_text,
        "blocks": message.slack_blocks,
    }
    asked |= {"unfurl_links": False, "unfurl_media": False}
    receipt = None if envelope.reply_to is None else envelope.reply_to[0]
    if receipt is not None and receipt.thread is not None:
        asked |= {"channel": receipt.channel, "thread_ts": receipt.thread}
        if envelope.is_loud:
            asked["reply_broadcast"] = True
    try:
        hook = SlackHook(
            slack_conn_id=envelope.route.connection, timeout=_TIMEOUT_S, retry_handlers=_NO_RETRIES, logger=_QUIET
        )
        answer = hook.call("chat.postMessage", json=asked)
    except SlackApiError as error:
        reason = _slack_reason(error)
        if reason in {"thread_not_found", "invalid_thread_ts", "cannot_reply_to_message"} and "thread_ts" in asked:
            # The first message was deleted, or the channel is another one now: begin anew.
            return _by_bot(replace(envelope, reply_to=None), message, where)
        status = getattr(error.response, "status_code", 200)
        later = reason in _LATER or status == _TOO_MANY or status >= _SERVER_ERROR
        raise (ChannelUnavailable if later else ChannelRefused)(
            "Slack doesn't take the message",
            where=f"{where}, {envelope.route.to[0]}",
            found=reason,
            todo="Invite the bot into the channel; it needs the scope chat:write." if not later else None,
        ) from error
    except (SlackClientError, OSError, ValueError) as error:
        raise ChannelUnavailable(f"Slack can't be reached ({_text(error)})", where=where) from error
    return Receipt(
        _now(), channel=answer["channel"], thread=receipt.thread if receipt and "thread_ts" in asked else answer["ts"]
    )


def _slack_reason(error: SlackApiError) -> str:
    response = error.response
    try:
        return str(response["error"])
    except (KeyError, TypeError, ValueError):
        return _text(error)


def _by_webhook(envelope: Envelope, message: RenderedMessage, where: str) -> Receipt:
    try:
        hook = SlackWebhookHook(
            slack_webhook_conn_id=envelope.route.connection,
            timeout=_TIMEOUT_S,
            retry_handlers=_NO_RETRIES,
            logger=_QUIET,
        )
        # The client and not the hook's own method: that one says what went wrong in a text only.
        answer = hook.client.send_dict(
            {"text": message.slack_text, "blocks": message.slack_blocks, "unfurl_links": False, "unfurl_media": False}
        )
    except (SlackClientError, OSError, ValueError) as error:
        raise ChannelUnavailable(f"Slack can't be reached ({type(error).__name__})", where=where) from error
    status = answer.status_code
    if status == 200:  # noqa: PLR2004  # OK
        return Receipt(_now())
    later = status == _TOO_MANY or status >= _SERVER_ERROR
    raise (ChannelUnavailable if later else ChannelRefused)(
        "Slack doesn't take the message",
        where=where,
        found=f"{status} {str(answer.body)[:100]}",
        todo=None if later else "Make a new incoming webhook for the channel, and write it into the connection.",
    )


class _TwoPartMail(SmtpHook):
    """The provider's hook, for mails that have a text beside the page: its own method sends the page alone.

    It connects once, as we count our tries, and waits no longer than for Slack: a task must not hang on a mail server.
    """

    @property
    def smtp_retry_limit(self) -> int:
        return 0

    @property
    def timeout(self) -> int:
        return min(super().timeout, _TIMEOUT_S)

    def send(self, mail: EmailMessage) -> Mapping[str, tuple[int, bytes]]:
        """Send it; addresses are those of its headers. Who of them was refused, when others weren't, and why."""
        if not isinstance(self._smtp_client, smtplib.SMTP):
            raise TypeError("the connection isn't open")
        return self._smtp_client.send_message(mail)


def _by_mail(envelope: Envelope, message: RenderedMessage, where: str) -> Receipt:
    hook = _TwoPartMail(smtp_conn_id=envelope.route.connection)
    connection = hook.get_connection(envelope.route.connection)  # says that there is none as the other hooks do
    if not connection.host:
        raise ChannelRefused("the connection names no mail server", where=where, allowed="its host")
    try:
        with hook:
            if not hook.from_email:
                raise ChannelRefused(
                    "the connection has no sender",
                    where=where,
                    found="no from_email",
                    allowed="an address in its extra field",
                )
            refused = hook.send(_mail(envelope, message, hook.from_email))
    except (smtplib.SMTPConnectError, smtplib.SMTPServerDisconnected) as error:
        raise ChannelUnavailable(f"the mail server doesn't answer ({_text(error)})", where=where) from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        later = all(code in _TEMPORARY for code in codes)
        raise (ChannelUnavailable if later else ChannelRefused)(
            "the mail server takes no recipient", where=where, found=_refusals(error.recipients)
        ) from error
    except smtplib.SMTPResponseException as error:
        later = error.smtp_code in _TEMPORARY
        raise (ChannelUnavailable if later else ChannelRefused)(
            "the mail server doesn't take the message",
            where=where,
            found=f"{error.smtp_code} {_decoded(error.smtp_error)}",
        ) from error
    except (
        smtplib.SMTPException,
        OSError,
        AirflowException,
    ) as error:  # the last is the hook's word for a server that is silent
        raise ChannelUnavailable(f"the mail server doesn't answer ({_text(error)})", where=where) from error
    if refused:
        _log.error("%s: the mail server took the message, but not for %s", where, _refusals(refused))
    return Receipt(_now())


def _refusals(refused: Mapping[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{address}: {code} {_decoded(text)}" for address, (code, text) in refused.items())


def _mail(envelope: Envelope, message: RenderedMessage, sender: str) -> EmailMessage:
    """The mail in both parts. Threads are kept by ids, which are the same whenever the same message is sent."""
    domain = sender.rpartition("@")[2].strip("> ") or "redis-ttl.invalid"
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = sender
    mail["To"] = ", ".join(envelope.route.to)
    mail["Date"] = datetime.now(UTC)
    mail["Message-ID"] = f"<{envelope.message_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    if envelope.reply_to is not None:
        mail["In-Reply-To"] = mail["References"] = f"<{envelope.reply_to[1]}@{domain}>"
    mail.set_content(message.email_text)
    mail.add_alternative(message.email_html, subtype="html")
    return mail


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _decoded(text: object) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
