"""Chinese."""

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
    greeting="{owner} 的同学：",
    memory="{cluster} 内存使用率 {ratio}：已用 {used}，上限 {limit}，统计时间 {moment}。",
    memory_no_limit="{cluster} 已用内存 {used}，未设置内存上限（maxmemory），统计时间 {moment}。",
    memory_limit_unknown="{cluster} 已用内存 {used}，服务器未提供内存上限，上限未知，统计时间 {moment}。",
    memory_unknown="{cluster} 的内存用量未知：服务器未提供，统计时间 {moment}。",
    fullest="其中最满的节点 {node} 使用率为 {ratio}。",
    unknown="未知",
    no_ttl="全部 {keys} 个键中有 {no_ttl} 个（{ratio}）没有 TTL，永不过期。",
    no_ttl_unknown="没有 TTL 的键的数量未知：服务器未提供。",
    eviction_volatile="当前淘汰策略是 {policy}，内存不足时只淘汰带 TTL 的键，没有 TTL 的键不会被淘汰。",
    eviction_none="当前淘汰策略是 {policy}，内存不足时不淘汰任何键，写入会直接报错。",
    eviction_all="当前淘汰策略是 {policy}，内存不足时任何键都可能被淘汰，包括仍在使用的键。",
    eviction_unknown="未能获取淘汰策略，无法判断内存不足时会淘汰哪些键。",
    cost="若不设置 TTL，只能扩容，每月增加 {cost} 美元。",
    cost_noted="若不设置 TTL，只能扩容（{note}），每月增加 {cost} 美元。",
    column_pattern="键模式",
    column_keys="数量",
    column_no_ttl="无 TTL 数量",
    column_priority="优先级",
    column_size="占用内存",
    you_heading="需要你们配合",
    examples="键名示例：{names}。",
    in_airflow="在 Airflow 中查看本次运行",
    reminder="[提醒] {title}",
    update="[更新] {title}",
    new="较上次通知新增：{names}。",
    summary="Redis 键每日汇总：共 {count} 条通知",
    advice=AdvicePhrases(
        string="由 SET 写入的字符串（{patterns}）：请带上 EX；不带过期参数的 SET 会清除已有的 TTL。{duration}即 {seconds} 秒：",
        counter="计数器（{patterns}）：SET 会重置计数，请在首次 INCR 时用 EXPIRE 设置。{duration}即 {seconds} 秒：",
        hash="Hash（{patterns}）：在写入之后、同一个 MULTI 事务内用 EXPIRE 设置。{duration}即 {seconds} 秒：",
        list="List（{patterns}）：在写入之后、同一个 MULTI 事务内用 EXPIRE 设置。{duration}即 {seconds} 秒：",
        set="Set（{patterns}）：在写入之后、同一个 MULTI 事务内用 EXPIRE 设置。{duration}即 {seconds} 秒：",
        zset="Sorted Set（{patterns}）：在写入之后、同一个 MULTI 事务内用 EXPIRE 设置。{duration}即 {seconds} 秒：",
        stream="Stream（{patterns}）：在写入之后、同一个 MULTI 事务内用 EXPIRE 设置。{duration}即 {seconds} 秒：",
        other="其他类型（{patterns}）：在创建键的写入之后用 EXPIRE 设置。{duration}即 {seconds} 秒：",
        unknown="未抽样到类型的键（{patterns}）：在写入之后用 EXPIRE 设置，适用于任何类型。{duration}即 {seconds} 秒：",
        field="如果这些 Hash 中的个别字段需要提前过期，可以为字段单独设置 TTL：",
        share="{pattern} {share}",
    ),
    cautions=CautionPhrases(
        heading="审批前须知",
        evictable="内存不足时，淘汰策略 {name} 可能淘汰任何带 TTL 的键；这些键设置 TTL 之后也在其中。",
        unguarded="按策略，以下保护项不启用：{guards}。这些方面出现异常时，写入不会暂停，也不会终止。",
        renews="在淘汰策略 {name} 下，设置 TTL 等同于一次写入：这些键此后会最后才被淘汰。",
        other_waits="计划 {name} 也在等待审批。请只批准其中一个，另一个需重新生成。",
        other_unread="计划 {name} 的文档已损坏，其全部键均按已写入计算。",
        in_place="值会被原地更新（{kinds}），更新不会改变 TTL：无论期间写入多少次，这些键最早在批准 {duration}后被删除。",
        strings=(
            "{ratio} 的值是字符串，无法判断写入方式。APPEND、SETRANGE、SETBIT、PFADD、INCRBYFLOAT 会保留 TTL："
            "由它们写入的键，无论期间写入多少次，最早在批准 {duration}后被删除。"
        ),
        in_use="约 {ratio} 的键仍在使用。",
        in_use_left="约 {ratio} 的键仍在使用，规则会跳过它们。",
        big="抽样中最大的键为 {size}，而服务器 {name} 在释放过期键时会阻塞所有请求（lazyfree-lazy-expire no）。",
        big_unknown="抽样中最大的键为 {size}，无法得知服务器 {name} 在释放过期键时是否会阻塞所有请求。",
        fields_end="约 {ratio} 的键是所有字段都带 TTL 的 Hash，会在 {duration}内自行消失；为键设置 TTL 不会多释放内存。",
        fields_cut="约 {ratio} 的键是所有字段都带 TTL 的 Hash（最长 {duration}），会自行消失；为键设置 TTL 会提前删除本应保留更久的字段。",
        fields_mixed="约 {ratio} 的 Hash 有部分字段带 TTL：为键设置 TTL 会连同所有字段一起删除，包括没有 TTL 或本应保留更久的字段。",
        text="{text}",
        of_rule="{pattern}：{caution}",
        more="另有 {number} 项，见计划页面",
    ),
    guards=GuardPhrases(
        memory="内存用量",
        evicted_keys="被淘汰的键",
        expire_cap_hits="服务器来不及清理的过期键",
        replica_lag_bytes="副本落后的字节数",
        replica_lag="副本落后的秒数",
        replicas="失联的副本",
        server="服务器是否重启过",
        misses="键未命中次数",
        errors="错误回复数",
    ),
    action_required=ActionRequiredPhrases(
        title="[{priority}] {cluster}：Redis 键缺少 TTL，请于 {deadline}前完成改造",
        title_longer="[{priority}] {cluster}：Redis 键的 TTL 过长，请于 {deadline}前完成改造",
        see_heading="现状",
        ending="另有约 {keys} 个键自身没有 TTL，但会自行消失：它们是所有字段都带 TTL 的 Hash。",
        grows="用户和活动越多，这类键就越多，留给其他业务的内存只会越来越少。",
        growth="内存占用每天约增长 {size}。",
        rules_heading="写入时需要设置 TTL 的键",
        column_now="当前 TTL",
        column_proposed="建议 TTL",
        never="无，永不过期",
        about="约 {duration}",
        mixed="{share} 无 TTL，其余约 {duration}",
        longer="超过 {duration}",
        mixed_longer="{share} 无 TTL，其余{longer}",
        agreed="{duration}（已确认）",
        freed="这些键过期后，预计可释放约 {size} 内存。",
        unknown_heading="没有 TTL 且未配置规则的键",
        unknown_intro="这些键属于哪个团队？需要保留多久？",
        others="另有 {patterns} 种模式，共 {keys} 个键。",
        we_heading="SRE 负责",
        we_apply="你们确认之后，我们会分批为存量键设置 TTL，并记录每一处变更；在键开始过期之前，可以全部回滚。",
        we_apply_agreed="我们会按你们已确认的 TTL 分批为存量键设置，并记录每一处变更；在键开始过期之前，可以全部回滚。",
        we_watch="即日起持续监控内存使用率（达到 {warn} 预警）和无 TTL 键的占比，每晚检查并通知新增的无 TTL 键。",
        you_review="核对上文的建议 TTL 是否符合业务需要：合适请直接回复确认，不合适请回复你们需要的值。",
        you_change="修改代码，在写入时按键的数据类型设置 TTL（类型取自抽样结果）：",
        you_burst="排查 {pattern} 键突增的来源：{since}至 {until}新增约 {keys}，是营销活动、定时任务，还是某次发布？",
        burst_clients="当时正在写入的客户端：{names}。",
        you_own="告诉我们未配置规则的键归哪个团队负责、需要保留多久。",
        by_when="截止日期：{deadline}（含当日）",
        otherwise="如不处理，内存告警会越来越频繁，最终导致仍在使用的数据被淘汰，或者写入失败。",
        source="数据来源：审计 {audit}，{moment}。",
    ),
    approval_requested=ApprovalRequestedPhrases(
        title="[{priority}] {cluster}：为 {keys} 个键设置 TTL 的计划待审批，截止 {deadline}",
        intro="有一份设置 TTL 的计划正在等待审批，批准前不会写入任何数据。",
        rules_heading="你们受影响的键",
        column_ttl="TTL",
        column_expire="过期时间",
        between="批准后 {first}至 {last}",
        whole_plan="整个计划会为集群 {all} 个键中的 {keys} 个设置 TTL。",
        peak_unknown="TTL 本身也占内存，键过期后才会回落；服务器未提供内存数据，写入期间的内存峰值未知。",
        peak="TTL 本身也占内存：写入期间内存预计最高升至 {peak}，为上限 {limit} 的 {ratio}，键过期后才会回落。",
        expiries="键陆续过期时，峰值为每秒 {rate} 个。",
        expiries_few="键陆续过期时，每秒不到 1 个。",
        undo="可全部回滚的时限：批准后 {duration}。",
        button="前往审批",
        where="请在 Airflow 中处理：DAG {dag}，任务 {gate}，Required Actions 页面。",
        until="审批截止时间：{moment}，逾期未处理视为拒绝。",
        approvers="仅以下 Airflow 用户的审批有效：{names}。",
        plan="计划 {plan}，摘要 {digest}。",
    ),
    remediation_result=RemediationResultPhrases(
        title="{cluster}：已为 {keys} 个键设置 TTL",
        title_missed="{cluster}：已为 {keys} 个键设置 TTL，遗漏 {missed} 个",
        intro="计划已执行完毕，并已逐键复核。",
        column_planned="计划",
        column_kept="已设置",
        column_changed="后被应用修改",
        column_wiped="TTL 再次丢失",
        column_gone="已不存在",
        column_left_alone="已跳过",
        column_missed="遗漏",
        before_after="整个集群的无 TTL 键：执行前 {before} 个（{before_ratio}），目前 {after} 个（{after_ratio}）。",
        memory="当前已用内存 {used}。",
        memory_unknown="当前已用内存未知：服务器未提供。",
        memory_falls="当前已用内存 {used}，随着键陆续过期，预计降至 {expected} 左右。",
        wiped=(
            "有 {keys} 个键的 TTL 再次丢失：仍有代码重写这些键时不带过期参数。字符串请用带 EX "
            "或 KEEPTTL 的 SET，其他类型请在替换键之后重新执行 EXPIRE，否则还会再丢。"
        ),
        missed="有 {keys} 个键本应设置 TTL，但被遗漏。SRE 会在审批有效期内清除（Clear）apply_shard 及其下游任务，重新执行。",
        undo="全部回滚的截止时间：{moment}。回滚方法：触发 {dag}，Plan 填 {plan}，并关闭 Dry run。",
        approved="审批人：{names}。",
    ),
    rollback_result=RollbackResultPhrases(
        title="{cluster}：TTL 已回滚，{keys} 个键已恢复原状",
        title_left="{cluster}：TTL 部分回滚，{keys} 个键已恢复原状，仍有 {left} 个未恢复",
        intro="计划 {plan} 已回滚。应用后来自行设置的过期时间保持不变；已过期或已删除的键无法恢复。",
        column_journalled="曾被计划修改",
        column_restored="已恢复",
        column_changed="后被应用修改",
        column_gone="已不存在",
        never="原来没有 TTL 的键重新变为永不过期，仍需你们与 SRE 商定 TTL。",
        left="仍有 {keys} 个键带着计划设置的 TTL，到期会被删除。SRE 会清除（Clear）load_journal 及其下游任务，重新回滚。",
        title_holes="{cluster}：TTL 部分回滚，{keys} 个键已恢复原状，其余情况不明",
        holes="变更记录中有 {objects} 个文件丢失或损坏，其中的键可能仍会到期删除。SRE 正在查找备份。",
    ),
    drift_found=DriftFoundPhrases(
        title="{cluster}：新增 {keys} 个没有 TTL 的键",
        title_overdue="{cluster}：约定日期已过，仍有键没有 TTL",
        intro="对比基线：{date}的存量。",
        intro_accepted="对比基线：{date}的存量（由 {by} 确认）。",
        column_cause="原因",
        column_new="新增",
        column_growth="日均变化",
        column_since="首次发现",
        new_writer="新写入来源",
        ttl_wiped="TTL 被清除",
        rule_missing="未配置规则",
        overdue="逾期",
        churn="另有 {keys} 个新键每晚更替，旧键消失、新键出现（周转），未计入。",
        ending="另有约 {keys} 个新键会自行消失（Hash 的所有字段都带 TTL），未计入。",
        unheard_of="如果这些键只是短期存在，下次审计时它们已消失，检查会将其判定为周转，不再失败。",
        do_new_writer="新写入来源：有代码写入这类键时没有设置 TTL，请在写入处补上。",
        do_ttl_wiped=(
            "TTL 被清除：这些键曾设置过 TTL，重新写入时又丢失了。字符串：SET 会清除 TTL，"
            "请带上 EX 或 KEEPTTL 参数；其他类型：请在替换键之后重新执行 EXPIRE。"
        ),
        do_rule_missing="未配置规则：请告诉我们这些键归哪个团队负责、需要保留多久。",
        do_overdue="逾期：规则约定的日期（{dates}）已过。请尽快完成改造，或与 SRE 商定新的日期。",
        until="每晚的检查会持续失败，直到这些键补上 TTL、被删除，或有人触发 {dag}，勾选 Accept 并填写理由。",
        source="数据来源：审计 {audit}，{moment}。",
    ),
    memory_level=MemoryLevelPhrases(
        title_memory_critical="[严重] {cluster}：内存使用率 {ratio}",
        title_memory_warn="[预警] {cluster}：内存使用率 {ratio}",
        title_memory_less="[预警] {cluster}：内存使用率回落至 {ratio}，仍高于预警阈值",
        title_memory_ok="[恢复] {cluster}：内存使用率回落至 {ratio}",
        title_no_ttl_warn="[预警] {cluster}：无 TTL 键占比 {ratio}",
        title_no_ttl_ok="[恢复] {cluster}：无 TTL 键占比回落至 {ratio}",
        above="告警阈值为 {threshold}。",
        below="已明显低于告警阈值 {threshold}。",
        trend="最近 {days}内存用量平均每天变化 {change}（估计区间 {low} 至 {high}）。",
        reaches="按此趋势，达到{bound}的日期约为 {likely}。",
        reaches_between="按此趋势，达到{bound}的日期约为 {likely}（最早 {earliest}，最晚 {latest}）。",
        never_reaches="按此趋势，不会达到{bound}。",
        bound_warn="预警阈值",
        bound_critical="严重阈值",
        bound_maxmemory="内存上限",
        do_look="查看是哪些键模式占用了内存：见 {dag} 最近一次运行的报告，或立即触发一次。",
        do_agree="没有 TTL 的键不会因过期而释放，请尽快与 SRE 商定 TTL 并完成设置。",
    ),
    burst_detected=BurstDetectedPhrases(
        title="[突增] {cluster}：{since}以来键数增加 {keys}",
        intro="平均每秒新增 {rate} 个键，内存增加 {size}；新增键中有 {no_ttl} 个没有 TTL。往常同一时段从未出现过这样的增长。",
        patterns_heading="新增的是哪些键",
        column_share="占全部键比例",
        column_audited="上次审计时数量",
        column_ttl="TTL",
        interval="{share}（{low} 至 {high}）",
        clients_heading="谁在写入",
        client="{name}：用户 {user}，主机 {host}，{connections} 个连接，最近的写命令 {commands}",
        client_unnamed="未命名客户端",
        jobs_heading="同一时段运行的任务",
        no_audit="尚无可供对比的审计。",
        no_randomkey="监控用户无权执行 RANDOMKEY，无法得知是哪些键。",
        no_keyspace="键的数量未知：服务器未提供。",
        no_client_list="监控用户无权执行 CLIENT LIST，无法得知写入方。",
        do_stop="请确认这些键是否由你们的业务写入；如非预期，请立即停止写入。",
        do_tell="如属预期，请告知用途和预计结束时间。",
        do_ttl="如果这些键没有 TTL，请在写入处补上。",
    ),
    run_aborted=RunAbortedPhrases(
        title_guard="{cluster}：设置 TTL 的任务触发保护机制，已中止",
        title_operator="{cluster}：设置 TTL 的任务被人工中止",
        title_rejected="{cluster}：设置 TTL 的计划被拒绝",
        title_timed_out="{cluster}：设置 TTL 的计划审批超时",
        title_invalid="{cluster}：设置 TTL 的计划未获有效审批",
        title_failed="{cluster}：设置 TTL 的任务执行失败",
        reason="原因：{reason}",
        said_by="{by} 的说明：{reason}",
        changed="计划涉及 {planned} 个键，中止前已为其中 {changed} 个设置 TTL，这些 TTL 继续有效；其余键未改动。",
        nothing="没有写入任何数据。",
        patterns="涉及的键模式：{names}。",
        go_on="如需继续，由 SRE 在审批有效期内清除（Clear）失败的任务，重新执行。",
        take_back="如需回滚：触发 {dag}，Plan 填 {plan}，并关闭 Dry run。",
        new_plan="如需重试：触发 {dag}，系统会生成新的计划。",
    ),
)
