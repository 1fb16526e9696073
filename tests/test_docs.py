"""What the documentation points to is there: files, headings, commands and their options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from redis_ttl.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "astro" / "README.md"])
AT_3_AM = ROOT / "docs" / "at-3-am.md"
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
_COMMAND = re.compile(r"redis-ttl ((?:[a-z]+ ?)+)([^`\n]*)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link of a page names a file that exists, and a heading that it has."""
    missing = []
    for place, anchor in _LINK.findall(_without_code(page.read_text(encoding="utf-8"))):
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            missing.append(f"{place}#{anchor}")
    assert missing == []


def test_no_answer_at_3_am_is_longer_than_ten_lines() -> None:
    """Each question of the page for the person on call is answered in at most ten lines."""
    sections = AT_3_AM.read_text(encoding="utf-8").split("\n## ")[1:]
    lengths = {text.splitlines()[0]: sum(bool(line) for line in text.splitlines()[1:]) for text in sections}
    assert len(lengths) == 5
    assert {title: length for title, length in lengths.items() if length > 10} == {}


@pytest.mark.parametrize("page", [ROOT / "README.md", AT_3_AM], ids=["README", "at 3 a.m."])
def test_commands_exist_with_their_options(page: Path) -> None:
    """Each ``redis-ttl`` command that the page tells somebody to type exists, and takes the options shown."""
    root = typer.main.get_command(app)
    wrong = []
    for words, rest in _COMMAND.findall(page.read_text(encoding="utf-8")):
        command = root
        for word in words.split():
            command = getattr(command, "commands", {}).get(word, command)
        known = {option for parameter in command.params for option in parameter.opts}
        wrong += [
            f"{words}: {option}" for option in re.findall(r"--[a-z-]+", rest.split("#")[0]) if option not in known
        ]
        if command is root:
            wrong.append(words)
    assert wrong == []


def _without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
