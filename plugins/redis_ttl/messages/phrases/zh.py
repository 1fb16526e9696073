"""Chinese."""

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

_UNITS: Final = ((86_400, "天"), (3_600, "小时"), (60, "分钟"), (1, "秒"))
_WAN: Final = 10_000
_YI: Final = 100_000_000


def _rounded(number: int) -> str:
    if round(number, -4) >= _YI:
        return f"{number / _YI:,.4g} 亿"
    if number >= 100 * _WAN:
        return f"{number / _WAN:,.0f} 万"
    return f"{number / _WAN:.3g} 万" if number >= _WAN else count(number)


def _duration(seconds: int, most: int = 2) -> str:
    return " ".join(f"{number} {unit}" for number, unit in in_units(seconds, _UNITS, most=most))


def _about(seconds: int) -> str:
    return _duration(seconds, 1)


def _date(date: dt.date) -> str:
    return f"{date.year}年{date.month}月{date.day}日"


def _moment(moment: dt.datetime) -> str:
    return f"{_date(moment.date())} {moment:%H:%M}（{zone_of(moment)}）"


PHRASES: Final = Phrases(
    count=count,
    rounded=_rounded,
    duration=_duration,
    about=_about,
    date=_date,
    moment=_moment,
    between="、",
    between_sentences="",
    and_more=" 等，另有 {number} 项",
    greeting="{owner} 各位同学：",
    memory="{cluster} 内存使用率 {ratio}：已用 {used}，上限 {limit}，统计时间 {moment}。",
    memory_no_limit="{cluster} 已用内存 {used}，未设置内存上限（maxmemory），统计时间 {moment}。",
    memory_limit_unknown="{cluster} 已用内存 {used}，上限未知（服务端未返回），统计时间 {moment}。",
    memory_unknown="{cluster} 内存用量未知（服务端未返回），统计时间 {moment}。",
    fullest="使用率最高的节点为 {node}，{ratio}。",
    unknown="未知",
    no_ttl="共 {keys} 个 key，其中 {no_ttl} 个（{ratio}）无过期时间，永不过期。",
    no_ttl_unknown="无过期时间的 key 数量未知：服务端未返回。",
    eviction_volatile="淘汰策略为 {policy}：内存不足时只淘汰带过期时间的 key，这些 key 不会被淘汰。",
    eviction_none="淘汰策略为 {policy}：内存不足时不淘汰任何 key，写入直接报错。",
    eviction_all="淘汰策略为 {policy}：内存不足时任何 key 都可能被淘汰，包括正在使用的 key。",
    eviction_unknown="淘汰策略未知，无法判断内存不足时会淘汰哪些 key。",
    cost="不设置 TTL 就只能扩容，每月增加 {cost} 美元。",
    cost_noted="不设置 TTL 就只能扩容（{note}），每月增加 {cost} 美元。",
    column_pattern="key 模式",
    column_keys="key 数量",
    column_no_ttl="无过期时间的 key",
    column_priority="优先级",
    column_size="占用内存",
    you_heading="需要你们处理",
    examples="key 示例：{names}。",
    in_airflow="在 Airflow 中查看本次运行",
    reminder="[提醒] {title}",
    update="[更新] {title}",
    new="较上次通知新增：{names}。",
    summary="Redis key 每日汇总：共 {count} 条通知",
    advice=AdvicePhrases(
        string="SET 写入的 String（{patterns}）：加 EX 参数；不带 EX 的 SET 会清除已有 TTL。{duration} = {seconds} 秒：",
        counter="计数器（{patterns}）：首次 INCR 时执行 EXPIRE；SET 会重置计数。{duration} = {seconds} 秒：",
        hash="Hash（{patterns}）：写入后在同一 MULTI 事务内执行 EXPIRE。{duration} = {seconds} 秒：",
        list="List（{patterns}）：写入后在同一 MULTI 事务内执行 EXPIRE。{duration} = {seconds} 秒：",
        set="Set（{patterns}）：写入后在同一 MULTI 事务内执行 EXPIRE。{duration} = {seconds} 秒：",
        zset="Sorted Set（{patterns}）：写入后在同一 MULTI 事务内执行 EXPIRE。{duration} = {seconds} 秒：",
        stream="Stream（{patterns}）：写入后在同一 MULTI 事务内执行 EXPIRE。{duration} = {seconds} 秒：",
        other="其他类型（{patterns}）：创建 key 的写入之后执行 EXPIRE。{duration} = {seconds} 秒：",
        unknown="未抽样到类型（{patterns}）：写入后执行 EXPIRE，适用于所有类型。{duration} = {seconds} 秒：",
        field="如需让 Hash 的部分字段提前过期，可为字段单独设置 TTL：",
        share="{pattern} {share}",
    ),
    cautions=CautionPhrases(
        heading="审批前请注意",
        evictable="内存不足时，淘汰策略 {name} 可能淘汰任何带 TTL 的 key，设置 TTL 后包括这些 key。",
        unguarded="策略文件已关闭以下保护：{guards}。相关指标异常时，写入不会暂停或中止。",
        renews="在淘汰策略 {name} 下，设置 TTL 等同于一次写入：这些 key 此后最后才被淘汰。",
        other_waits="计划 {name} 也在等待审批。请只批准其中一个，另一个重新生成。",
        other_unread="计划 {name} 的文档已损坏，其中的 key 全部按已写入计算。",
        in_place="value 为原地更新（{kinds}），不会刷新 TTL：无论写入多频繁，这些 key 最早在审批通过 {duration}后被删除。",
        strings=(
            "{ratio} 的 value 是 String，无法得知写入方式。APPEND、SETRANGE、SETBIT、PFADD、INCRBYFLOAT 不会刷新 TTL："
            "以这些方式写入的 key，无论写入多频繁，最早在审批通过 {duration}后被删除。"
        ),
        in_use="约 {ratio} 的 key 正在使用。",
        in_use_left="约 {ratio} 的 key 正在使用，规则会跳过。",
        big="抽样中最大的 key 为 {size}；服务端 {name} 释放过期 key 时会阻塞请求（lazyfree-lazy-expire no）。",
        big_unknown="抽样中最大的 key 为 {size}；服务端 {name} 释放过期 key 时是否阻塞请求未知。",
        fields_end="约 {ratio} 的 key 是所有字段都有 TTL 的 Hash，{duration}内会自动消失；给 key 设置 TTL 不会多释放内存。",
        fields_cut="约 {ratio} 的 key 是所有字段都有 TTL 的 Hash（最长 {duration}），会自动消失；key 级 TTL 会提前删除本应保留更久的字段。",
        fields_mixed="约 {ratio} 的 Hash 有部分字段带 TTL：给 key 设置 TTL 会删除全部字段，包括没有 TTL 或 TTL 更长的字段。",
        extended="{ratio} 的 key 的 TTL 会延长到规则的 TTL，期间继续占用内存；只有在原 TTL 到期之前，回滚才能恢复原 TTL。",
        text="{text}",
        of_rule="{pattern}：{caution}",
        more="另有 {number} 项，见计划页面",
    ),
    guards=GuardPhrases(
        memory="内存使用率",
        evicted_keys="key 淘汰数",
        expire_cap_hits="过期 key 清理积压",
        replica_lag_bytes="主从复制延迟（字节）",
        replica_lag="主从复制延迟（秒）",
        replicas="从节点失联",
        server="服务端重启",
        misses="未命中数（keyspace misses）",
        errors="错误回复数",
    ),
    action_required=ActionRequiredPhrases(
        title="[{priority}] {cluster}：Redis key 缺少 TTL，请于 {deadline}前处理",
        title_longer="[{priority}] {cluster}：Redis key 的 TTL 过长，请于 {deadline}前处理",
        see_heading="现状",
        ending="另有约 {keys} 个 Hash 本身没有 TTL，但所有字段都有 TTL，会自动消失。",
        grows="这类 key 随用户和活动持续增长，不断挤占其他业务的内存。",
        growth="内存用量每天约增长 {size}。",
        rules_heading="写入时需要设置 TTL 的 key",
        column_now="当前 TTL",
        column_proposed="建议 TTL",
        never="无（永不过期）",
        about="约 {duration}",
        mixed="{share} 无 TTL，其余约 {duration}",
        longer="超过 {duration}",
        mixed_longer="{share} 无 TTL，其余{longer}",
        agreed="{duration}（已确认）",
        freed="这些 key 过期后，预计释放内存约 {size}。",
        unknown_heading="未匹配规则的无过期时间 key",
        unknown_intro="这些 key 归哪个团队？TTL 应该设多长？",
        others="另有 {patterns} 个模式，共 {keys} 个 key。",
        we_heading="SRE 将做什么",
        we_apply="你们确认后，我们分批为存量 key 设置 TTL，每次变更均有记录；在 key 开始过期之前可全量回滚。",
        we_apply_agreed="我们按已确认的 TTL 分批为存量 key 设置，每次变更均有记录；在 key 开始过期之前可全量回滚。",
        we_watch="即日起监控内存使用率（{warn} 预警）和无过期时间 key 的占比，每晚通报新增。",
        you_review="核对建议 TTL 是否符合业务需要：没有问题请回复 OK，否则请回复合适的值。",
        you_change="在写入 key 的代码中设置 TTL，方式取决于数据类型（类型来自抽样）：",
        you_burst="排查 {pattern} 突增的来源：{since}至 {until} key 数增加约 {keys}，是营销活动、定时任务还是发布？",
        burst_clients="当时正在写入的客户端：{names}。",
        you_own="请告知未匹配规则的 key 归哪个团队、TTL 应该设多长。",
        by_when="截止日期：{deadline}（含当日）",
        otherwise="如不处理，内存会越来越频繁地打满：正在使用的 key 被淘汰，或者写入失败。",
        source="数据来源：审计 {audit}，{moment}。",
    ),
    approval_requested=ApprovalRequestedPhrases(
        title="[{priority}] {cluster}：为 {keys} 个 key 设置 TTL，待审批，截止 {deadline}",
        intro="有一份设置 TTL 的计划待审批，审批通过前不会写入任何数据。",
        rules_heading="对你们的 key 的影响",
        column_ttl="TTL",
        column_expire="过期时间",
        between="审批通过后 {first}至 {last}",
        whole_plan="整个计划变更集群 {all} 个 key 中的 {keys} 个。",
        peak_unknown="设置 TTL 会先占用内存，key 过期后才释放；服务端未返回内存数据，峰值未知。",
        peak="设置 TTL 会先占用内存，key 过期后才释放；预计内存峰值 {peak}，为上限 {limit} 的 {ratio}。",
        expiries="过期速率峰值：每秒 {rate} 个 key。",
        expiries_few="过期速率峰值：每秒不到 1 个 key。",
        undo="审批通过后 {duration}内可全量回滚。",
        button="前往审批",
        where="请在 Airflow 中审批：DAG {dag}，任务 {gate}，Required Actions 页面。",
        until="审批截止时间：{moment}，逾期视为拒绝。",
        approvers="仅以下 Airflow 用户的审批有效：{names}。",
        plan="计划 {plan}，校验摘要（digest）{digest}。",
    ),
    remediation_result=RemediationResultPhrases(
        title="{cluster}：已为 {keys} 个 key 设置 TTL",
        title_missed="{cluster}：已为 {keys} 个 key 设置 TTL，遗漏 {missed} 个",
        intro="计划已执行完毕，并已逐个 key 复核。",
        column_planned="计划",
        column_kept="已设置",
        column_changed="后被应用修改",
        column_wiped="TTL 被清除",
        column_gone="已不存在",
        column_left_alone="已跳过",
        column_missed="遗漏",
        before_after="集群中无过期时间的 key：执行前 {before} 个（{before_ratio}），当前 {after} 个（{after_ratio}）。",
        memory="当前内存用量 {used}。",
        memory_unknown="当前内存用量未知：服务端未返回。",
        memory_falls="当前内存用量 {used}，key 过期后预计降至 {expected} 左右。",
        wiped=(
            "{keys} 个 key 的 TTL 又被清除：有代码写入时没有带 TTL。String 请用带 EX 或 KEEPTTL 的 SET；"
            "其他类型请在替换 key 后重新执行 EXPIRE。"
        ),
        missed="{keys} 个 key 应设置 TTL 但被遗漏。SRE 会在审批有效期内清除（Clear）apply_shard 及其下游任务，重新执行。",
        undo="{moment} 前可全量回滚：触发 {dag}，Plan 填 {plan}，关闭 Dry run。",
        approved="审批人：{names}。",
    ),
    rollback_result=RollbackResultPhrases(
        title="{cluster}：TTL 已回滚，恢复 {keys} 个 key",
        title_left="{cluster}：TTL 部分回滚，恢复 {keys} 个 key，{left} 个未恢复",
        intro="计划 {plan} 已回滚。应用后来设置的 TTL 保持不变；已过期或已删除的 key 无法恢复。",
        column_journalled="计划变更",
        column_restored="已恢复",
        column_changed="后被应用修改",
        column_gone="已不存在",
        never="原本无过期时间的 key 恢复为永不过期，仍需商定 TTL。",
        left="仍有 {keys} 个 key 带有计划设置的 TTL，到期会被删除。SRE 会清除（Clear）load_journal 及其下游任务，重新回滚。",
        title_holes="{cluster}：TTL 部分回滚，恢复 {keys} 个 key，其余情况未知",
        holes="变更记录有 {objects} 个文件丢失或损坏，其中的 key 仍可能到期删除。SRE 正在查找备份。",
    ),
    drift_found=DriftFoundPhrases(
        title="{cluster}：新增 {keys} 个无过期时间的 key",
        title_overdue="{cluster}：已过约定日期，仍有 key 无过期时间",
        intro="对比基线：{date}的存量 key。",
        intro_accepted="对比基线：{date}的存量 key（已由 {by} 确认）。",
        column_cause="原因",
        column_new="新增",
        column_growth="日均变化",
        column_since="首次发现",
        new_writer="新写入来源",
        ttl_wiped="TTL 被清除",
        rule_missing="未匹配规则",
        overdue="逾期",
        churn="另有 {keys} 个新 key 每晚新旧更替（churn），未计入。",
        ending="另有约 {keys} 个新 Hash 的所有字段都有 TTL，会自动消失，未计入。",
        unheard_of="如果这些 key 只是短期存在，下次审计时已消失，检查会将其归为 churn 并通过。",
        do_new_writer="新写入来源：有代码写入这类 key 时没有设置 TTL，请在代码中补上。",
        do_ttl_wiped=(
            "TTL 被清除：这些 key 设置过 TTL，重新写入时丢失。String：SET 会清除 TTL，"
            "请带上 EX 或 KEEPTTL；其他类型：请在替换 key 后重新执行 EXPIRE。"
        ),
        do_rule_missing="未匹配规则：请告知这些 key 归哪个团队、TTL 应该设多长。",
        do_overdue="逾期：规则约定的日期（{dates}）已过。请尽快完成改造，或与 SRE 商定新的日期。",
        until="每晚的检查会持续失败，直到这些 key 设置 TTL、消失，或被确认：触发 {dag}，勾选 Accept 并填写理由。",
        source="数据来源：审计 {audit}，{moment}。",
    ),
    memory_level=MemoryLevelPhrases(
        title_memory_critical="[严重] {cluster}：内存使用率 {ratio}",
        title_memory_warn="[预警] {cluster}：内存使用率 {ratio}",
        title_memory_less="[预警] {cluster}：内存使用率回落至 {ratio}，仍高于预警阈值",
        title_memory_ok="[恢复] {cluster}：内存使用率回落至 {ratio}",
        title_no_ttl_warn="[预警] {cluster}：无过期时间的 key 占比 {ratio}",
        title_no_ttl_ok="[恢复] {cluster}：无过期时间的 key 占比回落至 {ratio}",
        above="告警阈值为 {threshold}。",
        below="已明显低于告警阈值 {threshold}。",
        trend="最近 {days}的趋势：每天 {change}（{low} 至 {high}）。",
        reaches="按此趋势，内存预计于 {likely} 前后达到{bound}。",
        reaches_between="按此趋势，内存预计于 {likely} 前后达到{bound}（最早 {earliest}，最晚 {latest}）。",
        never_reaches="按此趋势，内存不会达到{bound}。",
        bound_warn="预警阈值",
        bound_critical="严重阈值",
        bound_maxmemory="内存上限",
        do_look="查看占用内存的 key 模式：见 {dag} 最近一次的报告，或立即触发一次。",
        do_agree="无过期时间的 key 永不过期。请与 SRE 商定 TTL 并完成设置。",
    ),
    burst_detected=BurstDetectedPhrases(
        title="[突增] {cluster}：{since}以来 key 数增加 {keys}",
        intro="每秒新增 {rate} 个 key，内存增加 {size}；新增 key 中有 {no_ttl} 个无过期时间。与往常同一时段相比属于异常增长。",
        patterns_heading="哪些 key",
        column_share="占全部 key 比例",
        column_audited="上次审计数量",
        column_ttl="TTL",
        interval="{share}（{low} 至 {high}）",
        clients_heading="谁在写入",
        client="{name}：用户 {user}，主机 {host}，{connections} 个连接，最近命令 {commands}",
        client_unnamed="未命名客户端",
        jobs_heading="同一时段运行的任务",
        no_audit="尚无可对比的审计。",
        no_randomkey="无法得知是哪些 key：监控用户无 RANDOMKEY 权限。",
        no_keyspace="key 数量未知：服务端未返回。",
        no_client_list="无法得知写入方：监控用户无 CLIENT LIST 权限。",
        do_stop="请确认是否为你们的业务写入；如非预期，请立即停止。",
        do_tell="如属预期，请告知用途和预计结束时间。",
        do_ttl="如果这些 key 没有 TTL，请在写入代码中补上。",
    ),
    run_aborted=RunAbortedPhrases(
        title_guard="{cluster}：设置 TTL 触发保护，已中止",
        title_operator="{cluster}：设置 TTL 已被人工中止",
        title_rejected="{cluster}：设置 TTL 的计划被拒绝",
        title_timed_out="{cluster}：设置 TTL 的计划审批超时",
        title_invalid="{cluster}：设置 TTL 的计划审批无效",
        title_failed="{cluster}：设置 TTL 失败",
        reason="原因：{reason}",
        said_by="{by} 的说明：{reason}",
        changed="计划共 {planned} 个 key，中止前已变更 {changed} 个，新 TTL 保留；其余未变更。",
        nothing="没有写入任何数据。",
        patterns="计划涉及的 key 模式：{names}。",
        go_on="如需继续，由 SRE 在审批有效期内清除（Clear）失败的任务，重新执行。",
        take_back="如需回滚：触发 {dag}，Plan 填 {plan}，关闭 Dry run。",
        new_plan="如需重试：触发 {dag}，系统会生成新的计划。",
    ),
)
