"""The project's messages for callbacks of any DAG: ``on_success_callback``, ``on_failure_callback``, or a waiting task's notifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from redis_ttl.domain.messages.kind import MessageKind

if TYPE_CHECKING:
    from collections.abc import Sequence


class TtlNotifier(BaseNotifier):
    """Tells the teams of a cluster what its newest documents say, or those that ``which`` names.

    ``cluster`` is a policy's, ``kind`` one of `MessageKind` by its value. ``which`` is an audit's id for ``action_required`` and
    ``drift_found``, a plan's for what is about plans, ``LATEST`` for the newest. Owners, languages, channels and once-ness are the
    policy's, as when the project's own DAGs tell. All three are templates. Raises ValueError for an unknown kind.
    """

    template_fields: Sequence[str] = ("cluster", "kind", "which")

    def __init__(self, *, cluster: str, kind: str, which: str = "LATEST") -> None:
        super().__init__()
        self.cluster = cluster
        self.kind = kind
        self.which = which
        if "{{" not in kind:
            MessageKind(kind)

    def notify(self, context: Any) -> None:
        """Tell it."""
        from redis_ttl.adapters.policy_files.policy_file import find_policy
        from redis_ttl.tasks.notify.notifying import notify, run_link
        from redis_ttl.tasks.policies import policies_folder

        link = run_link(context) if "dag_run" in context else None
        notify(find_policy(policies_folder(), self.cluster), MessageKind(self.kind), self.which, link)
