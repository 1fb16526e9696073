"""English."""

from __future__ import annotations

import datetime as dt
from typing import Final

from redis_ttl.messages.figures import count
from redis_ttl.messages.phrases import (
    ActionRequiredPhrases,
    AdvicePhrases,
    ApprovalRequestedPhrases,
    BurstDetectedPhrases,
    CautionPhrases,
    DriftFoundPhrases,
    GuardPhrases,
    MemoryLevelPhrases,
    Phrases,
    RemediationResultPhrases,
    RollbackResultPhrases,
    RunAbortedPhrases,
)
from redis_ttl.messages.spoken import in_units, zone_of

_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_MILLION: Final = 1_000_000


def _rounded(number: int) -> str:
    return f"{number / _MILLION:,.1f} million" if number >= _MILLION else count(number)


def _duration(seconds: int, most: int = 2) -> str:
    parts = in_units(seconds, _UNITS, most=most)
    return " ".join(f"{number} {unit}{'' if number == '1' else 's'}" for number, unit in parts)


def _about(seconds: int) -> str:
    return _duration(seconds, 1)


def _date(date: dt.date) -> str:
    return f"{date.day} {date:%B %Y}"


def _moment(moment: dt.datetime) -> str:
    return f"{_date(moment.date())}, {moment:%H:%M} ({zone_of(moment)})"


PHRASES: Final = Phrases(
    count=count,
    rounded=_rounded,
    duration=_duration,
    about=_about,
    date=_date,
    moment=_moment,
    between=", ",
    between_sentences=" ",
    and_more=" and {number} more",
    greeting="To {owner}:",
    memory="{cluster} uses {ratio} of its memory: {used} of {limit}, on {moment}.",
    memory_no_limit="{cluster} uses {used} of memory, on {moment}; the server has no limit.",
    memory_limit_unknown="{cluster} uses {used} of memory, on {moment}; its limit is unknown: the server doesn't tell.",
    memory_unknown="How much memory {cluster} uses is unknown, on {moment}: the server doesn't tell.",
    fullest="Its fullest node, {node}, is at {ratio}.",
    unknown="unknown",
    no_ttl="{no_ttl} of its {keys} keys, {ratio}, have no TTL: they never expire.",
    no_ttl_unknown="How many of its keys have no TTL is unknown: the server doesn't tell.",
    eviction_volatile="When memory runs out, the eviction policy {policy} may only remove keys that have a TTL, and not those.",
    eviction_none="The eviction policy is {policy}: when memory runs out nothing is removed, and writes fail.",
    eviction_all="When memory runs out, the eviction policy {policy} removes keys of any kind, used ones too.",
    eviction_unknown="Which keys the server removes when memory runs out isn't known to us.",
    cost="The way around it is a larger cluster: {cost} US dollars more a month.",
    cost_noted="The way around it is a larger cluster ({note}): {cost} US dollars more a month.",
    column_pattern="Pattern",
    column_keys="Keys",
    column_no_ttl="Without TTL",
    column_priority="Priority",
    column_size="Memory",
    you_heading="What you do",
    examples="For example {names}.",
    in_airflow="See the run in Airflow",
    reminder="Reminder: {title}",
    update="Update: {title}",
    new="New since the last message: {names}.",
    summary="{count} smaller things about your Redis keys",
    advice=AdvicePhrases(
        string="Strings that SET writes ({patterns}): with EX; a plain SET takes the TTL off again. {duration} are {seconds} seconds:",
        counter="Counters ({patterns}): SET would reset them, so EXPIRE with the first INCR. {duration} are {seconds} seconds:",
        hash="Hashes ({patterns}): EXPIRE after the write, in the same MULTI. {duration} are {seconds} seconds:",
        list="Lists ({patterns}): EXPIRE after the write, in the same MULTI. {duration} are {seconds} seconds:",
        set="Sets ({patterns}): EXPIRE after the write, in the same MULTI. {duration} are {seconds} seconds:",
        zset="Sorted sets ({patterns}): EXPIRE after the write, in the same MULTI. {duration} are {seconds} seconds:",
        stream="Streams ({patterns}): EXPIRE after the write, in the same MULTI. {duration} are {seconds} seconds:",
        other="Other types ({patterns}): EXPIRE after the write that creates the key. {duration} are {seconds} seconds:",
        unknown=(
            "Types that weren't sampled ({patterns}): EXPIRE after the "
            "write, which fits every type. {duration} are {seconds} seconds:"
        ),
        field="Where single fields of these hashes may go earlier than the others, they can have a TTL of their own:",
        share="{pattern} {share}",
    ),
    cautions=CautionPhrases(
        heading="Know this before you approve",
        evictable="When memory runs out, the eviction policy {name} can evict any key that has a TTL: these keys too, once they have one.",
        unguarded="By the policy these guards are left out: {guards}. Nothing pauses or ends the writing when one of those goes wrong.",
        renews="Under the eviction policy {name} a key that gets a TTL counts as just written: these keys are evicted last from then on.",
        other_waits="Plan {name} waits for its approval, too. Approve one of them only, and make the other anew.",
        other_unread="The documents of plan {name} are damaged: all of its keys count as written.",
        in_place=(
            "Values are updated in place ({kinds}), which keeps their TTL: these keys are deleted, "
            "at the earliest {duration} after the approval, however often they are written."
        ),
        strings=(
            "{ratio} of the values are strings, and a server doesn't tell how a string is written. APPEND, SETRANGE, SETBIT, "
            "PFADD and INCRBYFLOAT keep the TTL: such keys are deleted, at the earliest {duration} after the approval, "
            "however often they are written."
        ),
        in_use="About {ratio} of the keys are in use.",
        in_use_left="About {ratio} of the keys are in use; the rule leaves them alone.",
        big=(
            "The largest sampled key has {size}, and server {name} answers "
            "nobody while it frees a key that expires (lazyfree-lazy-expire no)."
        ),
        big_unknown=(
            "The largest sampled key has {size}; whether server {name} "
            "answers nobody while it frees a key that expires isn't known."
        ),
        fields_end=(
            "About {ratio} of the keys end by themselves, within {duration}: they are hashes whose every field has a TTL. A TTL of the "
            "key frees nothing more."
        ),
        fields_cut=(
            "About {ratio} of the keys are hashes whose every field has a TTL, the last of {duration}: they end by themselves, and "
            "a TTL of the key would delete fields that are to live longer."
        ),
        fields_mixed=(
            "About {ratio} of the hashes have TTLs on some of their fields: a TTL of the key deletes all fields with it, those too that "
            "have none or are to live longer."
        ),
        text="{text}",
        of_rule="{pattern}: {caution}",
        more="and {number} more, on the plan's page",
    ),
    guards=GuardPhrases(
        memory="memory in use",
        evicted_keys="evicted keys",
        expire_cap_hits="expired keys that the server can't remove in time",
        replica_lag_bytes="how many bytes a replica is behind",
        replica_lag="how many seconds a replica is behind",
        replicas="lost replicas",
        server="whether the server was restarted",
        misses="keyspace misses",
        errors="error replies",
    ),
    action_required=ActionRequiredPhrases(
        title="[{priority}] {cluster}: Redis keys without a TTL, to be changed by {deadline}",
        title_longer="[{priority}] {cluster}: Redis keys with too long a TTL, to be changed by {deadline}",
        see_heading="What we see",
        ending="About {keys} keys more have no TTL of their own and end by themselves: hashes whose every field has a TTL.",
        grows="Their number grows with every user and every campaign, and leaves less room for everything else.",
        growth="Memory grows by about {size} a day.",
        rules_heading="Keys that need a TTL where they are written",
        column_now="TTL now",
        column_proposed="Proposed",
        never="none, never expires",
        about="about {duration}",
        mixed="{share} none, the others about {duration}",
        longer="more than {duration}",
        mixed_longer="{share} none, the others {longer}",
        agreed="{duration}, agreed",
        freed="Once they expire, these keys give about {size} back.",
        unknown_heading="Keys without a TTL that no rule speaks of",
        unknown_intro="Whose are these, and how long do they have to live?",
        others="and {patterns} more patterns with {keys} keys",
        we_heading="What SRE does",
        we_apply="Once you have agreed, we set these TTLs on the keys that are there now, in small steps, with a journal to take it back.",
        we_apply_agreed="We set the TTLs that you agreed to on the keys that are there, in small steps, with a journal to take it back.",
        we_watch="From now on memory (from {warn}) and the share of keys without a TTL are watched, and new ones reported every night.",
        you_review="Check the proposed TTLs against what the data is for. Answer here: yes, or which others.",
        you_change="Set the TTL where the keys are written, each in the way of its type, as found in a sample:",
        you_burst="Find out what wrote about {keys} keys {pattern} between {since} and {until}: a campaign, a job, a deployment?",
        burst_clients="Clients that were writing then: {names}.",
        you_own="Tell us the owner and the TTL of the patterns that no rule speaks of.",
        by_when="By {deadline}",
        otherwise="If nothing changes, memory runs out more often: keys that are still needed are evicted, or writes fail.",
        source="From audit {audit} of {moment}.",
    ),
    approval_requested=ApprovalRequestedPhrases(
        title="[{priority}] {cluster}: TTLs for {keys} keys wait for approval until {deadline}",
        intro="A plan to set TTLs waits for approval. Nothing is written before.",
        rules_heading="What becomes of your keys",
        column_ttl="TTL",
        column_expire="They expire",
        between="{first} to {last} after the approval",
        whole_plan="The plan changes {keys} of the cluster's {all} keys.",
        peak="Setting TTLs takes memory before it frees any: at the peak about {peak} of {limit} ({ratio}).",
        peak_unknown="Setting TTLs takes memory before it frees any. How full the server gets is unknown: it doesn't tell.",
        expiries="Later, at most {rate} keys expire in a second.",
        expiries_few="Later, less than one key expires in a second.",
        undo="For {duration} after the approval all of it can be taken back.",
        button="Approve or reject",
        where="Answer in Airflow: DAG {dag}, task {gate}, Required Actions.",
        until="No answer until {moment} means no.",
        approvers="Only answers of these Airflow users count: {names}.",
        plan="Plan {plan}, digest {digest}.",
    ),
    remediation_result=RemediationResultPhrases(
        title="{cluster}: {keys} keys have a TTL now",
        title_missed="{cluster}: {keys} keys have a TTL now, and {missed} were missed",
        intro="The plan was written and every key looked at once more.",
        column_planned="Planned",
        column_kept="Set",
        column_changed="Changed by the application since",
        column_wiped="Lost it again",
        column_gone="Gone",
        column_left_alone="Left alone",
        column_missed="Missed",
        before_after="Keys without a TTL in the whole cluster: {before} ({before_ratio}) before, {after} ({after_ratio}) now.",
        memory="Memory in use is {used}.",
        memory_unknown="Memory in use is unknown: the server doesn't tell.",
        memory_falls="Memory in use is {used}. As keys expire it falls to about {expected}.",
        wiped=(
            "{keys} keys have lost their TTL again: something writes them without one. Strings: "
            "SET with EX or KEEPTTL. Other types: EXPIRE again after what replaces the key."
        ),
        missed="{keys} keys should have got a TTL and didn't. SRE clears apply_shard and what follows while the approval is valid.",
        undo="Until {moment} all of it can be taken back: trigger {dag} with plan {plan} and the dry run off.",
        approved="Approved by {names}.",
    ),
    rollback_result=RollbackResultPhrases(
        title="{cluster}: TTLs taken back, {keys} keys are as before",
        title_left="{cluster}: TTLs taken back in part, {keys} keys are as before, {left} aren't",
        intro="Plan {plan} was taken back. Expiries that the application has set since stand; what has expired or was deleted stays gone.",
        column_journalled="Changed by the plan",
        column_restored="As before",
        column_changed="Changed by the application since",
        column_gone="Gone",
        never="Those that had no TTL have none again: a TTL has still to be agreed.",
        left="{keys} keys still have the plan's TTL and expire by it. SRE clears load_journal and what follows.",
        title_holes="{cluster}: TTLs taken back in part, {keys} keys are as before, others aren't known",
        holes="{objects} parts of the record of what was changed are lost. Keys in them may still expire; SRE looks for a copy.",
    ),
    drift_found=DriftFoundPhrases(
        title="{cluster}: {keys} new keys without a TTL",
        title_overdue="{cluster}: keys still have no TTL after the date that was agreed",
        intro="Compared with what was there on {date}.",
        intro_accepted="Compared with what {by} accepted, of {date}.",
        column_cause="Why",
        column_new="New",
        column_growth="A day",
        column_since="Since",
        new_writer="new writer",
        ttl_wiped="TTL wiped",
        rule_missing="no rule",
        overdue="overdue",
        churn="Beside them {keys} new keys come and go from night to night (churn): they aren't counted.",
        ending="About {keys} more end by themselves, as every field of these hashes has a TTL: they aren't counted.",
        unheard_of="If they are only there for a while, the next audit finds them gone: then the check calls them churn and fails no more.",
        do_new_writer="New writer: something writes such keys without a TTL. Set one where they are written.",
        do_ttl_wiped=(
            "TTL wiped: these keys had got a TTL and were written again without one. Strings: SET "
            "takes it off, use EX or KEEPTTL. Other types: EXPIRE again after what replaces the key."
        ),
        do_rule_missing="No rule: tell us who owns these keys, and how long they have to live.",
        do_overdue="Overdue: the date of a rule ({dates}) has passed. Finish the change, or agree on another date with SRE.",
        until="The nightly check fails until these keys have a TTL, are gone, or are accepted: trigger {dag} with accept and a reason.",
        source="From audit {audit} of {moment}.",
    ),
    memory_level=MemoryLevelPhrases(
        title_memory_critical="[CRITICAL] {cluster}: memory at {ratio}",
        title_memory_warn="[WARNING] {cluster}: memory at {ratio}",
        title_memory_less="[WARNING] {cluster}: memory no longer critical, at {ratio}",
        title_memory_ok="[RECOVERED] {cluster}: memory back at {ratio}",
        title_no_ttl_warn="[WARNING] {cluster}: {ratio} of all keys have no TTL",
        title_no_ttl_ok="[RECOVERED] {cluster}: {ratio} of all keys have no TTL",
        above="The threshold is {threshold}.",
        below="That is clearly below the threshold of {threshold} again.",
        trend="Memory changes by {change} a day ({low} to {high}), by the last {days}.",
        reaches="At this pace {bound} is reached about {likely}.",
        reaches_between="At this pace {bound} is reached about {likely} (between {earliest} and {latest}).",
        never_reaches="At this pace {bound} isn't reached.",
        bound_warn="the warning threshold",
        bound_critical="the critical threshold",
        bound_maxmemory="the memory limit",
        do_look="See which patterns hold the memory: the last report of {dag}, or trigger it now.",
        do_agree="Keys without a TTL never go by themselves. Agree on TTLs, and have them set.",
    ),
    burst_detected=BurstDetectedPhrases(
        title="[BURST] {cluster}: {keys} keys more since {since}",
        intro="{rate} keys a second, {size} of memory, {no_ttl} of the new keys without a TTL. It was never so at this hour.",
        patterns_heading="Which keys",
        column_share="Of all keys",
        column_audited="In the last audit",
        column_ttl="TTL",
        interval="{share} ({low} to {high})",
        clients_heading="Who writes",
        client="{name}: user {user}, host {host}, {connections} connections, {commands}",
        client_unnamed="without a name",
        jobs_heading="What ran at the time",
        no_audit="There is no audit yet to compare with.",
        no_randomkey="Which keys they are isn't known: the user of the watch may not call RANDOMKEY.",
        no_keyspace="How many keys there are isn't known: the server doesn't tell.",
        no_client_list="Who writes isn't known: the user of the watch may not call CLIENT LIST.",
        do_stop="Is it yours? If nobody meant it, stop it.",
        do_tell="If somebody did, tell us what it is for, and when it ends.",
        do_ttl="If the keys have no TTL, set one where they are written.",
    ),
    run_aborted=RunAbortedPhrases(
        title_guard="{cluster}: setting TTLs was stopped by a guard",
        title_operator="{cluster}: setting TTLs was stopped by an operator",
        title_rejected="{cluster}: the plan to set TTLs was rejected",
        title_timed_out="{cluster}: the plan to set TTLs wasn't approved in time",
        title_invalid="{cluster}: the plan to set TTLs has no valid approval",
        title_failed="{cluster}: setting TTLs failed",
        reason="The reason: {reason}",
        said_by="{by} says: {reason}",
        changed="{changed} of {planned} keys had their TTL by then; it stands. The others are as they were.",
        nothing="Nothing was written.",
        patterns="It was about {names}.",
        go_on="To go on, SRE clears the failed tasks while the approval is valid.",
        take_back="To take it back: trigger {dag} with plan {plan} and the dry run off.",
        new_plan="For another attempt: trigger {dag}, which makes a new plan.",
    ),
)
