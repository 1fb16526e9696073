"""When a rollback is the end of its plan, and what is said where it isn't."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redis_ttl.domain.errors import Unfinished
from redis_ttl.domain.remediation.remediation import Interruption
from redis_ttl.domain.rollback.rollback import RestoreAccount, RestoreResult, add_results, refuse_unfinished

DONE = RestoreResult("plan-1", "rollback-0", "a", dry_run=False, began_at="x", ended_at="y", accounts={})
FOUND = replace(DONE, dry_run=True, leftovers={})


def found(restored: RestoreResult, look: RestoreResult, *, moving: bool = False) -> tuple[str, str]:
    """What is found to be unfinished, and what to do; empty texts where nothing is."""
    try:
        refuse_unfinished(restored, look, moving=moving)
    except Unfinished as error:
        return str(error.found), str(error.todo)
    return "", ""


def test_keys_that_are_still_ours_are_those_of_journal_or_keyspace_whichever_are_more() -> None:
    """Rule by rule: what the journal tells of is found in the keyspace, too, and what it lost only there."""
    look = replace(
        FOUND, accounts={0: RestoreAccount(removed=3, put_back=2), 2: RestoreAccount(gone=9)}, leftovers={0: 4, 1: 7}
    )
    assert [look.still_ours(rule) for rule in range(4)] == [5, 7, 0, 0]
    assert look.all_still_ours == 12
    assert replace(look, leftovers=None).all_still_ours == 5
    assert replace(look, leftovers={0: 9}).all_still_ours == 9
    assert FOUND.still_ours(0) == 0


def test_a_rollback_that_left_nothing_is_finished() -> None:
    """Whatever else became of the keys."""
    look = replace(FOUND, accounts={0: RestoreAccount(keys=9, gone=3, expired=3, as_before=3)})
    assert found(DONE, look) == ("", "")


def test_keys_that_are_left_fail_the_rollback_by_rule_and_with_examples() -> None:
    """Only rules that have some are named; a dry run leaves all of them, which is no fault."""
    look = replace(FOUND, accounts={3: RestoreAccount(removed=1_200), 1: RestoreAccount()}, leftovers={0: 2})
    text, todo = found(DONE, look)
    assert text == "1,202 keys that still have our expiry (rule 0: 2, rule 3: 1,200)"
    assert "Then clear load_journal" in todo
    assert found(DONE, replace(look, examples=("a:1", "a:2")))[0].endswith("rule 3: 1,200), as `a:1`, `a:2`")
    assert found(replace(DONE, dry_run=True), look) == ("", "")
    assert found(DONE, replace(look, leftovers=None))[0] == "1,200 keys that still have our expiry (rule 3: 1,200)"


def test_keys_and_slots_that_nobody_can_vouch_for_fail_it() -> None:
    """Each with what to do about it."""
    look = replace(FOUND, accounts={0: RestoreAccount(unreached=1_500)})
    assert found(DONE, look) == (
        "1,500 keys whose node didn't answer for them",
        "When the cluster is whole, clear load_journal with its downstream tasks.",
    )
    assert found(DONE, FOUND, moving=True) == (
        "slots that moved during each look, so that keys may have been overlooked",
        "When no slots move, clear verify.",
    )


def test_holes_of_the_journal_fail_it_by_name() -> None:
    """Ten of them, each once, whoever met them; and how many more. So does a dry run, which says that nothing was changed."""
    names = tuple(f"object-{number}" for number in range(12))
    torn = replace(DONE, unreadable=names[:3], missing=names[3:9])
    text, todo = found(torn, replace(FOUND, unreadable=names[2:3], missing=names[9:10]))
    assert text == "10 holes in the journal: " + ", ".join(
        f"{name} ({'unreadable' if number < 3 else 'missing'})" for number, name in enumerate(names[:10])
    )
    assert "Restore the objects from a backup of the store" in todo
    assert not todo.startswith("This was a dry run")
    assert found(replace(torn, missing=names[3:]), FOUND)[0].endswith("object-9 (missing) and 2 more")
    assert found(replace(torn, dry_run=True), FOUND)[1].startswith(
        "This was a dry run: nothing was changed. The keys in these"
    )


def test_the_error_says_whether_it_was_done_or_only_tried() -> None:
    """And which plan it is about."""
    for dry_run, words in ((False, "the rollback didn't take back all"), (True, "a rollback wouldn't take back all")):
        with pytest.raises(Unfinished, match=f"plan plan-1: {words}"):
            refuse_unfinished(replace(DONE, dry_run=dry_run), FOUND, moving=True)


def test_the_parts_of_a_rollback_add_up() -> None:
    """Accounts and objects are sums; it began with the first and ended with the last; what is missing is named once."""
    note = Interruption("x", "memory", 1.0)
    one = replace(
        DONE,
        began_at="2",
        ended_at="3",
        accounts={0: RestoreAccount(keys=1)},
        journal_objects=2,
        missing=("m",),
        interruptions=(note,),
    )
    other = replace(
        one,
        part="rollback-1",
        began_at="1",
        ended_at="4",
        accounts={0: RestoreAccount(keys=2), 1: RestoreAccount(gone=1)},
        unreadable=("u",),
    )
    total = add_results([one, other])
    assert (total.part, total.began_at, total.ended_at, total.journal_objects) == ("rollback", "1", "4", 4)
    assert total.accounts == {0: RestoreAccount(keys=3), 1: RestoreAccount(gone=1)}
    assert (total.missing, total.unreadable, total.interruptions) == (("m",), ("u",), (note, note))
