"""Every way the program fails, as one tree.

::

    RedisTtlError
    ├── BadInput                 the input is wrong; retrying changes nothing
    │   ├── InvalidPolicy        one policy file, with all of its mistakes
    │   ├── InvalidOption        one option of a command, a form or a URL
    │   ├── NewerDocument        a document in the store that a newer version wrote
    │   └── UnsafePlan           a remediation that must not happen as it is:
    │       ├── StaleAudit           its audit is too old, or was made by other rules
    │       ├── WrongServer          its audit read another data set, or another program
    │       ├── HiddenFigures        a server doesn't report what the guards need
    │       ├── CapExceeded          it would change more keys than its caps allow
    │       ├── NoRoom               its TTLs need more memory than there is
    │       └── ExpiryStorm          too many keys would expire in one second
    ├── ServerProblem            the server, or the way to it
    │   ├── Unreachable          no connection                                 (retried)
    │   ├── ConnectionLost       it answered, then stopped                     (retried)
    │   ├── ServerLoading        it is reading its data set into memory        (retried)
    │   ├── AuthenticationFailed it rejected this user or password
    │   ├── TlsMismatch          one side speaks TLS and the other doesn't, or the certificate isn't valid
    │   ├── MissingPermission    its ACL forbids a command or keys that we can't do without
    │   │   └── ForbiddenDatabase    or a database
    │   ├── CommandUnavailable   it has no such command (a proxy, a restricted service)
    │   ├── UnexpectedReply      it answers something that Redis never would (a proxy, a look-alike)
    │   ├── NoSuchDatabase       no database of that number
    │   └── WrongRole            a replica where a primary was asked for, or the reverse
    ├── ServerChanged            another process answers than the one whose cursors we hold
    ├── IncompleteScan           keys that were there all along were not seen
    ├── SlotsMoved               a cluster moved slots while we looked             (retried)
    ├── NotVerified              keys were missed, or their state is unknown
    ├── OtherServer              not the data set that the plan was made of
    ├── WorseThanBefore          a watched figure has reached a worse level, or grows far too fast
    ├── Aborted                  a guard or an operator ended the work
    ├── Unfinished               a rollback left something behind, or can't tell whether it did
    ├── TooManyMatches           a rule matches more keys than its plan allows
    ├── DriftFound               new keys without TTL that weren't accepted
    ├── NotApproved              no valid approval of this plan, or not in time
    ├── ChannelRefused           Slack or a mail server doesn't take a message, and won't
    ├── ChannelUnavailable       Slack or a mail server doesn't take a message now   (retried)
    └── StoreProblem             the document store can't be written or read
        ├── AlreadyWritten       a document of that name is there, and documents aren't replaced
        └── DamagedDocument      what is read isn't what was written

Fields come first and the text is derived from them: what happened, where, what was found against what is allowed, and
what to do next. The module knows no library: adapters translate foreign exceptions into these, with ``from``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from redis_ttl.domain.policy_mistake import PolicyMistake


class RedisTtlError(Exception):
    """An error for a person, in words that say what to do.

    ``what`` is a clause without a full stop; ``where`` names the place (host:port, file:line, option); ``found`` and
    ``allowed`` are the measured and the accepted value where there are such; ``todo`` is the next step for the reader.
    ``retryable`` says whether trying the very same thing again can help.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        found: str | None = None,
        allowed: str | None = None,
        todo: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.found = found
        self.allowed = allowed
        self.todo = todo
        super().__init__(what, where, found, allowed, todo)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.found is not None:
            text += f"; found {self.found.rstrip('.')}"
        if self.allowed is not None:
            text += f"; expected {self.allowed}"
        if self.todo is not None:
            text += f". {self.todo}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process boundaries in Airflow; keyword-only fields need this to be pickled.
        return (_rebuild, (type(self), self.__dict__.copy()))


class BadInput(RedisTtlError):
    """The input is wrong; retrying changes nothing."""


class InvalidPolicy(BadInput):
    """One policy file can't be used; ``mistakes`` are all that is wrong with it, in the order of the file."""

    def __init__(self, file: str, mistakes: tuple[PolicyMistake, ...]) -> None:
        self.file = file
        self.mistakes = mistakes
        count = "one mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{count} in this policy", where=file)

    def __str__(self) -> str:
        return "\n".join([f"{self.where}: {self.what}", *(str(mistake) for mistake in self.mistakes)])


class InvalidOption(BadInput):
    """One option of a command, a form or a URL can't be used."""


class NewerDocument(BadInput):
    """A document in the store that a newer version wrote: what it means can't be known."""


class UnsafePlan(BadInput):
    """A remediation that must not happen as it is; which of its kinds is raised says why.

    ``found`` is what was measured, ``allowed`` the limit, ``todo`` the way out.
    """


class StaleAudit(UnsafePlan):
    """The audit is older than the policy allows, comes from the future, or judged its keys by other rules than those of now."""


class WrongServer(UnsafePlan):
    """The servers of now aren't those that were audited: another data set, more primaries, or another program."""


class HiddenFigures(UnsafePlan):
    """A server hides figures without which no guard could watch the writing, so that nothing could ever be written."""


class CapExceeded(UnsafePlan):
    """A rule, or all rules of the plan together, would change more keys than the policy's caps allow."""


class NoRoom(UnsafePlan):
    """At the peak, the TTLs need more memory than the policy allows."""


class ExpiryStorm(UnsafePlan):
    """With the keys of other plans, more keys would expire in a second than go unnoticed."""


class ServerProblem(RedisTtlError):
    """The Redis server, or the way to it, is not as it must be."""


class Unreachable(ServerProblem):
    """No connection to that address."""

    retryable = True


class ConnectionLost(ServerProblem):
    """The server answered before, and stopped."""

    retryable = True


class ServerLoading(ServerProblem):
    """The server is still reading its data set into memory."""

    retryable = True


class AuthenticationFailed(ServerProblem):
    """The server doesn't accept this user name or password."""


class TlsMismatch(ServerProblem):
    """One side speaks TLS and the other doesn't, or a certificate isn't valid."""


class MissingPermission(ServerProblem):
    """The server's ACL forbids a command, or keys, that the work can't do without."""


class ForbiddenDatabase(MissingPermission):
    """The server's ACL keeps this user out of database ``db`` (Valkey 9.1). ``held`` are the databases that hold keys, where known."""

    db: int = 0
    held: tuple[int, ...] = ()

    @classmethod
    def of(cls, db: int, where: str, found: str) -> ForbiddenDatabase:
        """The error about that database."""
        error = cls(
            f"this user may not read database {db} (allow it with db={db} or alldbs)",
            where=where,
            found=found,
            todo=f"ACL SETUSER <user> db={db}, or audit as another user, or only the databases that this one may read.",
        )
        error.db = db
        return error


class CommandUnavailable(ServerProblem):
    """The server has no such command."""


class UnexpectedReply(ServerProblem):
    """The server answers something that Redis never would: it may be a proxy or a look-alike."""


class NoSuchDatabase(ServerProblem):
    """The server has no database of that number."""


class WrongRole(ServerProblem):
    """A replica where a primary was asked for, or the reverse."""


class ServerChanged(RedisTtlError):
    """Another server process answers than the one that the scan's cursors belong to."""

    retryable = True


class IncompleteScan(RedisTtlError):
    """Keys that existed before and after the scan were not met by it."""


class SlotsMoved(RedisTtlError):
    """A cluster moved slots while we looked, so the state of the keys in them is unknown."""

    retryable = True


class NotVerified(RedisTtlError):
    """Keys were missed, or have our expiry without a row in the journal, or the journal can't be read whole."""


class OtherServer(RedisTtlError):
    """No server that can be reached holds the data set that the plan was made of."""


class WorseThanBefore(RedisTtlError):
    """A watched figure has reached a worse level, or grows far too fast."""


class Aborted(RedisTtlError):
    """A guard or an operator ended the work; what was done until then is in the journal."""


class Unfinished(RedisTtlError):
    """A rollback left something of its plan behind, or can't tell whether it did."""


class TooManyMatches(RedisTtlError):
    """A rule matches more keys than its plan allows; nothing was written."""


class NotApproved(RedisTtlError):
    """Nothing may be written: the approval that it needs isn't there, or isn't one."""


class DriftFound(RedisTtlError):
    """An audit met more new keys without TTL than the policy tolerates, or a rule's date has passed."""


class ChannelRefused(RedisTtlError):
    """A channel doesn't take a message, and won't: no such channel, no such recipient, a wrong password."""


class ChannelUnavailable(RedisTtlError):
    """A channel doesn't take a message now: it can't be reached, or asks for patience."""

    retryable = True


class StoreProblem(RedisTtlError):
    """The document store can't be written or read."""


class DamagedDocument(StoreProblem):
    """What is read from the store isn't what was written, or can't be made sense of."""


class AlreadyWritten(StoreProblem):
    """A document of that name is there, and documents aren't replaced: somebody else was first."""


def _rebuild(kind: type[RedisTtlError], fields: dict[str, object]) -> RedisTtlError:
    error = kind.__new__(kind)
    error.__dict__.update(fields)
    error.args = tuple(fields.get(name) for name in ("what", "where", "found", "allowed", "todo"))
    return error
