"""Signatures of documents: what survives none, which keys are believed, and that no key ever shows."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.codec import to_plain
from redis_ttl.domain.errors import BadInput
from redis_ttl.domain.remediation.approval import ApprovalRequest, Channel, Decision, Verdict
from redis_ttl.domain.remediation.signing import SigningKeys, parse_signing_keys

KEY, OTHER = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
KEYS = parse_signing_keys(KEY, where="test")
CLUSTER = "market"

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DECISIONS = st.builds(
    Decision,
    request_id=TEXTS,
    plan_id=TEXTS,
    digest=TEXTS,
    gate=TEXTS,
    verdict=st.sampled_from(Verdict),
    channel=st.sampled_from(Channel),
    by=st.none() | TEXTS,
    at=TEXTS,
    comment=st.none() | TEXTS,
    why=st.none() | TEXTS,
    instance=st.none() | TEXTS,
    clears=st.none() | st.integers(0, 9),
)
REQUESTS = st.builds(ApprovalRequest, TEXTS, TEXTS, TEXTS, TEXTS, st.integers(1, 9), TEXTS, st.none() | TEXTS)
VALUES = st.none() | st.booleans() | st.integers() | TEXTS | st.lists(TEXTS, max_size=2)


def stored(document: Decision | ApprovalRequest, keys: SigningKeys = KEYS, cluster: str = CLUSTER) -> dict[str, Any]:
    """The document as it comes back from the store."""
    read: dict[str, Any] = json.loads(
        json.dumps(keys.signed(to_plain(document), cluster), ensure_ascii=False, indent=1)
    )
    return read


@given(document=DECISIONS | REQUESTS)
def test_what_was_signed_is_believed(document: Decision | ApprovalRequest) -> None:
    """A document that comes back from the store as it went there has no doubt about it."""
    assert KEYS.doubt(stored(document), CLUSTER) is None


@given(document=DECISIONS | REQUESTS)
def test_the_order_of_fields_means_nothing(document: Decision | ApprovalRequest) -> None:
    """A store, or a tool that copies it, may hand fields on in another order."""
    kept = stored(document)
    turned = {name: kept[name] for name in reversed(kept)}
    turned["signature"] = dict(reversed(kept["signature"].items()))
    assert KEYS.doubt(turned, CLUSTER) is None


@given(document=DECISIONS | REQUESTS, data=st.data())
def test_no_change_of_any_field_survives(document: Decision | ApprovalRequest, data: st.DataObject) -> None:
    """A field that is changed, dropped or added, the schema and the signature's own among them, makes the document doubtful."""
    kept = stored(document)
    name = data.draw(st.sampled_from([*kept, "anything else"]))
    changed = dict(kept)
    if name in kept and data.draw(st.booleans()):
        del changed[name]
    else:
        changed[name] = data.draw(VALUES.filter(lambda value: name not in kept or value is not kept[name] != value))
    if json.dumps(changed, sort_keys=True) == json.dumps(kept, sort_keys=True):
        return
    assert KEYS.doubt(changed, CLUSTER) is not None


@given(document=DECISIONS, cluster=TEXTS.filter(lambda name: name != CLUSTER))
def test_no_document_moves_to_another_cluster(document: Decision, cluster: str) -> None:
    """The signature holds for the cluster that it was made for."""
    assert "moved here" in str(KEYS.doubt(stored(document), cluster))


@given(one=DECISIONS, other=DECISIONS)
def test_no_signature_moves_to_another_document(one: Decision, other: Decision) -> None:
    """A signature that was cut out of one document is none for another."""
    moved = stored(other) | {"signature": stored(one)["signature"]}
    assert (KEYS.doubt(moved, CLUSTER) is None) == (one == other)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        [],
        {},
        {"key": "k"},
        {"mac": "m"},
        {"key": 1, "mac": "m"},
        {"key": "k", "mac": None},
        {"key": "k", "mac": "\u00e9"},
    ],
)
def test_a_signature_that_makes_no_sense_is_none(signature: object) -> None:
    """Whatever stands there, the answer is a reason and no exception."""
    assert KEYS.doubt({"schema": "x/1", "signature": signature}, CLUSTER)


def test_keys_rotate() -> None:
    """The newest key signs, each key of the list is believed, and one that has left the list isn't."""
    document = {"schema": "x/1"}
    rotated = parse_signing_keys(f"{OTHER}\n{KEY}", where="test")
    assert rotated.doubt(KEYS.signed(document, CLUSTER), CLUSTER) is None
    newest = rotated.signed(document, CLUSTER)
    assert parse_signing_keys(OTHER, where="test").doubt(newest, CLUSTER) is None
    assert "a key that isn't known here" in str(KEYS.doubt(newest, CLUSTER))


@pytest.mark.parametrize("separator", [",", ", ", "\n", " ", "\r\n", ",\n\t"])
def test_keys_stand_in_a_list(separator: str) -> None:
    """Commas and white space are between them, a key that is there twice is there once, and empty places count for nothing."""
    assert parse_signing_keys(separator.join([OTHER, KEY, OTHER, ""]), where="x").keys == (OTHER.encode(), KEY.encode())


@pytest.mark.parametrize(
    "text",
    [secrets.token_hex(32), base64.b64encode(secrets.token_bytes(32)).decode(), secrets.token_urlsafe(48)],
    ids=["hex", "base64", "urlsafe"],
)
def test_any_spelling_of_32_random_bytes_is_a_key(text: str) -> None:
    """Hexadecimal digits and both kinds of base64, as openssl and Python write them."""
    assert parse_signing_keys(text, where="test").keys == (text.encode(),)


WEAK = {
    "short hex": secrets.token_hex(31),
    "short base64": secrets.token_urlsafe(31),
    "a password": "correct-horse-battery-staple",
    "one character": "a" * 64,
    "few characters": "abababcdcdcd" * 5,
    "repeated": "Zx9-Qw3_Er7Ty5u" * 3,
}


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_key_is_refused_without_being_shown(name: str) -> None:
    """The error says which key of the list it is, how to make a good one, and nothing of the key."""
    with pytest.raises(BadInput, match=r"key number 2 is too weak.*token_urlsafe\(32\)") as caught:
        parse_signing_keys(f"{KEY},{WEAK[name]}", where="connection redis_ttl_signing")
    assert WEAK[name] not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("text", [None, "", " ", ",", " ,\n"])
def test_no_key_at_all_is_an_error(text: str | None) -> None:
    """An empty list of keys is never the same as having no list."""
    with pytest.raises(BadInput, match="holds no signing key"):
        parse_signing_keys(text, where="connection redis_ttl_signing")


def test_keys_don_t_show() -> None:
    """Neither the keys' text form nor a signed document holds a key."""
    assert KEY not in f"{KEYS!r} {KEYS}"
    assert KEY not in json.dumps(KEYS.signed({"schema": "x/1"}, CLUSTER))
