"""The plan's page, whole, against a golden file; ``REWRITE_GOLDEN=1`` writes it anew for a person to read."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from redis_ttl.messages.pages.plan_page import plan_page
from tests.plans import PLAN, POLICY

GOLDEN = Path(__file__).parents[1] / "golden" / "plan_page.md"


def test_the_page_reads_as_agreed() -> None:
    """Warnings, what will happen with its dates, the digest, memory, examples, what is left alone and left out, and why."""
    page = plan_page(PLAN, POLICY)
    if os.environ.get("REWRITE_GOLDEN"):
        GOLDEN.write_text(page, encoding="utf-8")
    assert page == GOLDEN.read_text(encoding="utf-8")


def test_the_digest_on_the_page_is_the_plan_s() -> None:
    """Who approves the page approves this digest."""
    assert f"Digest: `{PLAN.digest}`" in plan_page(PLAN, POLICY)


def test_nothing_in_a_name_acts() -> None:
    """Line ends, marks, table borders and Markdown of patterns and keys stay what they are: text."""
    page = plan_page(PLAN, POLICY)
    assert "\u202e" not in page
    assert "\n## gone" not in page
    columns = {
        len(re.split(r"(?<!\\)\|", line))
        for line in page.split("## What will happen")[1].split("## Memory")[0].splitlines()
        if line
    }
    assert columns == {9}


def test_what_is_unknown_is_called_so() -> None:
    """A server without a limit, and keys whose size nobody may ask, have no invented figures."""
    rules = tuple(replace(rule, size_bytes=None, size_low_bytes=None, size_high_bytes=None) for rule in PLAN.rules)
    forecast = replace(PLAN.forecast, limit_bytes=None, after_bytes=None, peak_ratio=None)
    page = plan_page(replace(PLAN, rules=rules, forecast=forecast), POLICY)
    assert "no limit" in page
    assert "frees about" not in page
    assert re.search(r"\| +unknown \|", page)
