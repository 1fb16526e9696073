"""Reads named fields, as a URL's options or an Airflow connection give them, and says which one is wrong, and how.

Knows no field by itself. A text that may be a misplaced password is part of no error.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from redis_ttl.domain.errors import InvalidOption
from redis_ttl.domain.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

URL: Final = "URL"
NOT_SHOWN: Final = "a text that may be part of a password, and isn't shown"
LAST_PORT: Final = 65_535
_SHOWN: Final = 40
_LONGEST_TIMEOUT_S: Final = 3600.0
#: What may be repeated in an error; any other text may be a password in the wrong place.
_HARMLESS: Final = re.compile(r"-?[0-9]{1,10}(?:\.[0-9]{1,6})?")
_OPTION_NAME: Final = re.compile(r"[a-z_]{2,30}")
TRUE: Final = ("true", "yes", "on", "1")
_FALSE: Final = ("false", "no", "off", "0")


class Fields:
    """Reads typed values out of a mapping and says which field is wrong, and how."""

    def __init__(self, values: Mapping[str, Any], where: str, known: Sequence[str], *, within: str = "") -> None:
        self._values = {name: value for name, value in values.items() if value is not None and value != ""}
        self.where = where
        for name in self._values:
            if name not in known:
                near = difflib.get_close_matches(name[:_SHOWN], known, n=1)
                raise InvalidOption(
                    f"unknown option{within}",
                    where=where,
                    # The rest of a password with an & in it looks like one.
                    found=name if near and _OPTION_NAME.fullmatch(name) else NOT_SHOWN,
                    allowed=", ".join(known),
                    todo=f"Did you mean {near[0]}?" if near else None,
                )

    def value(self, name: str, default: object) -> object:
        """A field as it was given."""
        return self._values.get(name, default)

    def text(self, name: str) -> str | None:
        """A field as text, a secret's own among it; None where it is left out."""
        value = self._values.get(name)
        return None if value is None else value.reveal() if isinstance(value, Secret) else str(value)

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        """A whole number between two bounds, which are allowed themselves."""
        value = self._values.get(name, default)
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = least - 1
        if not least <= number <= most or isinstance(value, bool):
            raise self.wrong(name, value, f"a whole number from {least} to {most}")
        return number

    def seconds(self, name: str, *, default: float) -> float:
        """A time in seconds."""
        value = self._values.get(name, default)
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = 0.0
        if not 0 < seconds <= _LONGEST_TIMEOUT_S:
            raise self.wrong(name, value, "a number of seconds above 0, up to 3600")
        return seconds

    def flag(self, name: str, *, default: bool) -> bool:
        """Yes or no."""
        value = str(self._values.get(name, default)).lower()
        if value in TRUE:
            return True
        if value in _FALSE:
            return False
        raise self.wrong(name, value, "true or false")

    def addresses(self, name: str, default_port: int) -> tuple[tuple[str, int], ...]:
        """Hosts with their ports, from a list or a text with commas."""
        value = self._values.get(name, ())
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list | tuple):
            raise self.wrong(name, value, "host:port, several separated by commas or as a list")
        found = tuple(host_and_port(str(address).strip(), default_port, self.where) for address in value)
        if any(not host for host, _ in found):
            raise InvalidOption(f"{name} without a host", where=self.where, allowed="host:port[,host:port]")
        return found

    def nested(self, name: str, known: Sequence[str]) -> Fields | None:
        """A field that holds fields itself, as JSON where it is text; None where it is left out."""
        value = self._values.get(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except json.JSONDecodeError:
                value = str(value)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, value, 'an object such as {"password": "..."}')
        return Fields(value, self.where, known, within=f" in {name}")

    def wrong(self, name: str, value: object, allowed: str) -> InvalidOption:
        """The error for a field whose value isn't ``allowed``."""
        return InvalidOption(
            f"{name} can't be used", where=self.where, found=harmless(value, self.where), allowed=allowed
        )


def harmless(value: object, where: str) -> str:
    """A value as an error may repeat it; of a URL nothing, whose pieces are easily taken for each other."""
    if where == URL:
        return NOT_SHOWN
    if isinstance(value, int | float) or (isinstance(value, str) and _HARMLESS.fullmatch(value)):
        return repr(value)
    return NOT_SHOWN if isinstance(value, str) else f"a {type(value).__name__}"


def host_and_port(place: str, default_port: int, where: str) -> tuple[str, int]:
    """``host:port``, ``host`` or ``[address]:port``; the host may be empty."""
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = place.partition(":")
    if port and not (_HARMLESS.fullmatch(port) and port.isdecimal() and 1 <= int(port) <= LAST_PORT):
        raise InvalidOption(
            "port can't be used", where=where, found=harmless(port, where), allowed="a whole number from 1 to 65535"
        )
    return unquote(host), int(port) if port else default_port
