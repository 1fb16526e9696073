r"""How one key name becomes a pattern: its id-like parts are replaced by the name of what they look like.

`session:9b2d7a06-8d0f-4c55-9a3e-0a6d1c1f7b11` and a million like it are one pattern, `session:{uuid}`. This module
sees one name at a time and knows nothing of its neighbours; `fold_by_count` looks at them together. Nor does it know
how columns are folded: `adapters.counting.folding_columns` runs the very same steps, so every regular expression here is
written in the part of the syntax that Python's `re` and Rust's `regex` read alike (no look-around, no
back-references, and no `\d`, `\w` or `\b`, which mean different things to the two outside ASCII).

The grammar of a pattern: `{name}` is a placeholder; `{{` and `}}` are the braces that the name itself has. So the
hash tag of `{user:7}:cart` stays visible as `{{user:{n}}}:cart`, and a tag that reads like a placeholder (`{id}:cart`,
folded to `{{id}}:cart`) cannot be mistaken for one when a line of the report is pasted into a policy as a rule.

What stays as it is: words, and the short numbers that words end with (`v1`, `db0`, `utf8`, `sha256`, `s3`). A number
of four digits or more folds wherever it stands, so `user12345` is `user{n}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """A placeholder that folding writes: its name, an expression for all that it may stand for, and that in words.

    The expression is as wide as what ends up under the placeholder. An id drawn at random from hexadecimal digits may
    have no letter by chance, and counting files it with its siblings, so `{hex}` takes digits alone.
    """

    name: str
    regex: str
    meaning: str
    is_also_a_name: bool = False
    """Whether it takes in a rule what a mere name takes, too: policies had such a placeholder before it was a shape."""


_HEX = "[0-9a-fA-F]"


def _uuid(separator: str) -> str:
    return f"{_HEX}{{8}}{separator}{_HEX}{{4}}{separator}{_HEX}{{4}}{separator}{_HEX}{{4}}{separator}{_HEX}{{12}}"


# What may stand in base64, URL-safe or not, and what shows that it isn't a path of words. Of twelve such signs with one such place in
# them at least five are on one side of it.
_BASE64 = "[0-9A-Za-z+/_-]"
_NO_PATH = "(?:[a-z][A-Z]|[0-9][A-Za-z]|[A-Za-z][0-9]|[+])"

SHAPES: tuple[Shape, ...] = (
    Shape("uuid", _uuid("[-_:]"), "a UUID with its hyphens (or underscores, or colons)"),
    Shape("jwt", r"eyJ[0-9A-Za-z_-]+\.eyJ[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]*)?", "a JSON Web Token"),
    Shape("email", r"[0-9A-Za-z.!#$%&'*+=?^_`~-]+@[0-9A-Za-z.-]+", "an e-mail address"),
    Shape("ip", r"(?:(?:::ffff:)?[0-9]{1,3}\.[0-9.]{5,11}|[0-9a-fA-F:]{3,39})", "an IPv4 or IPv6 address"),
    Shape(
        "date", r"(?:19|20)[0-9]{2}[0-9TWZ:/.,_+ -]{2,31}", "a month, week, day or instant that starts with its year"
    ),
    Shape("version", r"v?[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,6}", "a version of three numbers"),
    Shape(
        "mac",
        rf"{_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5,}}|{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}",
        "a MAC address, or a longer row of pairs of hexadecimal digits",
        is_also_a_name=True,
    ),
    Shape("ulid", "01[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{24}", "a ULID"),
    Shape("hex", "(?:[0-9a-f]{8,}|[0-9A-F]{8,})", "eight or more hexadecimal digits: a digest, an ObjectId"),
    Shape(
        "token",
        f"(?:[0-9A-Za-z_-]+|{_BASE64}{{5,}}{_NO_PATH}{_BASE64}*|{_BASE64}*{_NO_PATH}{_BASE64}{{5,}})={{0,6}}",
        "letters and digits at random: a session's id, a nanoid, a cuid, base64",
    ),
    Shape("bytes", r".*\\x[89a-f][0-9a-f].*", "bytes that are not UTF-8 text"),
    Shape("java", ".+", "the head that Java's serialisation puts before a string"),
    Shape("n", "[0-9]+", "a number"),
)
"""Every placeholder that depends on the shape of the text alone. Counting adds `{text}` and `{other}`."""


@dataclass(frozen=True, slots=True)
class Quick:
    """A replacement without groups that does the same as all rounds of a step, unless `unless` matches the text."""

    regex: str
    template: str
    unless: str


@dataclass(frozen=True, slots=True)
class Step:
    """One replacement; `needs` is a cheap expression without which `regex` cannot match.

    `template` refers to groups as `${1}`. A step that looks at the characters on both sides of a token consumes them,
    so two tokens with one character between them need a second round: `rounds` is 2 there.
    """

    regex: str
    template: str
    needs: str
    rounds: int = 1
    quick: Quick | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps that have a need in common: none of them changes a text in which `needs` finds nothing."""

    needs: str
    steps: tuple[Step, ...]


LONGEST_BYTES = 1_024
"""Bytes that a pattern, or a key that is kept as an example of one, may have. Nobody reads more, and names may have megabytes."""

TOO_LONG = "{other}"
"""The pattern of names whose own would be longer."""


def fold_shapes(text: str) -> str:
    """The pattern of one name by shape alone: the reference that columns must equal on every input."""
    pattern = _folded(text)
    return pattern if len(pattern.encode()) <= LONGEST_BYTES else TOO_LONG


def _folded(text: str) -> str:
    for step, needs, regex, template in _COMPILED:
        for _ in range(step.rounds):
            if not needs.search(text):
                break
            text = regex.sub(template, text)
    return text


# A noncharacter of Unicode, reserved for internal use: it marks a token's ends where a step asks two things of it.
_MARK = "\ufdd0"


def _bounded(core: str, placeholder: str, needs: str) -> Step:
    """The step for a token that has neither a letter nor a digit on either side."""
    return Step(f"(^|[^0-9A-Za-z]){core}([^0-9A-Za-z]|$)", f"${{1}}{{{placeholder}}}${{2}}", needs, rounds=2)


def _hex_step(letters: str, strangers: str) -> Step:
    """The step for tokens of eight or more hexadecimal digits in one case, at least one of them a letter."""
    digit = f"[0-9{letters}]"
    early_letter = "|".join(f"[0-9]{{{at}}}[{letters}]{digit}{{{7 - at},}}" for at in range(8))
    step = _bounded(
        f"(?:{early_letter}|[0-9]{{8,}}[{letters}]{digit}*)", "hex", f"[{letters}]{digit}{{4}}|{digit}{{4}}[{letters}]"
    )
    number = "(?:^|[^0-9A-Za-z])[0-9]{8,}(?:[^0-9A-Za-z]|$)"
    quick = Quick(f"{digit}{{8,}}", "{hex}", unless=f"{strangers}{digit}{{8}}|{digit}{{8}}{strangers}|{number}")
    return Step(step.regex, step.template, step.needs, step.rounds, quick)


def _mac_step() -> Step:
    """The step for six or more pairs of hexadecimal digits, or three fours, with a letter somewhere: a clock has none."""
    letter = f"(?:[a-fA-F]{_HEX}|[0-9][a-fA-F])"
    early = "|".join(f"(?:[0-9]{{2}}[:-]){{{at}}}{letter}(?:[:-]{_HEX}{{2}}){{{5 - at},}}" for at in range(6))
    late = f"(?:[0-9]{{2}}[:-]){{6,}}{letter}(?:[:-]{_HEX}{{2}})*"
    return _bounded(f"(?:{early}|{late}|{_DOTTED_MAC})", "mac", rf"{_SIX_PAIRS}|\.{_FOUR}\.{_FOUR}")


_SIX_PAIRS = f"{_HEX}{{2}}(?:[:-]{_HEX}{{2}}){{5}}"
_FOUR = f"{_HEX}{{4}}"
_FOUR_WITH_LETTER = "(?:" + "|".join(f"[0-9]{{{at}}}[a-fA-F]{_HEX}{{{3 - at}}}" for at in range(4)) + ")"
_DOTTED_MAC = (
    "(?:"
    + "|".join(r"\.".join(_FOUR_WITH_LETTER if at == letter else _FOUR for at in range(3)) for letter in range(3))
    + ")"
)

_BYTE = r"\\x[89a-f][0-9a-f]"
_NEAR_BYTES = r"(?:[^:/|{}\\]|\\[^x]|[{][{]|[}][}])"

_RARE = (
    Step(_MARK, "\ufffd", _MARK),
    Step("[{]", "{{", "[{]"),
    Step("[}]", "}}", "[}]"),
    # Spring's default serializer: stream magic, version, the type code of a string and its length, then the name.
    Step("\\\\xac\\\\xed\x00\x05t[\x00-\x7f](?:[\x00-\x7f]|\\\\x[89a-f][0-9a-f])", "{java}", "\\\\xac\\\\xed\x00\x05t"),
    # Random bytes have a stretch of valid text here and there.
    Step(
        rf"{_NEAR_BYTES}{{0,8}}{_BYTE}(?:(?:{_NEAR_BYTES}|[:/|]){{0,16}}{_BYTE})*{_NEAR_BYTES}{{0,8}}", "{bytes}", _BYTE
    ),
    # Django writes a session's id right behind a word: nothing else shows where one ends and the other begins.
    Step(
        "(django[.]contrib[.]sessions[.]cache(?:d_db)?)[0-9a-z]{32}",
        "${1}{token}",
        "django[.]contrib[.]sessions[.]cache",
    ),
    Step(r"eyJ[0-9A-Za-z_-]+\.eyJ[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]*)?", "{jwt}", "eyJ"),
    Step(r"[0-9A-Za-z.!#$%&'*+=?^_`~-]+@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*\.[A-Za-z]{2,}", "{email}", "@"),
)

_ODD_UUID = f"[_:]{_HEX}{{4}}[_:]{_HEX}{{4}}[_:]{_HEX}{{12}}"

# Searched for once, all together: next to no name has one, and hyphens alone are found twice as fast as three separators.
_ODD_DIGESTS = (
    Step(_uuid("[_:]"), "{uuid}", _ODD_UUID),
    _mac_step(),
)

_DIGESTS = (
    Step(_uuid("-"), "{uuid}", f"-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}"),
    _hex_step("a-f", "[A-Zg-z]"),
    _hex_step("A-F", "[G-Za-z]"),
)

_V4 = r"(?:::ffff:)?[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}"
# The addresses in use begin so; a looser expression would take `feed::12` for one.
_V6_HEAD = f"(?:[23]{_HEX}{{3}}|[fF][eE]80|[fF][cdCD]{_HEX}{{2}})"
_V6 = f"{_V6_HEAD}(?:(?::{_HEX}{{1,4}}){{7}}|(?::{_HEX}{{1,4}}){{0,6}}::(?:{_HEX}{{1,4}}(?::{_HEX}{{1,4}}){{0,5}})?)"
_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"[0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:[.,][0-9]{1,9})?)?(?:Z|[+-][0-2][0-9]:?[0-5][0-9])?"
_DATE = (
    f"(?:{_YEAR}-{_MONTH}-{_DAY}(?:[T _]{_CLOCK}|[T_-][0-2][0-9](?:[-_]?[0-5][0-9](?:[-_]?[0-5][0-9])?)?Z?)?"
    f"|{_YEAR}/{_MONTH}/{_DAY}|{_YEAR}[.]{_MONTH}[.]{_DAY}|{_YEAR}_{_MONTH}_{_DAY}"
    f"|{_YEAR}{_MONTH}{_DAY}(?:[T_-]?[0-2][0-9](?:[0-5][0-9](?:[0-5][0-9])?)?Z?)?"
    f"|{_YEAR}-{_MONTH}|{_YEAR}-?W[0-5][0-9])"
)

_STRUCTURES = (
    _bounded(_V6, "ip", f"{_V6_HEAD}:{_HEX}{{0,4}}:"),
    _bounded(_V4, "ip", r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"),
    _bounded(_DATE, "date", f"{_YEAR}(?:[-/._]?{_MONTH}|-?W)"),
    _bounded(r"v?[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,6}", "version", r"[0-9]\.[0-9]{1,4}\.[0-9]"),
)

# What letters and digits drawn at random do all the time and words hardly ever: three neighbours of three kinds, or of
# two kinds in turn. Two such places make a token an id; one of them must have a digit, since `MyAppIsOn` has none.
_CHAOS_WITH_DIGIT = (
    "(?:[a-z][0-9][A-Z]|[A-Z][0-9][a-z]|[0-9][a-z][A-Z]|[0-9][A-Z][a-z]|[a-z][A-Z][0-9]|[A-Z][a-z][0-9]"
    "|[0-9][A-Z][0-9]|[0-9][a-z][0-9])"
)
_CHAOS = f"(?:{_CHAOS_WITH_DIGIT}|[A-Z][a-z][A-Z])"
_WIDE = "[0-9A-Za-z_+-]"
_TWICE_CHAOS = (
    f"(?:{_WIDE}*?{_CHAOS_WITH_DIGIT}{_WIDE}*?{_CHAOS}|{_WIDE}*?{_CHAOS}{_WIDE}*?{_CHAOS_WITH_DIGIT}){_WIDE}*?"
)
# `cart-`, `userSession_` or `SKU_` before a random part is a name, and so is `-meta` behind it.
_WORDS_BEFORE = "((?:(?:[A-Z]?[a-z]{2,}(?:[A-Z][a-z]{2,})*|[A-Z]{2,})[_-])*)"
_WORDS_BEHIND = "((?:[_-][a-z]{3,})*)"

_RANDOM_TOKENS = (
    # A letter stands third from 2015 to 2039.
    _bounded("01[A-HJKMNP-TV-Z][0-9A-HJKMNP-TV-Z]{23}", "ulid", "01[A-Z][0-9A-Z]{23}"),
    _bounded("01[a-hjkmnp-tv-z][0-9a-hjkmnp-tv-z]{23}", "ulid", "01[a-z][0-9a-z]{23}"),
    Step(f"{_WIDE}{{20,}}", f"{_MARK}${{0}}{_MARK}", _CHAOS_WITH_DIGIT),
    Step(f"{_MARK}{_WORDS_BEFORE}{_TWICE_CHAOS}{_WORDS_BEHIND}{_MARK}", "${1}{token}${2}", _MARK),
    Step(_MARK, "", _MARK),
    Step("[0-9A-Za-z]{10,}", f"{_MARK}${{0}}{_MARK}", "[0-9][A-Za-z]+[0-9]"),
    Step(f"{_MARK}[0-9A-Za-z]*[0-9][A-Za-z]+[0-9][0-9A-Za-z]*{_MARK}", "{token}", _MARK),
    Step(_MARK, "", _MARK),
    # The padding of base64 and base32.
    Step("([{]token[}])={1,6}([^=0-9A-Za-z]|$)", "${1}${2}", "[}]="),
)

_MIXED = "[0-9][A-Za-z]|[A-Za-z][0-9]"
_SHORT_NUMBER = _bounded("[0-9]{1,3}", "n", "(?:^|[^0-9A-Za-z])[0-9]")

_NUMBERS = (
    Step("[0-9]{4,}", "{n}", "[0-9]{4}"),
    Step(
        _SHORT_NUMBER.regex,
        _SHORT_NUMBER.template,
        _SHORT_NUMBER.needs,
        _SHORT_NUMBER.rounds,
        Quick("[0-9]{1,3}", "{n}", unless=_MIXED),
    ),
)

STAGES: tuple[Stage, ...] = (
    Stage(rf"[{{}}@\\{_MARK}]|eyJ|django[.]contrib", _RARE),
    Stage(rf"{_ODD_UUID}|{_SIX_PAIRS}|\.{_FOUR}\.{_FOUR}", _ODD_DIGESTS),
    Stage(f"{_HEX}{{4}}", _DIGESTS),
    Stage(f"[0-9](?:[-/._]|W[0-9])|{_V6_HEAD}:|{_YEAR}(?:{_MONTH}|W)", _STRUCTURES),
    Stage(_MIXED, _RANDOM_TOKENS),
    Stage("[0-9]", _NUMBERS),
)
"""The first stage of folding, in order. A token that several steps could take belongs to the first of them."""

SPECIAL = (
    rf"[{{}}@\\{_MARK}]|{_MIXED}|[a-f]{{8}}|[A-F]{{8}}|[0-9][-./_][0-9]"
    f"|{_V6_HEAD}:{_HEX}{{0,4}}:|(?:19|20)[0-9]{{2}}{_MONTH}|{_SIX_PAIRS}|{_FOUR}\\.{_FOUR}\\.{_FOUR}"
)
"""Where this finds nothing, the whole first stage does no more than `PLAIN`."""

PLAIN = Step("[0-9]+", "{n}", "[0-9]")

_COMPILED = tuple(
    (step, re.compile(step.needs), re.compile(step.regex), re.sub(r"\$\{(\d)\}", r"\\g<\1>", step.template))
    for stage in STAGES
    for step in stage.steps
)
