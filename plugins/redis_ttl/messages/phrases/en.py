"""English."""

from __future__ import annotations

import datetime as dt
from typing import Final

from redis_ttl.messages.figures import count
from redis_ttl.messages.l10n import in_units, zone_of
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
    memory="{cluster} memory is at {ratio}: {used} of {limit}, as of {moment}.",
    memory_no_limit="{cluster} uses {used} of memory, as of {moment}; the server has no memory limit.",
    memory_limit_unknown="{cluster} uses {used} of memory, as of {moment}; the server doesn't report its limit.",
    memory_unknown="Memory use of {cluster} is unknown as of {moment}: the server doesn't report it.",
    fullest="Its fullest node, {node}, is at {ratio}.",
    unknown="unknown",
    no_ttl="{no_ttl} of its {keys} keys ({ratio}) have no TTL, so they never expire.",
    no_ttl_unknown="The number of keys without a TTL is unknown: the server doesn't report it.",
    eviction_volatile="When memory runs out, the eviction policy {policy} can only evict keys that have a TTL, so never these.",
    eviction_none="When memory runs out, nothing is evicted and writes fail: the eviction policy is {policy}.",
    eviction_all="When memory runs out, the eviction policy {policy} can evict any key, including keys in use.",
    eviction_unknown="The eviction policy is unknown, so we can't say which keys are evicted when memory runs out.",
    cost="The alternative is a larger cluster: {cost} US dollars more a month.",
    cost_noted="The alternative is a larger cluster ({note}): {cost} US dollars more a month.",
    column_pattern="Pattern",
    column_keys="Keys",
    column_no_ttl="Keys without TTL",
    column_priority="Priority",
    column_size="Memory",
    you_heading="Action required",
    examples="Example keys: {names}.",
    in_airflow="View the run in Airflow",
    reminder="Reminder: {title}",
    update="Update: {title}",
    new="New since the last message: {names}.",
    summary="Daily summary: {count} updates on your Redis keys",
    advice=AdvicePhrases(
        string="Strings written by SET ({patterns}): add EX; a plain SET removes the TTL. {duration} = {seconds} seconds:",
        counter="Counters ({patterns}): call EXPIRE with the first INCR; a SET would reset them. {duration} = {seconds} seconds:",
        hash="Hashes ({patterns}): call EXPIRE after the write, in the same MULTI. {duration} = {seconds} seconds:",
        list="Lists ({patterns}): call EXPIRE after the write, in the same MULTI. {duration} = {seconds} seconds:",
        set="Sets ({patterns}): call EXPIRE after the write, in the same MULTI. {duration} = {seconds} seconds:",
        zset="Sorted sets ({patterns}): call EXPIRE after the write, in the same MULTI. {duration} = {seconds} seconds:",
        stream="Streams ({patterns}): call EXPIRE after the write, in the same MULTI. {duration} = {seconds} seconds:",
        other="Other types ({patterns}): call EXPIRE after the write that creates the key. {duration} = {seconds} seconds:",
        unknown="Type not sampled ({patterns}): call EXPIRE after the write, which works for every type. {duration} = {seconds} seconds:",
        field="If some fields of these hashes should expire sooner, give them a TTL of their own:",
        share="{pattern} {share}",
    ),
    cautions=CautionPhrases(
        heading="Before you approve",
        evictable="When memory runs out, the eviction policy {name} can evict any key that has a TTL, which will include these keys.",
        unguarded="The policy turns these guards off: {guards}. If one of these figures goes bad, writing neither pauses nor stops.",
        renews="Under the eviction policy {name}, setting a TTL counts as a write: these keys will be evicted last.",
        other_waits="Plan {name} is also waiting for approval. Approve only one of them, then build the other again.",
        other_unread="The documents of plan {name} are damaged, so all of its keys count as written.",
        in_place=(
            "Values are updated in place ({kinds}), which doesn't renew the TTL: these keys are deleted "
            "as early as {duration} after approval, however often they are written."
        ),
        strings=(
            "{ratio} of the values are strings, and the server doesn't report how they are written. APPEND, SETRANGE, SETBIT, "
            "PFADD and INCRBYFLOAT don't renew the TTL: keys written that way are deleted as early as {duration} after approval, "
            "however often they are written."
        ),
        in_use="About {ratio} of the keys are in use.",
        in_use_left="About {ratio} of the keys are in use; the rule skips them.",
        big="The largest sampled key is {size}, and server {name} blocks while it frees an expired key (lazyfree-lazy-expire no).",
        big_unknown="The largest sampled key is {size}; whether server {name} blocks while it frees an expired key is unknown.",
        fields_end=(
            "About {ratio} of the keys disappear within {duration} anyway: they are hashes in which every field has a TTL. A TTL on "
            "the key frees nothing more."
        ),
        fields_cut=(
            "About {ratio} of the keys are hashes in which every field has a TTL, the longest {duration}. They disappear anyway; "
            "a TTL on the key would delete fields that should live longer."
        ),
        fields_mixed=(
            "About {ratio} of the hashes have a TTL on some fields. A TTL on the key deletes all fields, including those with no TTL "
            "or a longer one."
        ),
        extended=(
            "{ratio} of the keys live longer than their applications asked for, and keep their memory until then. A rollback can "
            "restore an old TTL only before it would have run out."
        ),
        text="{text}",
        of_rule="{pattern}: {caution}",
        more="and {number} more, on the plan's page",
    ),
    guards=GuardPhrases(
        memory="memory use",
        evicted_keys="evicted keys",
        expire_cap_hits="expired keys the server can't remove in time",
        replica_lag_bytes="replication lag in bytes",
        replica_lag="replication lag in seconds",
        replicas="lost replicas",
        server="server restarts",
        misses="keyspace misses",
        errors="error replies",
    ),
    action_required=ActionRequiredPhrases(
        title="[{priority}] {cluster}: Redis keys without a TTL, action required by {deadline}",
        title_longer="[{priority}] {cluster}: Redis keys whose TTL is too long, action required by {deadline}",
        see_heading="What we found",
        ending="About {keys} more have no TTL on the key but disappear anyway: hashes in which every field has a TTL.",
        grows="Their number grows with every user and campaign, and leaves less memory for everything else.",
        growth="Memory use grows by about {size} a day.",
        rules_heading="Keys that need a TTL when they are written",
        column_now="Current TTL",
        column_proposed="Proposed TTL",
        never="none (never expires)",
        about="about {duration}",
        mixed="{share} none, the rest about {duration}",
        longer="over {duration}",
        mixed_longer="{share} none, the rest {longer}",
        agreed="{duration} (agreed)",
        freed="Once these keys have expired, about {size} is free again.",
        unknown_heading="Keys without a TTL that match no rule",
        unknown_intro="Who owns these keys, and what TTL should they have?",
        others="and {patterns} more patterns with {keys} keys",
        we_heading="What SRE will do",
        we_apply=(
            "Once you agree, we set these TTLs on the existing keys, in small batches. Every change is recorded; "
            "until the first keys expire, all of them can be rolled back."
        ),
        we_apply_agreed=(
            "We set the agreed TTLs on the existing keys, in small batches. Every change is recorded; "
            "until the first keys expire, all of them can be rolled back."
        ),
        we_watch="From now on we monitor memory (warning at {warn}) and the share of keys without a TTL, and report new ones every night.",
        you_review="Check the proposed TTLs against what the data is for. Reply OK, or propose other TTLs.",
        you_change="Set the TTL in the code that writes the keys. How depends on the type, which we sampled:",
        you_burst="Find out what wrote about {keys} {pattern} keys between {since} and {until}: a campaign, a job, a deployment?",
        burst_clients="Clients writing at the time: {names}.",
        you_own="Tell us who owns the patterns that match no rule, and their TTL.",
        by_when="Deadline: {deadline}",
        otherwise="If nothing changes, memory will run out more often: keys in use are evicted, or writes fail.",
        source="Source: audit {audit}, {moment}.",
    ),
    approval_requested=ApprovalRequestedPhrases(
        title="[{priority}] {cluster}: approve TTLs for {keys} keys by {deadline}",
        intro="A plan to set TTLs is waiting for approval. Nothing is written before it is approved.",
        rules_heading="What happens to your keys",
        column_ttl="TTL",
        column_expire="Expires",
        between="{first} to {last} after approval",
        whole_plan="The plan changes {keys} of the cluster's {all} keys.",
        peak="Setting TTLs takes memory before it frees any: expect a peak of {peak} of {limit} ({ratio}).",
        peak_unknown="Setting TTLs takes memory before it frees any. The peak is unknown: the server doesn't report its memory.",
        expiries="Peak expiry rate: {rate} keys/s.",
        expiries_few="Peak expiry rate: under 1 key/s.",
        undo="All of it can be rolled back for {duration} after approval.",
        button="Approve or reject",
        where="Approve or reject in Airflow: DAG {dag}, task {gate}, Required Actions.",
        until="Without an answer by {moment}, the plan counts as rejected.",
        approvers="Only answers from these Airflow users count: {names}.",
        plan="Plan {plan}, digest {digest}.",
    ),
    remediation_result=RemediationResultPhrases(
        title="{cluster}: TTLs set on {keys} keys",
        title_missed="{cluster}: TTLs set on {keys} keys, {missed} missed",
        intro="The plan has been applied, and every key has been checked.",
        column_planned="Planned",
        column_kept="Set",
        column_changed="Changed by the application since",
        column_wiped="TTL wiped",
        column_gone="Gone",
        column_left_alone="Skipped",
        column_missed="Missed",
        before_after="Keys without a TTL in the whole cluster: {before} ({before_ratio}) before, {after} ({after_ratio}) now.",
        memory="Memory use is {used}.",
        memory_unknown="Memory use is unknown: the server doesn't report it.",
        memory_falls="Memory use is {used}. As keys expire, it falls to about {expected}.",
        wiped=(
            "{keys} keys have lost their TTL again: something writes them without one. Strings: "
            "use SET with EX or KEEPTTL. Other types: call EXPIRE again after replacing the key."
        ),
        missed="{keys} keys should have a TTL but don't. SRE clears apply_shard and its downstream tasks while the approval is valid.",
        undo="Until {moment}, all of it can be rolled back: trigger {dag} with plan {plan} and Dry run off.",
        approved="Approved by {names}.",
    ),
    rollback_result=RollbackResultPhrases(
        title="{cluster}: TTLs rolled back, {keys} keys restored",
        title_left="{cluster}: TTLs partly rolled back, {keys} keys restored, {left} not",
        intro="Plan {plan} was rolled back. TTLs that the application has set since stay; expired and deleted keys stay gone.",
        column_journalled="Changed by the plan",
        column_restored="Restored",
        column_changed="Changed by the application since",
        column_gone="Gone",
        never="Keys that had no TTL have none again, and still need one.",
        left="{keys} keys still have the plan's TTL and will expire. SRE clears load_journal and its downstream tasks.",
        title_holes="{cluster}: TTLs partly rolled back, {keys} keys restored, the rest unknown",
        holes="{objects} files of the change record are lost or damaged. Keys in them may still expire; SRE is looking for a copy.",
    ),
    drift_found=DriftFoundPhrases(
        title="{cluster}: {keys} new keys without a TTL",
        title_overdue="{cluster}: keys still without a TTL after the agreed date",
        intro="Compared with the keys present on {date}.",
        intro_accepted="Compared with the keys present on {date}, which {by} accepted.",
        column_cause="Cause",
        column_new="New",
        column_growth="Per day",
        column_since="Since",
        new_writer="new writer",
        ttl_wiped="TTL wiped",
        rule_missing="no rule",
        overdue="overdue",
        churn="Not counted: {keys} new keys that come and go from night to night (churn).",
        ending="Not counted: about {keys} new hashes that disappear anyway, because every field has a TTL.",
        unheard_of="If these keys are short-lived, the next audit finds them gone; the check then counts them as churn and passes.",
        do_new_writer="New writer: something writes these keys without a TTL. Set one in the code that writes them.",
        do_ttl_wiped=(
            "TTL wiped: these keys had a TTL and were written again without one. Strings: SET "
            "removes it; use EX or KEEPTTL. Other types: call EXPIRE again after replacing the key."
        ),
        do_rule_missing="No rule: tell us who owns these keys, and what TTL they should have.",
        do_overdue="Overdue: the due date of a rule ({dates}) has passed. Finish the change, or agree on a new date with SRE.",
        until="The nightly check fails until these keys have a TTL, are gone, or are accepted: trigger {dag} with Accept and a reason.",
        source="Source: audit {audit}, {moment}.",
    ),
    memory_level=MemoryLevelPhrases(
        title_memory_critical="[CRITICAL] {cluster}: memory at {ratio}",
        title_memory_warn="[WARNING] {cluster}: memory at {ratio}",
        title_memory_less="[WARNING] {cluster}: memory down to {ratio}, no longer critical",
        title_memory_ok="[RECOVERED] {cluster}: memory down to {ratio}",
        title_no_ttl_warn="[WARNING] {cluster}: {ratio} of all keys have no TTL",
        title_no_ttl_ok="[RECOVERED] {cluster}: only {ratio} of all keys have no TTL",
        above="The threshold is {threshold}.",
        below="This is well below the threshold of {threshold}.",
        trend="Trend over the last {days}: {change} a day ({low} to {high}).",
        reaches="At this rate it reaches {bound} around {likely}.",
        reaches_between="At this rate it reaches {bound} around {likely} (between {earliest} and {latest}).",
        never_reaches="At this rate it never reaches {bound}.",
        bound_warn="the warning threshold",
        bound_critical="the critical threshold",
        bound_maxmemory="the memory limit",
        do_look="Find the patterns that hold the memory: open the latest report of {dag}, or trigger it now.",
        do_agree="Keys without a TTL never expire. Agree on TTLs with SRE, and have them set.",
    ),
    burst_detected=BurstDetectedPhrases(
        title="[BURST] {cluster}: {keys} new keys since {since}",
        intro="{rate} new keys/s and {size} of memory; {no_ttl} of the new keys have no TTL. Unusual for this hour.",
        patterns_heading="Which keys",
        column_share="Share of all keys",
        column_audited="In the last audit",
        column_ttl="TTL",
        interval="{share} ({low} to {high})",
        clients_heading="Who is writing",
        client="{name}: user {user}, host {host}, {connections} connections, last commands {commands}",
        client_unnamed="unnamed client",
        jobs_heading="What ran at the time",
        no_audit="There is no audit to compare with yet.",
        no_randomkey="The keys are unknown: the watch's user may not call RANDOMKEY.",
        no_keyspace="The number of keys is unknown: the server doesn't report it.",
        no_client_list="The writers are unknown: the watch's user may not call CLIENT LIST.",
        do_stop="Is this yours? If it isn't intended, stop it.",
        do_tell="If it is intended, tell us what it is for and when it ends.",
        do_ttl="If the keys have no TTL, set one in the code that writes them.",
    ),
    run_aborted=RunAbortedPhrases(
        title_guard="{cluster}: a guard stopped the TTL changes",
        title_operator="{cluster}: an operator stopped the TTL changes",
        title_rejected="{cluster}: the TTL plan was rejected",
        title_timed_out="{cluster}: the TTL plan wasn't approved in time",
        title_invalid="{cluster}: the TTL plan has no valid approval",
        title_failed="{cluster}: the TTL changes failed",
        reason="Reason: {reason}",
        said_by="Comment from {by}: {reason}",
        changed="{changed} of {planned} keys had been changed by then and keep their new TTL. The rest are unchanged.",
        nothing="Nothing was written.",
        patterns="Patterns in the plan: {names}.",
        go_on="To resume, SRE clears the failed tasks while the approval is valid.",
        take_back="To roll back: trigger {dag} with plan {plan} and Dry run off.",
        new_plan="To try again: trigger {dag}, which builds a new plan.",
    ),
)
