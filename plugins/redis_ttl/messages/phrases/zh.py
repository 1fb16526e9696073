"""Chinese."""

from __future__ import annotations

import datetime as dt
from typing import Final

from redis_ttl.messages.phrases import Phrases

_UNITS: Final = ((86_400, "天"), (3_600, "小时"), (60, "分钟"), (1, "秒"))


def _count(number: int) -> str:
    return f"{number:,}"


def _duration(seconds: int) -> str:
    for length, unit in _UNITS:
        if seconds >= length:
            number = round(seconds / length) if length == _UNITS[0][0] or not seconds % length else seconds / length
            return f"{number:,.4g} {unit}" if isinstance(number, float) else f"{_count(number)} {unit}"
    return "0 秒"


def _date(date: dt.date) -> str:
    return f"{date.year}年{date.month}月{date.day}日"


def _moment(moment: dt.datetime) -> str:
    return f"{_date(moment.date())} {moment:%H:%M} {moment.tzname()}"


PHRASES: Final = Phrases(
    count=_count,
    duration=_duration,
    date=_date,
    moment=_moment,
    subject="[{priority}] {cluster}：Redis 键缺少 TTL，请于 {deadline} 前完成改造",
    greeting="{owner} 的同学：",
    what_heading="现状",
    what_memory="{cluster} 内存使用率 {ratio}：已用 {used}，上限 {limit}（{moment}）。",
    what_no_limit="{cluster} 已用内存 {used}（{moment}），服务器未设上限。",
    what_no_ttl="全部 {keys} 个键中有 {no_ttl} 个（{ratio}）没有 TTL，永远不会自动删除。",
    eviction_volatile="当前淘汰策略是 {policy}，内存不足时只淘汰带 TTL 的键，对这部分键无能为力。",
    eviction_none="当前淘汰策略是 {policy}，内存不足时不淘汰任何键，写入会直接报错。",
    eviction_all="当前淘汰策略是 {policy}，内存不足时任何键都可能被淘汰，包括仍在使用的键。",
    eviction_unknown="无法得知服务器在内存不足时会淘汰哪些键。",
    grows="用户和活动越多，这类键就越多，留给其他业务的内存只会越来越少。",
    rules_heading="写入时需要设置 TTL 的键",
    column_pattern="键模式",
    column_keys="数量",
    column_now="当前 TTL",
    column_proposed="建议 TTL",
    column_priority="优先级",
    column_size="占用内存",
    never="无，永不过期",
    about="约 {duration}",
    mixed="{share} 无 TTL，其余约 {duration}",
    unknown_heading="尚无归属规则且没有 TTL 的键",
    unknown_intro="这些键属于哪个团队？需要保留多久？",
    column_no_ttl="无 TTL 数量",
    others="另有 {patterns} 种模式，共 {keys} 个键",
    we_heading="SRE 负责",
    we_apply="你们确认之后，我们会分批为存量键补上 TTL，全程留有变更日志，随时可以回滚。",
    we_watch="即日起持续监控内存（{warn} 起预警）和无 TTL 键占比，每晚上报新增的无 TTL 键。",
    you_heading="需要你们配合",
    you_review="核对上表的建议 TTL 是否符合业务需要：同意请回复，不合适请给出新的值。",
    you_change="修改写入代码，写入时就带上 TTL；注意不带过期参数的 SET 会把已有的 TTL 清掉。以 {pattern} 为例，{duration}即 {seconds} 秒：",
    you_code="哈希、集合、列表请在写入之后、同一个 MULTI 事务内设置：",
    you_burst="排查 {since} 至 {until} 之间写入约 {keys} 个 {pattern} 键的来源：是营销活动、定时任务，还是某次发布？",
    you_own="告诉我们那些没有规则的键归谁负责、需要保留多久。",
    by_when="截止日期：{deadline}。",
    otherwise="如果不处理，内存告警会越来越频繁，仍在使用的数据会被淘汰，或者写入失败。",
    otherwise_cost="否则只能扩容，每月多花 {cost} 美元。",
    otherwise_cost_note="否则只能扩容（{note}），每月多花 {cost} 美元。",
    examples="例如 {names}。",
    source="数据来自 {moment} 的审计 {audit}。",
)
