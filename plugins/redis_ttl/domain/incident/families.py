"""The families of the incident's keyspace: the recorded ones to the key, the others as a shop's software writes them.

A table and nothing else. Recorded on the day of the incident: the four ``recorded`` families, 6,693,836 keys,
2,623,984 of them without a TTL, and what was left of a burst of bare numbers. Every other row is there so that an
audit meets the names, types, sizes and times to live that real software produces.
"""

from __future__ import annotations

from typing import Final

from redis_ttl.domain.incident.incident import Family, Kind, Span

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def _minutes(low: int, high: int) -> Span:
    return Span(low * _MINUTE, high * _MINUTE)


def _hours(low: int, high: int) -> Span:
    return Span(low * _HOUR, high * _HOUR)


def _days(low: int, high: int) -> Span:
    return Span(low * _DAY, high * _DAY)


def _string(
    name: str, keys: int, size: tuple[int, int], ttl_s: Span | None = None, *, recorded: bool = False
) -> Family:
    return Family(name, keys, Kind.STRING, Span(*size), ttl_s=ttl_s, recorded=recorded)


def _many(  # noqa: PLR0917  # the columns of a table, in its order
    kind: Kind,
    name: str,
    keys: int,
    elements: tuple[int, int],
    size: tuple[int, int],
    ttl_s: Span | None = None,
    *,
    recorded: bool = False,
) -> Family:
    return Family(name, keys, kind, Span(*size), Span(*elements), ttl_s, recorded)


_RECORDED = (
    _string("MARKETING:COUPON:UNREAD:<n>", 147_111, (240, 760), recorded=True),
    _many(Kind.SET, "contact:userGroupLabel:set:<n>", 177_450, (8, 40), (7, 11), recorded=True),
    _many(Kind.HASH, "exchange:coupon:high:commodity:price:<n>", 473, (4, 12), (8, 16), recorded=True),
    _string(
        "contact:last:activity:<n>",
        374_639,
        (120, 260),
        Span(363 * _DAY + 12 * _HOUR, 364 * _DAY + 12 * _HOUR),
        recorded=True,
    ),
)

_BURST = (_string("<n>", 2_203_117, (24, 90), _hours(2, 12)),)

# Names of several writing systems and encodings, and of people who put anything into a key.
_UNUSUAL = (
    _many(Kind.HASH, "商品:<n>:详情", 46_870, (6, 12), (24, 80)),
    _string("用户:昵称:<nick>", 58_211, (20, 60)),
    _many(Kind.SET, "门店标签:上海:<n>", 7_730, (3, 12), (6, 18)),
    _many(Kind.ZSET, "suggest:<phrase>", 34_118, (5, 15), (12, 30)),
    _string("<java>member:snapshot:<n>", 41_220, (300, 700)),
    _string("<gbk>:<n>", 6_412, (20, 60)),
    _string("sql:SELECT name, price\nFROM goods\nWHERE id = <n>", 13_870, (200, 600)),
    _string("note for barista:\n<n>", 2_104, (20, 120), _days(2, 6)),
    _string("email:subscribed:<email>", 76_449, (10, 40)),
    _string("ip:<ip>:first-seen", 52_310, (13, 24)),
    _many(Kind.HASH, "{user:<n>}:cart", 61_322, (4, 10), (20, 48)),
    _many(Kind.HASH, "{user:<n>}:cart", 43_905, (2, 8), (20, 48), _days(8, 29)),
    _many(Kind.LIST, "{order:<n>}:items", 120_034, (2, 8), (55, 130)),
)

# The shop's own services.
_SHOP = (
    _many(Kind.HASH, "contact:profile:<n>", 351_586, (8, 14), (12, 40)),
    _many(Kind.SET, "contact:tags:<n>", 168_440, (6, 24), (7, 15)),
    _many(Kind.HASH, "user:<uuid>:preferences", 91_902, (5, 12), (12, 40)),
    _string("member:level:<n>", 205_118, (60, 200)),
    _string("loyalty:points:<n>", 187_455, (2, 6)),
    _string("coupon:template:<n>", 18_240, (400, 1_200)),
    _many(Kind.SET, "campaign:<n>:audience", 9_412, (20, 100), (7, 9)),
    _many(Kind.HASH, "campaign:<n>:stats", 9_412, (6, 10), (4, 9)),
    _string("activity:joined:<few>:<n>", 164_870, (24, 120)),
    _string("device:token:<sha256>", 98_212, (120, 190)),
    _many(Kind.LIST, "sku:<n>:price:history", 61_044, (6, 30), (16, 26)),
    _many(Kind.HASH, "order:<ulid>", 83_104, (8, 16), (10, 40)),
    _string("store:<n>:menu", 12_084, (1_500, 6_000)),
    _many(Kind.HASH, "store:<n>:inventory", 12_084, (30, 90), (4, 10)),
    _many(Kind.ZSET, "leaderboard:daily:<date>", 1_127, (40, 120), (8, 14)),
    _many(Kind.ZSET, "leaderboard:store:<n>", 8_210, (20, 80), (8, 14)),
    _many(Kind.STREAM, "stream:orders:<date>", 812, (4, 16), (40, 120)),
    _many(Kind.STREAM, "events:store:<n>", 3_115, (3, 10), (40, 120), _days(31, 58)),
    _many(Kind.ZSET, "geo:stores", 1, (400, 400), (6, 8)),
    _many(Kind.HASH, "feature-flags", 1, (60, 60), (4, 5)),
    _string("config:payment", 1, (800, 800)),
    _string("config:delivery", 1, (600, 600)),
    _string("push:read:<n>:<date>", 120_760, (8, 60), _days(31, 59)),
    _string("coupon:claim:<uuid>", 96_412, (180, 380), _days(61, 89)),
    _string("visit:<day>:<n>", 88_340, (8, 40), _days(95, 175)),
    _many(Kind.HASH, "invoice:<n>", 42_118, (8, 14), (14, 40), _days(400, 720)),
    _string("survey:answer:<uuid>", 27_604, (120, 480), _days(200, 360)),
    _string("weather:store:<n>", 12_084, (200, 500), _minutes(45, 58)),
    _string("otp:+<mobile>", 9_880, (6, 6), _minutes(45, 58)),
)

# Queues, caches, sessions, locks and limiters, named by the libraries that write them.
_LIBRARIES = (
    _string("celery-task-meta-<uuid>", 61_233, (200, 410)),
    _string("celery-task-meta-<uuid>", 104_518, (200, 410), _hours(3, 23)),
    _many(Kind.LIST, "celery", 1, (120, 120), (300, 600)),
    _many(Kind.SET, "_kombu.binding.celery", 1, (1, 1), (20, 20)),
    _many(Kind.HASH, "unacked", 1, (40, 40), (300, 600)),
    _many(Kind.ZSET, "unacked_index", 1, (40, 40), (36, 36)),
    _many(Kind.HASH, "rq:job:<uuid>", 38_207, (10, 14), (14, 60), _days(2, 6)),
    _many(Kind.HASH, "rq:job:<uuid>", 12_940, (10, 14), (14, 60)),
    _many(Kind.SET, "rq:workers", 1, (8, 8), (40, 40)),
    _many(Kind.HASH, "bull:mail:<n>", 74_511, (8, 12), (12, 50)),
    _many(Kind.HASH, "bull:push-notify:<n>", 51_280, (8, 12), (12, 50)),
    _many(Kind.ZSET, "bull:mail:completed", 1, (900, 900), (6, 6)),
    _many(Kind.HASH, "bull:mail:meta", 1, (3, 3), (4, 10)),
    _many(Kind.STREAM, "bull:mail:events", 1, (50, 50), (20, 60)),
    _string("stat:processed:<date>", 1_824, (4, 7)),
    _string("stat:failed:<date>", 1_824, (1, 3)),
    _many(Kind.ZSET, "schedule", 1, (60, 60), (200, 400)),
    _many(Kind.ZSET, "dead", 1, (80, 80), (200, 400)),
    _many(Kind.LIST, "queue:default", 1, (90, 90), (200, 400)),
    _string(":<one>:user-avatar-<n>", 57_312, (120, 300)),
    _string(
        ":<one>:views.decorators.cache.cache_page.menu.GET.<md5>.<md5>.zh-hans.Asia/Shanghai",
        16_550,
        (900, 2_400),
        _hours(2, 20),
    ),
    _string("views/products/<n>-<few>/<sha1>", 33_018, (500, 1_500), _days(2, 6)),
    _many(Kind.HASH, "spring:session:sessions:<uuid>", 92_406, (4, 8), (30, 110), _days(8, 29)),
    _string("spring:session:sessions:expires:<uuid>", 92_406, (0, 0), _days(8, 29)),
    _many(
        Kind.SET,
        "spring:session:index:org.springframework.session.FindByIndexNameSessionRepository.PRINCIPAL_NAME_INDEX_NAME:<email>",
        31_044,
        (1, 3),
        (36, 44),
    ),
    _string("sess:<token>", 64_377, (160, 480), _hours(8, 23)),
    _string("session:<uuid>", 48_012, (120, 360), _days(8, 29)),
    _string("laravel_database_laravel_cache:<sha1>", 45_119, (200, 900), _days(2, 6)),
    _many(Kind.LIST, "laravel_database_queues:default", 1, (70, 70), (200, 500)),
    _string("session:gitlab:<two>::<sha256>", 14_206, (300, 900), _days(2, 6)),
    _many(Kind.SET, "session:lookup:user:gitlab2:<n>", 5_308, (1, 3), (66, 66)),
    _string("jwt:denylist:<jwt>", 18_760, (1, 1), _hours(2, 20)),
    _string("lock:order:<n>", 22_415, (36, 36), _minutes(45, 58)),
    _string("redlock:payment:<uuid>", 8_944, (20, 20), _minutes(45, 58)),
    _string("ratelimit:<ip>:<few>", 71_903, (1, 3), _minutes(45, 58)),
    _string("throttle_user_<n>", 39_260, (60, 200), _hours(2, 20)),
    _string("idempotency:<ulid>", 102_716, (140, 420), _hours(10, 23)),
    _string("page:<md5>", 162_839, (500, 1_700), _hours(2, 23)),
    _string("etag:<sha1>", 70_118, (40, 44), _days(91, 178)),
)

FAMILIES: Final = (*_RECORDED, *_BURST, *_UNUSUAL, *_SHOP, *_LIBRARIES)
