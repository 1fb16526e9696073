"""Chinese."""

from __future__ import annotations

import datetime as dt
from typing import Final

from redis_ttl.messages.figures import count
from redis_ttl.messages.phrases import (
    ActionRequiredPhrases,
    ApprovalRequestedPhrases,
    BurstDetectedPhrases,
    DriftFoundPhrases,
    MemoryLevelPhrases,
    Phrases,
    RemediationResultPhrases,
    RollbackResultPhrases,
    RunAbortedPhrases,
)
from redis_ttl.messages.spoken import in_units, zone_of

_UNITS: Final = ((86_400, "天"), (3_600, "小时"), (60, "分钟"), (1, "秒"))
_WAN: Final = 10_000
_YI: Final = 100_000_000


def _rounded(number: int) -> str:
    if number >= _YI:
        return f"{number / _YI:,.4g} 亿"
    return f"{round(number / _WAN):,} 万" if number >= _WAN else count(number)


def _duration(seconds: int) -> str:
    return " ".join(in_units(seconds, _UNITS))


def _date(date: dt.date) -> str:
    return f"{date.year}年{date.month}月{date.day}日"


def _moment(moment: dt.datetime) -> str:
    return f"{_date(moment.date())} {moment:%H:%M}（{zone_of(moment)}）"


PHRASES: Final = Phrases(
    count=count,
    rounded=_rounded,
    duration=_duration,
    date=_date,
    moment=_moment,
    between="、",
    greeting="{owner} 的同学：",
    memory="{cluster} 内存使用率 {ratio}：已用 {used}，上限 {limit}，统计时间 {moment}。",
    memory_no_limit="{cluster} 已用内存 {used}，服务器未设上限，统计时间 {moment}。",
    no_ttl="全部 {keys} 个键中有 {no_ttl} 个（{ratio}）没有 TTL，永远不会自动删除。",
    eviction_volatile="当前淘汰策略是 {policy}，内存不足时只淘汰带 TTL 的键，对这部分键无能为力。",
    eviction_none="当前淘汰策略是 {policy}，内存不足时不淘汰任何键，写入会直接报错。",
    eviction_all="当前淘汰策略是 {policy}，内存不足时任何键都可能被淘汰，包括仍在使用的键。",
    eviction_unknown="无法得知服务器在内存不足时会淘汰哪些键。",
    cost="否则只能扩容，每月多花 {cost} 美元。",
    cost_noted="否则只能扩容（{note}），每月多花 {cost} 美元。",
    column_pattern="键模式",
    column_keys="数量",
    column_no_ttl="无 TTL 数量",
    column_priority="优先级",
    column_size="占用内存",
    you_heading="需要你们配合",
    examples="例如 {names}。",
    in_airflow="在 Airflow 中查看：{link}",
    digest="Redis 键每日汇总：共 {count} 项",
    action_required=ActionRequiredPhrases(
        title="[{priority}] {cluster}：Redis 键缺少 TTL，请于 {deadline} 前完成改造",
        see_heading="现状",
        grows="用户和活动越多，这类键就越多，留给其他业务的内存只会越来越少。",
        growth="内存占用每天约增长 {size}。",
        rules_heading="写入时需要设置 TTL 的键",
        column_now="当前 TTL",
        column_proposed="建议 TTL",
        never="无，永不过期",
        about="约 {duration}",
        mixed="{share} 无 TTL，其余约 {duration}",
        agreed="{duration}（已确认）",
        freed="这些键到期后约可释放 {size} 内存。",
        unknown_heading="尚无归属规则且没有 TTL 的键",
        unknown_intro="这些键属于哪个团队？需要保留多久？",
        others="另有 {patterns} 种模式，共 {keys} 个键",
        we_heading="SRE 负责",
        we_apply="你们确认之后，我们会分批为存量键补上 TTL，全程留有变更日志，随时可以回滚。",
        we_apply_agreed="按你们已确认的 TTL，我们会分批为存量键补上，全程留有变更日志，随时可以回滚。",
        we_watch="即日起持续监控内存（{warn} 起预警）和无 TTL 键占比，每晚上报新增的无 TTL 键。",
        you_review="核对上表的建议 TTL 是否符合业务需要：同意请直接回复，不合适请给出新的值。",
        you_change="修改代码，写入时就带上 TTL；不带过期参数的 SET 会清掉已有的 TTL。以 {pattern} 为例，{duration}即 {seconds} 秒：",
        you_code="哈希、集合、列表请在写入之后、同一个 MULTI 事务内设置：",
        you_burst="排查 {since} 至 {until} 之间写入约 {keys} 个 {pattern} 键的来源：是营销活动、定时任务，还是某次发布？",
        burst_clients="当时正在写入的客户端：{names}。",
        you_own="告诉我们那些没有规则的键归谁负责、需要保留多久。",
        by_when="截止日期：{deadline}。",
        otherwise="如果不处理，内存告警会越来越频繁，仍在使用的数据会被淘汰，或者写入失败。",
        source="数据来自 {moment} 的审计 {audit}。",
    ),
    approval_requested=ApprovalRequestedPhrases(
        title="[{priority}] {cluster}：为 {keys} 个键设置 TTL 的计划待审批，截止 {deadline}",
        intro="有一份设置 TTL 的计划正在等待审批，批准之前不会写入任何数据。",
        rules_heading="涉及你们的键",
        column_ttl="TTL",
        column_expire="过期时间",
        between="批准后 {first} 至 {last}",
        whole_plan="整个计划会改动集群 {all} 个键中的 {keys} 个。",
        peak="TTL 本身也占内存：写入期间内存预计升至 {peak}（上限 {limit}，即 {ratio}），之后才会回落。",
        expiries="之后每秒最多有 {rate} 个键过期。",
        undo="批准后 {duration}内可以全部回滚。",
        button="批准或拒绝",
        where="请在 Airflow 中处理：DAG {dag}，任务 {gate}，Required Actions 页面。",
        until="{moment} 前无人处理，视为拒绝。",
        approvers="仅以下 Airflow 用户的审批有效：{names}。",
        plan="计划 {plan}，摘要值 {digest}。",
    ),
    remediation_result=RemediationResultPhrases(
        title="{cluster}：已有 {keys} 个键设置了 TTL",
        title_missed="{cluster}：已有 {keys} 个键设置了 TTL，遗漏 {missed} 个",
        intro="计划已全部写入，并逐键复核。",
        column_planned="计划",
        column_kept="已设置",
        column_changed="应用事后改过",
        column_wiped="再次丢失",
        column_gone="已不存在",
        column_left_alone="未改动",
        column_missed="遗漏",
        before_after="整个集群的无 TTL 键：之前 {before} 个（{before_ratio}），现在 {after} 个（{after_ratio}）。",
        memory="当前已用内存 {used}。",
        memory_falls="当前已用内存 {used}，随着键陆续过期，预计降至约 {expected}。",
        wiped="有 {keys} 个键的 TTL 又丢了：仍有代码在不带过期参数地重写它们。请在写入处改用带 EX 或 KEEPTTL 的 SET，否则问题会反复出现。",
        missed="有 {keys} 个键本应设置 TTL 却被遗漏。SRE 会在审批有效期内清除（Clear）apply_shard 及其下游任务，重新执行。",
        undo="{moment} 之前可以全部回滚：触发 {dag}，计划填 {plan}。",
        approved="审批人：{names}。",
    ),
    rollback_result=RollbackResultPhrases(
        title="{cluster}：TTL 已回滚，{keys} 个键恢复原状",
        intro="计划 {plan} 已回滚。应用事后自行设置的过期时间保持不变；已过期或已删除的键无法找回。",
        column_journalled="计划改动",
        column_restored="已恢复",
        column_changed="应用事后改过",
        column_gone="已不存在",
        never="原来没有 TTL 的键重新变为永不过期，仍需商定 TTL。",
        left="仍有 {keys} 个键带着计划设置的 TTL，到期会被删除。SRE 会清除（Clear）load_journal 及其下游任务，重新回滚。",
    ),
    drift_found=DriftFoundPhrases(
        title="{cluster}：新增 {keys} 个没有 TTL 的键",
        title_overdue="{cluster}：约定日期已过，仍有键没有 TTL",
        intro="对比基线：{date} 的存量。",
        intro_accepted="对比基线：{by} 确认的 {date} 存量。",
        column_cause="原因",
        column_new="新增",
        column_growth="日均变化",
        column_since="首次发现",
        new_writer="新的写入",
        ttl_wiped="TTL 被清掉",
        rule_missing="没有规则",
        overdue="逾期",
        do_new_writer="新的写入：有代码写入这类键时没有设置 TTL，请在写入处补上。",
        do_ttl_wiped="TTL 被清掉：这些键已设置过 TTL，又被重新写入而丢失。SET 会清掉 TTL，请带上 EX 或 KEEPTTL。",
        do_rule_missing="没有规则：请告诉我们这些键归谁负责、需要保留多久。",
        do_overdue="逾期：规则约定的日期（{dates}）已过。请完成改造，或与 SRE 商定新的日期。",
        until="在这些键补上 TTL、被删除，或有人在 {dag} 中说明理由并确认之前，每晚的检查都会失败。",
        source="数据来自 {moment} 的审计 {audit}。",
    ),
    memory_level=MemoryLevelPhrases(
        title_memory_critical="[严重] {cluster}：内存使用率 {ratio}",
        title_memory_warn="[预警] {cluster}：内存使用率 {ratio}",
        title_memory_ok="[恢复] {cluster}：内存使用率回落至 {ratio}",
        title_no_ttl_warn="[预警] {cluster}：{ratio} 的键没有 TTL",
        title_no_ttl_ok="[恢复] {cluster}：没有 TTL 的键降至 {ratio}",
        above="阈值为 {threshold}。",
        below="已明显低于 {threshold} 的阈值。",
        trend="最近 {days}平均每天变化 {change}（{low} 至 {high}）。",
        reaches="照此速度，预计 {likely} 前后达到{bound}。",
        reaches_between="照此速度，预计 {likely} 前后达到{bound}（最早 {earliest}，最晚 {latest}）。",
        never_reaches="照此速度不会达到{bound}。",
        bound_warn="预警阈值",
        bound_critical="严重阈值",
        bound_maxmemory="内存上限",
        do_look="查看哪些键模式占用内存：见 {dag} 的最近一次报告，或立即触发一次。",
        do_agree="没有 TTL 的键服务器无法释放，请尽快商定 TTL 并设置。",
    ),
    burst_detected=BurstDetectedPhrases(
        title="[突增] {cluster}：{since} 以来新增 {keys} 个键",
        intro="平均每秒 {rate} 个键，占用内存 {size}，新增键中 {no_ttl} 个没有 TTL。该时段从未出现过这样的增长。",
        patterns_heading="是哪些键",
        column_share="占全部键",
        column_audited="上次审计时",
        column_ttl="TTL",
        interval="{share}（{low} 至 {high}）",
        clients_heading="谁在写入",
        client="{name}：用户 {user}，主机 {host}，{connections} 个连接，{commands}",
        client_unnamed="未命名客户端",
        jobs_heading="同一时段运行的任务",
        jobs_more="另有 {number} 项",
        missing="未能获知：{what}。",
        do_stop="请确认是否由你们的业务产生；如非预期，请立即停止。",
        do_tell="如属预期，请告知用途和结束时间。",
        do_ttl="如果这些键没有 TTL，请在写入处补上。",
    ),
    run_aborted=RunAbortedPhrases(
        title_guard="{cluster}：设置 TTL 的任务被保护机制中止",
        title_operator="{cluster}：设置 TTL 的任务被人工停止",
        title_rejected="{cluster}：设置 TTL 的计划被拒绝",
        title_timed_out="{cluster}：设置 TTL 的计划审批超时",
        title_failed="{cluster}：设置 TTL 的任务失败",
        reason="原因：{reason}",
        said_by="{by} 的说明：{reason}",
        changed="中止前 {planned} 个键中已有 {changed} 个设置了 TTL，继续有效；其余键未改动。",
        nothing="没有写入任何数据。",
        patterns="涉及 {names}。",
        go_on="如需继续，由 SRE 在审批有效期内清除（Clear）失败的任务。",
        take_back="如需回滚：触发 {dag}，计划填 {plan}。",
        new_plan="如需重试：触发 {dag}，会生成新的计划。",
    ),
)
