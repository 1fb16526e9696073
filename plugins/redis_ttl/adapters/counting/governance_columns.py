"""Which exemption or rule of a policy governs each key of a batch, by columns. The rule's meaning is
``domain.keys.pattern``'s.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import polars as pl

from redis_ttl.domain.audit.pattern_statistics import Governance

if TYPE_CHECKING:
    from redis_ttl.domain.keys.pattern import KeyPattern
    from redis_ttl.domain.policy.policy import Policy


_LEADS_REMEMBERED: Final = 4_096


class Governors:
    """The exemptions and rules of one policy in the order in which they are asked: exemptions first, the first match
    wins.
    """

    def __init__(self, policy: Policy | None) -> None:
        patterns: list[tuple[Governance, KeyPattern]] = []
        longest_s: list[int | None] = []
        ttls_s: list[int | None] = []
        if policy is not None:
            patterns += [(Governance.EXEMPT, exemption.pattern) for exemption in policy.exemptions]
            patterns += [(Governance.RULE, rule.pattern) for rule in policy.rules]
            longest_s += [None for _ in policy.exemptions] + [rule.longest_ttl_s for rule in policy.rules]
            ttls_s += [None for _ in policy.exemptions] + [rule.ttl_s for rule in policy.rules]
        self._ttls_s = pl.Series("ttl_s", ttls_s, dtype=pl.Int64)
        self._longest_s = pl.Series("longest_ttl_s", longest_s, dtype=pl.Int64)
        self._regexes = [pattern.regex for _, pattern in patterns]
        self._prefixes = [pattern.literal_prefix for _, pattern in patterns]
        self._askable = lru_cache(_LEADS_REMEMBERED)(self._candidates)
        # One more at the end, for keys that nothing governs. Categories, because a batch repeats them by the thousand.
        kinds = [*(kind.value for kind, _ in patterns), Governance.NONE.value]
        self._governance = pl.Series("governance", kinds, dtype=pl.Categorical)
        self._governed_by = pl.Series("governed_by", [*(each.text for _, each in patterns), None], dtype=pl.Categorical)

    def judge(self, texts: pl.Series, patterns: pl.Series) -> pl.Series:
        """The number of each text's governor, null where there is none.

        ``patterns`` are the texts folded by shape: what stands before a pattern's first placeholder stands in the text
        too, so it tells for all keys of a pattern at once which few governors are worth asking.
        """
        judged = pl.Series("governor", [None], dtype=pl.Int32).new_from_index(0, len(texts))
        if not self._regexes:
            return judged
        different = patterns.unique()
        candidates = [self._askable(_lead(pattern)) for pattern in different]
        groups = {numbers: at for at, numbers in enumerate(dict.fromkeys(candidates))}
        group_of = pl.Series([groups[numbers] for numbers in candidates], dtype=pl.UInt32)
        of_group = patterns.replace_strict(different, group_of, return_dtype=pl.UInt32)
        left = {numbers: (of_group == group).arg_true() for numbers, group in groups.items()}
        # Each governor is asked once about all keys that it may match: preparing its regex takes longer than matching.
        for number, regex in enumerate(self._regexes):
            asked = [numbers for numbers, rows in left.items() if number in numbers and len(rows)]
            if not asked:
                continue
            rows = pl.concat([left[numbers] for numbers in asked])
            matches = texts.gather(rows).str.contains(regex)
            judged.scatter(rows.filter(matches), number)
            at = 0
            for numbers in asked:
                left[numbers], at = (
                    left[numbers].filter(~matches.slice(at, len(left[numbers]))),
                    at + len(left[numbers]),
                )
        return judged

    def longest_ttls_s(self, governors: pl.Series) -> pl.Series:
        """The longest TTL in seconds that the judged keys' rules allow; null for an exemption, or where nothing governs."""
        return self._longest_s.gather(governors)

    def ttls_s(self, governors: pl.Series) -> pl.Series:
        """The TTL in seconds that the judged keys' rules ask for; null for an exemption, or where nothing governs."""
        return self._ttls_s.gather(governors)

    def name(self, table: pl.DataFrame) -> pl.DataFrame:
        """``table`` with its ``governor`` numbers written out as ``governance`` and ``governed_by``, as categories."""
        rows = table["governor"].fill_null(len(self._regexes))
        named = table.with_columns(self._governance.gather(rows), self._governed_by.gather(rows))
        return named.drop("governor")

    def _candidates(self, lead: str) -> tuple[int, ...]:
        """The governors that may match a text that begins with ``lead``, in their order."""
        return tuple(
            number for number, prefix in enumerate(self._prefixes) if prefix.startswith(lead) or lead.startswith(prefix)
        )


#: A pattern up to its first placeholder; the sign that folding writes for a noncharacter isn't the text's own.
_LEAD: Final = re.compile("(?:[^{}\ufffd]|[{][{]|[}][}])*")


def _lead(pattern: str) -> str:
    """What every text of a pattern begins with, up to its last separator: many patterns share that."""
    found = _LEAD.match(pattern)
    lead = found[0].replace("{{", "{").replace("}}", "}") if found else ""
    return lead[: 1 + max(map(lead.rfind, ":/|"))] or lead
