"""Who is told, how, and when: ``owner``, ``owners`` and ``messages`` of a policy file."""

from __future__ import annotations

from redis_ttl.adapters.policy_files.entries.entry import Entry
from redis_ttl.adapters.policy_files.leaves.names import (
    ConnectionId,
    EmailAddress,
    LanguageName,
    SlackChannel,
    Team,
    YesOrNo,
)
from redis_ttl.adapters.policy_files.leaves.times import (
    Duration,
    Interval,
    Quiet,
    TimeOfDay,
    TimeZone,
)
from redis_ttl.domain.policy.policy import (
    Language,
    MessageSettings,
    Owner,
)

_MESSAGES = MessageSettings()


class OwnerEntry(Entry):
    """``owner``, one of ``owners``, and ``fallback`` of ``messages``."""

    team: Team
    slack: SlackChannel | None = None
    slack_webhook: ConnectionId | None = None
    email: tuple[EmailAddress, ...] = ()
    languages: tuple[LanguageName, ...] = (Language.ENGLISH.value,)
    timezone: TimeZone | None = None
    quiet_hours: Quiet | None = None

    def value(self) -> Owner:
        """The owner that the entry means."""
        return Owner(
            team=self.team,
            slack=self.slack,
            slack_webhook=self.slack_webhook,
            email=self.email,
            languages=tuple(Language(name) for name in self.languages),
            timezone=self.timezone,
            quiet_hours=self.quiet_hours,
        )


class MessagesEntry(Entry):
    """``messages``."""

    slack_connection: ConnectionId | None = None
    smtp_connection: ConnectionId | None = None
    fallback: OwnerEntry | None = None
    deadline: Duration = _MESSAGES.deadline_s
    remind_after: Interval = _MESSAGES.remind_after_s
    summary_at: TimeOfDay = _MESSAGES.summary_at
    redact_keys: YesOrNo = _MESSAGES.redacts_keys

    def value(self) -> MessageSettings:
        """The settings that the entry means."""
        return MessageSettings(
            slack_connection=self.slack_connection,
            smtp_connection=self.smtp_connection,
            fallback=None if self.fallback is None else self.fallback.value(),
            deadline_s=self.deadline,
            remind_after_s=self.remind_after,
            summary_at=self.summary_at,
            redacts_keys=self.redact_keys,
        )
