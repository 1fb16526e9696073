"""English."""

from __future__ import annotations

import datetime as dt
from typing import Final

from redis_ttl.messages.phrases import Phrases

_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def _count(number: int) -> str:
    return f"{number:,}"


def _duration(seconds: int) -> str:
    for length, unit in _UNITS:
        if seconds >= length:
            number = round(seconds / length) if length == _UNITS[0][0] or not seconds % length else seconds / length
            shown = f"{number:,.4g}" if isinstance(number, float) else _count(number)
            return f"{shown} {unit}{'' if shown == '1' else 's'}"
    return "0 seconds"


def _date(date: dt.date) -> str:
    return f"{date.day} {date:%B %Y}"


def _moment(moment: dt.datetime) -> str:
    return f"{_date(moment.date())}, {moment:%H:%M} {moment.tzname()}"


PHRASES: Final = Phrases(
    count=_count,
    duration=_duration,
    date=_date,
    moment=_moment,
    subject="[{priority}] {cluster}: Redis keys without a TTL, to be changed by {deadline}",
    greeting="To {owner}:",
    what_heading="What we see",
    what_memory="{cluster} uses {ratio} of its memory: {used} of {limit} ({moment}).",
    what_no_limit="{cluster} uses {used} of memory ({moment}); the server has no limit.",
    what_no_ttl="{no_ttl} of its {keys} keys, {ratio}, have no TTL: nothing ever removes them.",
    eviction_volatile="When memory runs out, the eviction policy {policy} may only remove keys that have a TTL, so it can't touch these.",
    eviction_none="The eviction policy is {policy}: when memory runs out nothing is removed, and writes fail.",
    eviction_all="When memory runs out, the eviction policy {policy} removes keys of any kind, used ones too.",
    eviction_unknown="Which keys the server removes when memory runs out isn't known to us.",
    grows="Their number grows with every user and every campaign, and leaves less room for everything else.",
    rules_heading="Keys that need a TTL where they are written",
    column_pattern="Pattern",
    column_keys="Keys",
    column_now="TTL now",
    column_proposed="Proposed",
    column_priority="Priority",
    column_size="Memory",
    never="none, never expires",
    about="about {duration}",
    mixed="{share} none, the others about {duration}",
    unknown_heading="Keys without a TTL that no rule speaks of",
    unknown_intro="Whose are these, and how long do they have to live?",
    column_no_ttl="Without TTL",
    others="and {patterns} more patterns with {keys} keys",
    we_heading="What SRE does",
    we_apply="Once you have agreed, we set these TTLs on the keys that are there now, in small steps, with a journal to take it back.",
    we_watch="From now on memory (from {warn}) and the share of keys without a TTL are watched, and new ones reported every night.",
    you_heading="What you do",
    you_review="Check the proposed TTLs against what the data is for. Say yes, or name others.",
    you_change="Set the TTL where the key is written. A plain SET takes a TTL off again. For {pattern}, {duration} are {seconds} seconds:",
    you_code="For hashes, sets and lists, set it after the write, in the same MULTI:",
    you_burst="Find out what wrote about {keys} keys {pattern} between {since} and {until}: a campaign, a job, a deployment?",
    you_own="Tell us the owner and the TTL of the patterns that no rule speaks of.",
    by_when="By {deadline}.",
    otherwise="If nothing changes, memory runs out more often: keys that are still needed are evicted, or writes fail.",
    otherwise_cost="The way around it is a larger cluster: {cost} US dollars a month.",
    otherwise_cost_note="The way around it is a larger cluster ({note}): {cost} US dollars a month.",
    examples="For example {names}.",
    source="From audit {audit} of {moment}.",
)
