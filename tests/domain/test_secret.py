"""A secret shows itself nowhere, and texts of others lose what looks like one."""

from __future__ import annotations

import base64
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_ttl.domain.secret import Secret, without_secrets

secrets = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=6, max_size=30)


@given(secrets)
def test_a_secret_is_its_text_and_shows_none_of_it(text: str) -> None:
    """Equal, hashed, encoded and pickled as its text; formatted, printed and shown as asterisks."""
    secret = Secret(Secret(text))
    assert secret == text
    assert secret.encode() == text.encode()
    assert secret.reveal() == text
    assert type(secret.reveal()) is str
    assert pickle.loads(pickle.dumps(secret)) == text
    assert {f"{secret}", str(secret), f"{secret:>3}", "%s" % secret} == {"***"}  # noqa: UP031  # as loggers do it
    assert repr(secret) == "'***'"


@given(secrets, st.sampled_from(["{}", "at {}, and more", "'/services/{}'", "\\n{}\\n"]))
def test_a_known_secret_is_found_in_every_form(text: str, around: str) -> None:
    """Written as it is, as part of an address, in base64 or in hex, a known secret isn't left in a text."""
    raw = text.encode()
    for form in (text, quote(text), quote(text, safe=""), base64.b64encode(raw).decode(), raw.hex()):
        assert form not in without_secrets(around.format(form.replace("{", "").replace("}", "")), [form]) or not form


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no answer from redis://ann:secret@h:6379/0", "no answer from redis://...@h:6379/..."),
        ("GET https://hooks.slack.com/services/T0/B0/x failed", "GET https://hooks.slack.com/... failed"),
        ("redis://:pa/ss@w?rd@h:1", "redis://...@h:1"),
        ("password=secret&x=1", "password=***&x=1"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('{"token": "abc"}', '{"token": "***"}'),
        ("xoxb-12-ab was revoked", "*** was revoked"),
        ("URL can't have '/services/T00/B00/TOKEN'", "URL can't have '***'"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/"),
        ("nothing to hide: 12 keys", "nothing to hide: 12 keys"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, shown: str) -> None:
    """Of an address scheme and host are left, of an option named like a password its name."""
    assert without_secrets(text) == shown
