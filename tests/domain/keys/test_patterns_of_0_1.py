"""What a rule of version 0.1 governed, it governs."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.domain.keys.pattern import KeyPattern

_HEX: Final = "[0-9a-fA-F]"
_SHAPES_OF_0_1: Final[dict[str, str]] = {
    "uuid": f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
    "jwt": r"eyJ[0-9A-Za-z_-]+\.eyJ[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]*)?",
    "email": r"[0-9A-Za-z.!#$%&'*+=?^_`~-]+@[0-9A-Za-z.-]+",
    "ip": r"(?:(?:::ffff:)?[0-9]{1,3}\.[0-9.]{5,11}|[0-9a-fA-F:]{3,39})",
    "date": r"(?:19|20)[0-9]{2}[0-9TWZ:/.,_+ -]{2,31}",
    "version": r"v?[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,6}",
    "ulid": "01[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{24}",
    "hex": "(?:[0-9a-f]{8,}|[0-9A-F]{8,})",
    "token": "[0-9A-Za-z_-]+",
    "bytes": r".*\\x[89a-f][0-9a-f].*",
    "java": ".+",
    "n": "[0-9]+",
}
"""Copied from version 0.1, and never to be brought up to date."""

_FRAMES: Final = (("a:", ""), ("a:", ":b"), ("a-", "-b"), ("a/", "/b"), ("{{a:", "}}:b"))


@pytest.mark.parametrize("shape", _SHAPES_OF_0_1)
@settings(max_examples=40)
@given(st.data())
def test_a_shape_takes_all_that_it_took(shape: str, data: st.DataObject) -> None:
    """Every text that a placeholder with a shape stood for in 0.1 it stands for now."""
    before, behind = data.draw(st.sampled_from(_FRAMES))
    text = data.draw(st.from_regex(_SHAPES_OF_0_1[shape], fullmatch=True).filter(lambda text: "\n" not in text))

    name = f"{before}{text}{behind}".replace("{{", "{").replace("}}", "}")
    assert KeyPattern(f"{before}{{{shape}}}{behind}").matches(name)


@pytest.mark.parametrize("name", ["mac", "id", "text", "macAddress", "host", "base64"])
@settings(max_examples=40)
@given(st.data())
def test_a_name_takes_all_that_it_took(name: str, data: st.DataObject) -> None:
    """A placeholder that was just a name in 0.1 stands for any text up to its separator, although folding may write it now."""
    before, behind, stops = data.draw(
        st.sampled_from([("a:", "", ":"), ("a:", ":b", ":"), ("a-", "-b", "-"), ("a/", "", ":/"), ("a|", ".b", ".")])
    )
    text = data.draw(
        st.text(st.characters(exclude_characters=stops, exclude_categories=["Cs"]), min_size=1, max_size=12)
    )

    assert KeyPattern(f"{before}{{{name}}}{behind}").matches(f"{before}{text}{behind}")


def test_a_mac_address_has_its_separators() -> None:
    """A line of the report with `{mac}` is a rule for addresses, whose colons end other names."""
    rule = KeyPattern("dev:{mac}:state")

    assert rule.matches("dev:00:1b:63:84:45:e6:state")
    assert rule.matches("dev:kitchen:state")
    assert not rule.matches("dev:kitchen:lamp:state")
    assert not KeyPattern("dev:{host}:state").matches("dev:00:1b:63:84:45:e6:state")


def test_a_token_with_slashes_is_no_path() -> None:
    """`{token}` takes base64, and no path of words."""
    rule = KeyPattern("tok:{token}")

    assert rule.matches("tok:q83vEjRWeJq83v/EjRWeJq83vE=")
    assert not rule.matches("tok:products/shoes/red")
    assert not rule.matches("tok:a/b1")
