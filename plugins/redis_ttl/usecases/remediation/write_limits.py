"""Holds one attempt at a shard to the limits of its plan, which all parts share (:mod:`redis_ttl.domain.remediation.quota`).

Asked before a batch is journalled, so that nothing beyond a limit is ever written. It needs a store in which exactly one of
two who create the same document succeeds, and nothing else from the other parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis_ttl.domain.errors import Aborted, StoreProblem
from redis_ttl.domain.remediation.parts import shard_part
from redis_ttl.domain.remediation.quota import RUN_POT, Grant, Reserve, limit_of, pot_of_rule
from redis_ttl.domain.remediation.remediation import Outcome
from redis_ttl.usecases.remediation.write_gate import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from redis_ttl.domain.plan.plan import Plan
    from redis_ttl.domain.remediation.quota import Survey
    from redis_ttl.usecases.remediation.write_ports import Decided, Earlier
    from redis_ttl.usecases.store.plans import PlanDocuments

_TOO_MANY: Final = (
    "Clearing the task changes nothing, unless keys have gone. Roll back what was written; or audit again and trigger a new "
    "remediation for the rest, or correct the rule."
)


def latest_survey(plan: Plan, documents: PlanDocuments) -> Survey:
    """What the canary counted last. Raises :class:`Aborted` where it didn't: version 0.1 kept no such count."""
    surveys = [each for each in documents.surveys() if each.digest == plan.digest]
    if not surveys:
        raise Aborted(
            "the canary of this plan left no count of the keys, so no limit can be kept (version 0.1 counted none)",
            where=plan.plan_id,
            todo="Clear the task apply_canary with its downstream tasks, and let it run: it leaves what is set as it is.",
        )
    return surveys[-1]


class WriteLimits:
    """The limits of one attempt at ``part``, which reads these ``shards`` of the plan (more than its own where it reads a whole
    database) from the server process ``run_id``; None for a whole database, which has the same keys whichever process answers.
    ``insist`` repeats what the store doesn't do at once.

    What has an expiry of ours counts before it is met, since the keys that come first may be all new ones: what stood when
    the canary counted, the canary's own keys, and what was journalled here since (``earlier``, which is filled here).
    """

    def __init__(
        self,
        plan: Plan,
        documents: PlanDocuments,
        *,
        part: str,
        attempt: str,
        shards: Collection[int],
        run_id: str | None,
        insist: Callable[[Callable[[], Grant | None]], Grant | None],
        earlier: Earlier,
    ) -> None:
        self._plan = plan
        self._documents = documents
        self._part = part
        self._attempt = attempt
        self._insist = insist
        self._survey = latest_survey(plan, documents)
        self._pots = [pot_of_rule(rule.number) for rule in plan.included]
        if plan.limit_keys is not None:
            self._pots.append(RUN_POT)
        self._reserves = {pot: Reserve(self._slack(pot), len(plan.shards)) for pot in self._pots}
        self._allowed = {pot: self._survey.keys(pot, shards) for pot in self._pots}
        self._standing = {pot: self._survey.standing_keys(pot, shards) for pot in self._pots}
        self._ours = dict.fromkeys(self._pots, 0)
        self._changing = dict.fromkeys(self._pots, 0)
        self._earlier = earlier
        parts = {part, *(shard_part(number) for number in shards)}
        for grant in documents.grants(self._survey.attempt):
            if grant.part in parts and grant.pot in self._reserves:
                self._allowed[grant.pot] += self._reserves[grant.pot].keys(grant.number)
        # What another process answered were other keys than the shard has now; those of them that are met are ours.
        attempts = {each.attempt for each in documents.begun() if run_id in (None, each.run_id)}
        attempts -= set(self._survey.before)
        for name in documents.journal_names():
            if name.part in parts and name.attempt in attempts:
                earlier.add(documents.journal(name))
        self._has_earlier = bool(earlier.keys())
        for rule, keys in earlier.keys().items():
            self._note(rule, keys, 0)

    def reserve(self, decided: Decided) -> None:
        """Take room for the keys of a batch that would change. Raises :class:`Ended` where a limit has none left."""
        counts = {rule: (each.undecided, each.already_ours) for rule, each in decided.accounts.items()}
        changing = dict.fromkeys(self._pots, 0)
        for rule, (change_keys, _) in counts.items():
            for pot in (pot_of_rule(rule), RUN_POT):
                if pot in changing:
                    changing[pot] += change_keys
        for rule, (change_keys, our_keys) in (self._earlier.others(decided) if self._has_earlier else counts).items():
            self._note(rule, change_keys, our_keys)
        for pot in self._pots:
            # Keys that are ours already are no reason to stop; only the next ones are.
            while changing[pot] and self._used(pot) > self._allowed[pot]:
                grant = self._insist(lambda pot=pot: self._draw(pot))  # type: ignore[misc]
                if grant is None:
                    raise Ended(Outcome.ABORTED, self._exceeded(pot), _TOO_MANY)
                self._allowed[pot] += self._reserves[pot].keys(grant.number)

    def _note(self, rule: int, change_keys: int, our_keys: int) -> None:
        for pot in (pot_of_rule(rule), RUN_POT):
            if pot in self._changing:
                self._changing[pot] += change_keys
                self._ours[pot] += our_keys

    def _used(self, pot: str) -> int:
        return self._changing[pot] + max(self._standing[pot], self._ours[pot])

    def _draw(self, pot: str) -> Grant | None:
        """The next share of the reserve that nobody has; None when there is none. Raises :class:`StoreProblem`."""
        self._refuse_superseded()
        taken = self._documents.grant_names(self._survey.attempt)
        for number in range(self._reserves[pot].shares):
            grant = Grant(self._plan.plan_id, self._survey.attempt, pot, number, self._part, self._attempt)
            if grant.name in taken:
                continue
            try:
                self._documents.write_grant(grant)
            except StoreProblem:
                if grant.name not in self._documents.grant_names(self._survey.attempt):
                    raise  # nobody has it: the store is at fault
                if self._documents.grant(grant) != grant:
                    continue  # somebody else was faster
            return grant
        return None

    def _refuse_superseded(self) -> None:
        """Nobody draws by the figures of yesterday."""
        if self._documents.surveys()[-1].attempt != self._survey.attempt:
            raise Ended(Outcome.ABORTED, "the canary has counted the keys anew since this attempt began")
        if any(each.part == self._part and each.attempt > self._attempt for each in self._documents.begun()):
            raise Ended(Outcome.ABORTED, "another attempt at this part has begun since")

    def _slack(self, pot: str) -> int:
        return (limit_of(self._plan, pot) or 0) - self._survey.keys(pot)

    def _exceeded(self, pot: str) -> str:
        who = next(
            (f"the rule {rule.pattern} matches" for rule in self._plan.rules if pot_of_rule(rule.number) == pot),
            "the rules together match",
        )
        return (
            f"{who} more keys than the plan allows: {limit_of(self._plan, pot):,} at most, of which {self._survey.keys(pot):,} "
            f"were counted before the canary, and the other {self._reserves[pot].slack:,} are taken; {self._part} would have "
            f"{self._used(pot):,}, and may have {self._allowed[pot]:,}"
        )
