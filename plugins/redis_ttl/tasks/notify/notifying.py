"""Tells teams what a task has found: writes the messages, sends what is due, and says in the log what became of them.

Never fails a task: what can't be told is in the log and in the store, and is tried again by the next task that tells anything, and by
the watch.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from airflow.sdk import conf
from airflow.sdk.observability import stats

from redis_ttl.adapters.system_clock import SystemClock
from redis_ttl.domain.messages.kind import STATES
from redis_ttl.tasks.store import open_store
from redis_ttl.usecases.store.catalogue import message_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from redis_ttl.adapters.store.store import Store
    from redis_ttl.domain.messages.delivery import News, Receipt
    from redis_ttl.domain.messages.facts.any_facts import AnyFacts
    from redis_ttl.domain.messages.kind import MessageKind
    from redis_ttl.domain.policy.policy import Owner, Policy
    from redis_ttl.usecases.messages.message_sources import MessageSources
    from redis_ttl.usecases.messages.message_tools import MessageTools
    from redis_ttl.usecases.messages.post_message import Post
    from redis_ttl.usecases.store.message_ports import Composed, Envelope

_log = logging.getLogger(__name__)
_RECENTLY: Final = timedelta(hours=1)


def notify(policy: Policy, kind: MessageKind, which: str, link: str | None) -> None:
    """Compose the message of that kind from the store's documents, post it to each owner, and send everything that is due."""
    with _never_failing():
        store = open_store()
        _notify(policy, store, _sources(store, policy).facts_of(kind, which, link))


def notify_events(policy: Policy, link: str | None) -> None:
    """Tell what the watch saw within the last hour, if nobody has, and send everything that is due.

    An hour, and not only what this look saw: a look that was cut off, or met a store that failed, leaves its events to the next one.
    Costs the listing of two folders when there is nothing.
    """
    with _never_failing():
        from redis_ttl.usecases.messages.deliver_messages import has_due_messages
        from redis_ttl.usecases.messages.message_sources import has_events

        store, now = open_store(), SystemClock().now()
        if has_events(store, policy.cluster, now - _RECENTLY):
            _notify(policy, store, _sources(store, policy).events_since(now - _RECENTLY, link))
        elif has_due_messages(store, policy.cluster, now):
            _deliver(policy, _tools(store, policy))


def run_link(context: Mapping[str, Any], page: str = "") -> str | None:
    """The address of the run's page in Airflow's UI; None where Airflow doesn't know its own address."""
    base = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
    if not base.startswith(("http://", "https://")):
        return None
    run = context["dag_run"]
    return f"{base}/dags/{quote(run.dag_id, safe='')}/runs/{quote(run.run_id, safe='')}{page}"


@contextmanager
def _never_failing() -> Iterator[None]:
    try:
        yield
    except Exception:  # noqa: BLE001  # whatever it is, the work that it would tell of is done
        _log.exception("what was found could not be told; the documents that it is made of are in the store")


def _notify(policy: Policy, store: Store, found: Sequence[tuple[Owner, AnyFacts]]) -> None:
    from redis_ttl.usecases.messages.post_message import post_message

    tools = _tools(store, policy)
    for owner, facts in found:
        # One that can't be written keeps nobody else from hearing of theirs.
        with _never_failing():
            _log_post(policy, post_message(owner, facts, tools))
    _deliver(policy, tools)


def _sources(store: Store, policy: Policy) -> MessageSources:
    from redis_ttl.adapters.counting.pattern_merger import read_patterns
    from redis_ttl.tasks.signing import signing_keys
    from redis_ttl.usecases.messages.message_sources import MessageSources

    return MessageSources(store, policy, read_patterns, signing_keys)


def _tools(store: Store, policy: Policy) -> MessageTools:
    from redis_ttl.domain.messages.delivery import Why
    from redis_ttl.domain.messages.facts.action_required import ActionRequired
    from redis_ttl.domain.messages.facts_of_audit import since_first_told
    from redis_ttl.messages.formats.as_markdown import as_markdown
    from redis_ttl.messages.rendering import documents_of
    from redis_ttl.usecases.messages.message_tools import MessageTools
    from redis_ttl.usecases.store.message_ports import Composed

    def compose(facts: AnyFacts, contact: Owner, news: News) -> Composed:
        if isinstance(facts, ActionRequired) and news.why is Why.REMINDER and news.since is not None:
            facts = since_first_told(facts, news.since, policy, contact)
        documents = documents_of(
            facts,
            languages=contact.languages,
            timezone=policy.timezone_of(contact),
            redacts=policy.messages.redacts_keys,
            news=news,
        )
        return Composed([document.to_json() for document in documents], as_markdown(documents))

    return MessageTools(store, policy, compose, _send, SystemClock())


def _send(envelope: Envelope) -> Receipt:
    """Over the providers, which a task that sends nothing doesn't wait for."""
    from redis_ttl.tasks.notify import channels

    return channels.send(envelope)


def _deliver(policy: Policy, tools: MessageTools) -> None:
    from redis_ttl.usecases.messages.deliver_messages import deliver_due

    for delivery in deliver_due(tools):
        to = ", ".join(delivery.route.to) or delivery.route.connection
        what = ", ".join(delivery.paths)
        if delivery.error is None:
            _log.info("sent over %s to %s: %s", delivery.route.kind.value, to, what)
        elif delivery.is_given_up:
            _log.error("could not be sent to %s, and isn't tried again: %s (%s)", to, delivery.error, what)
            stats.incr("redis_ttl.messages_undelivered", tags={"cluster": policy.cluster})
        else:
            _log.warning("could not be sent to %s, next try at %s: %s", to, delivery.again_at, delivery.error)


def _log_post(policy: Policy, post: Post) -> None:
    if post.path is None:
        days = policy.messages.remind_after_s / 86_400
        again = f", and is reminded after {days:g} days" if post.kind in STATES else ""
        _log.info("%s: %s was told this already%s", post.kind.value, post.to, again)
        return
    to = post.to if post.to == post.owner else f"{post.to}, in place of {post.owner}"
    if not post.routes:
        _log.warning(
            "%s for %s is in the store only, as the policy has no way to it (slack, slack_webhook or email, and a connection under "
            "messages): %s",
            post.kind.value,
            to,
            message_page(post.path),
        )
        for line in post.markdown.splitlines():
            _log.info("%s", line)
        return
    _log.info("%s for %s (%s), due %s: %s", post.kind.value, to, post.why, post.due, message_page(post.path))
