"""Right policy files become policies, folders keep their good files, and one cluster's file is found without the rest."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_ttl.adapters.policy_files.parser import parse_policy
from redis_ttl.adapters.policy_files.policy_file import (
    find_policy,
    load_files,
    load_policies,
    load_policy,
    policy_files,
    read_cluster_name,
)
from redis_ttl.adapters.policy_files.relations import MAX_EFFORT, MAX_ENTRIES
from redis_ttl.adapters.policy_files.text import LINE_BREAK, decode
from redis_ttl.domain.errors import BadInput, InvalidPolicy
from redis_ttl.domain.keys.pattern import KeyPattern
from redis_ttl.domain.keys.steps import Effort
from redis_ttl.domain.policy.actions import Mode
from redis_ttl.domain.policy.policy import (
    AuditSettings,
    CanarySettings,
    Caps,
    Cold,
    Exemption,
    GuardSettings,
    Job,
    Language,
    MemoryThresholds,
    MessageSettings,
    NoTtlThreshold,
    Owner,
    Policy,
    Priority,
    QuietHours,
    RemediationSettings,
    Rule,
    ScalingCost,
    SignOff,
    WatchSettings,
)
from redis_ttl.domain.policy_mistake import PolicyMistake

ROOT = Path(__file__).parents[3]
POLICIES = ROOT / "include" / "policies"
EXAMPLES = sorted((POLICIES / "examples").glob("*.yaml"))
DOCUMENTED = re.findall(
    r"^```yaml\n(.*?)^```$", (ROOT / "docs/policy.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)

MINIMAL = "cluster: {cluster}\nconnection: redis\nowner: {{team: shop}}\n"

FULL = """\
cluster: luckyus-isales-market
connection: redis_reader
write_connection: redis_writer
owner: {team: isales-marketing, slack: "#isales-marketing", email: [a@example.com, 优惠@例子.中国], languages: [en, zh]}
memory: {warn: 60.5%, critical: 85 %}
no_ttl: {warn_ratio: 12.5%}
scaling_cost: {usd_per_month: 135.50, note: "next node size"}
audit:
  schedule: "0 19 * * 1-5"
  timezone: Asia/Shanghai
  load: 50000/s
  shards: 8
  parallel: 2
  sample: 0.5%
  pool: redis_audits
  db: 3
  source: replica
rules:
  - pattern: "MARKETING:COUPON:UNREAD:{userId}"
    ttl: 60d
    priority: P1
    mode: set
    jitter: 0%
    sign_off: {by: "Lin, 林", on: 2026-02-20, ref: "OPS-7"}
  - pattern: "contact:last:activity:{contactId}"
    ttl: 1d12h
    mode: cap
exempt:
  - pattern: "config:{name}"
    reason: "read at start-up: never rewritten"
"""


def write(folder: Path, name: str, text: str) -> Path:
    """A file with that text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_field_arrives_with_its_meaning() -> None:
    """What is written is what the policy says, percentages as fractions and durations as seconds."""
    assert parse_policy(FULL, "full.yaml") == Policy(
        cluster="luckyus-isales-market",
        connection="redis_reader",
        write_connection="redis_writer",
        owner=Owner(
            "isales-marketing",
            slack="#isales-marketing",
            email=("a@example.com", "优惠@例子.中国"),
            languages=(Language.ENGLISH, Language.CHINESE),
        ),
        memory=MemoryThresholds(0.605, 0.85),
        no_ttl=NoTtlThreshold(0.125),
        scaling_cost=ScalingCost(135.5, "next node size"),
        audit=AuditSettings(
            schedule="0 19 * * 1-5",
            timezone="Asia/Shanghai",
            load="50000/s",
            shards=8,
            parallel=2,
            sample_percent=0.5,
            pool="redis_audits",
            databases=(3,),
            source="replica",
        ),
        rules=(
            Rule(
                KeyPattern("MARKETING:COUPON:UNREAD:{userId}"),
                60 * 86_400,
                Mode.SET,
                Priority.P1,
                0.0,
                SignOff("Lin, 林", dt.date(2026, 2, 20), "OPS-7"),
            ),
            Rule(KeyPattern("contact:last:activity:{contactId}"), 129_600, Mode.CAP),
        ),
        exemptions=(Exemption(KeyPattern("config:{name}"), "read at start-up: never rewritten"),),
    )


def test_what_is_not_written_has_the_documented_default() -> None:
    """A policy of three lines is audited nightly and governs nothing."""
    policy = parse_policy(MINIMAL.format(cluster="shop"), "minimal.yaml")
    assert policy == Policy("shop", "redis", Owner("shop"))
    assert policy.audit == AuditSettings("0 2 * * *", "UTC", "gentle", None, 4, 1.0, None, None, "primary")
    assert policy.rules == ()


@pytest.mark.parametrize("name", ["no", "on", "Yes", "010", "1e3", "0x1F", "1.5", "2026-02-20"])
def test_a_name_is_a_name_whatever_yaml_would_make_of_it(name: str) -> None:
    """YAML's booleans, numbers and dates are no such things where a name belongs."""
    assert parse_policy(MINIMAL.format(cluster=name), "f").cluster == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cluster: shop\n", "shop"),
        ("# a comment\n\ncluster:   shop # its name\r\n", "shop"),
        ("owner: {team: a}\ncluster: 'shop'\n", "shop"),
        ('cluster : "shop"\n', "shop"),
        ("\ufeffcluster: shop\n", "shop"),
        ("owner:\n  cluster: shop\n", None),
        ("my-cluster: shop\n", None),
        ("cluster:\n", None),
        ("", None),
    ],
)
def test_the_clusters_name_is_read_without_yaml(tmp_path: Path, text: str, name: str | None) -> None:
    """The line ``cluster:`` in column 1 is enough, quoted or not."""
    assert read_cluster_name(write(tmp_path, "a.yaml", text)) == name


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    """Files from other editors are read as they are."""
    text = MINIMAL.format(cluster="shop").replace("\n", "\r\n")
    assert load_policy(write(tmp_path, "a.yaml", "\ufeff" + text)).cluster == "shop"


def test_a_broken_file_does_not_keep_the_others_from_loading(tmp_path: Path) -> None:
    """Good files load, sorted by cluster; each bad one is a problem of its own."""
    write(tmp_path, "1.yaml", MINIMAL.format(cluster="market"))
    write(tmp_path, "2.yml", MINIMAL.format(cluster="a-shop"))
    write(tmp_path, "3.yaml", "cluster: [")
    write(tmp_path, "4.yaml", MINIMAL.format(cluster="orders") + "rulez: []\n")
    (tmp_path / "5.yaml").write_bytes(b"\xff\xfe\x00")
    folder = load_policies(tmp_path)
    assert [policy.cluster for policy in folder.policies] == ["a-shop", "market"]
    assert [Path(problem.file).name for problem in folder.problems] == ["3.yaml", "4.yaml", "5.yaml"]


def test_only_visible_yaml_files_directly_in_the_folder_are_policies(tmp_path: Path) -> None:
    """Examples in a folder of their own, hidden files and other kinds of files make no DAGs."""
    (tmp_path / "examples").mkdir()
    for name in ("a.yaml", "b.yml", "c.yaml.bak", ".d.yaml", "README.md", "examples/e.yaml"):
        write(tmp_path, name, MINIMAL.format(cluster=name[0]))
    (tmp_path / "folder.yaml").mkdir()
    assert [path.name for path in policy_files(tmp_path)] == ["a.yaml", "b.yml"]


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    """Kubernetes mounts each file of a ConfigMap as a link."""
    (tmp_path / "..data").mkdir()
    write(tmp_path, "..data/a.yaml", MINIMAL.format(cluster="shop"))
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert [policy.cluster for policy in load_policies(tmp_path).policies] == ["shop"]


def test_two_files_for_one_cluster_are_both_refused(tmp_path: Path) -> None:
    """Each names the other; case makes no difference, other mistakes are told too, and other clusters load."""
    one = write(tmp_path, "one.yaml", "# first\n" + MINIMAL.format(cluster="Shop"))
    two = write(tmp_path, "two.yaml", MINIMAL.format(cluster="shop") + "rulez: []\n")
    other = write(tmp_path, "other.yaml", MINIMAL.format(cluster="market"))
    found = load_files([one, two, other])
    assert isinstance(found[other], Policy)
    first, second = found[one], found[two]
    assert isinstance(first, InvalidPolicy)
    assert isinstance(second, InvalidPolicy)
    (mistake,) = first.mistakes
    assert (mistake.file, mistake.line, mistake.column) == (str(one), 2, 10)
    assert mistake.found == f"`Shop`, which {two} claims too"
    assert mistake.expected == "one policy file for each cluster"
    assert [mistake.where for mistake in second.mistakes] == ["cluster", "rulez"]
    assert str(one) in second.mistakes[0].found
    assert [policy.cluster for policy in load_policies(tmp_path).policies] == ["market"]
    with pytest.raises(InvalidPolicy, match="claims too"):
        find_policy(tmp_path, "shop")


def test_one_cluster_is_found_whatever_is_wrong_with_the_others(tmp_path: Path) -> None:
    """A task for one cluster needs that cluster's file only."""
    write(tmp_path, "a.yaml", MINIMAL.format(cluster="shop"))
    write(tmp_path, "b.yaml", "cluster: market\nrules: {")
    assert find_policy(tmp_path, "shop").cluster == "shop"
    with pytest.raises(InvalidPolicy):
        find_policy(tmp_path, "market")


def test_a_cluster_without_a_policy_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    """The error names the clusters that there are, and the likeliest of them."""
    write(tmp_path, "a.yaml", MINIMAL.format(cluster="shop-prod"))
    with pytest.raises(BadInput, match=r"expected one of shop-prod\. Did you mean `shop-prod`\?"):
        find_policy(tmp_path, "shop_prod")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """No folder is a mistake of whoever named it; an empty folder has no policies."""
    with pytest.raises(BadInput, match="no such folder"):
        load_policies(tmp_path / "missing")
    assert load_policies(tmp_path).policies == ()


def test_the_folder_of_policies_has_the_incidents_cluster_only() -> None:
    """A new user gets one DAG, for the server that the demo starts."""
    folder = load_policies(POLICIES)
    assert folder.problems == ()
    (policy,) = folder.policies
    assert policy.cluster == "luckyus-isales-market"
    assert [(rule.pattern.text, rule.ttl_s // 86_400, rule.mode, rule.priority) for rule in policy.rules] == [
        ("MARKETING:COUPON:UNREAD:{userId}", 60, Mode.SET, Priority.P1),
        ("contact:userGroupLabel:set:{groupId}", 30, Mode.SET, Priority.P1),
        ("exchange:coupon:high:commodity:price:{id}", 7, Mode.SET, Priority.P2),
        ("contact:last:activity:{contactId}", 90, Mode.CAP, Priority.P2),
    ]
    assert policy.scaling_cost == ScalingCost(135.0, "next node size")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_right(path: Path) -> None:
    """The examples that people copy load without a mistake."""
    assert load_policy(path).cluster


def test_the_examples_cover_what_people_ask_for() -> None:
    """There is one for each common kind of deployment."""
    assert [path.stem for path in EXAMPLES] == ["elasticache", "many-databases", "minimal", "redis-cluster"]


@pytest.mark.parametrize("text", DOCUMENTED, ids=range(len(DOCUMENTED)))
def test_every_example_of_the_documentation_is_right(text: str) -> None:
    """What the reference shows can be copied."""
    assert parse_policy(text, "docs/policy.md").cluster


def test_the_documentation_has_examples() -> None:
    """They are found where this file looks for them."""
    assert len(DOCUMENTED) >= 2


def test_the_table_of_patterns_is_true() -> None:
    """Each row of the reference says which names its pattern matches and which it doesn't."""
    text = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
    table = text.split("| pattern | matches | doesn't match |")[1].split("\n\n")[0]
    rows = [re.findall(r"`([^`]*)`", row) for row in table.splitlines() if "`" in row]
    columns = [row.split(" | ") for row in table.splitlines() if "`" in row]
    assert len(rows) >= 5
    for names, (_, matching, _) in zip(rows, columns, strict=True):
        for name in names[1:]:
            assert KeyPattern(names[0]).matches(name) is (f"`{name}`" in matching), (names[0], name)


def test_every_key_is_documented() -> None:
    """The reference names each key that a policy may have."""
    from redis_ttl.adapters.policy_files.shape import known_keys

    text = (ROOT / "docs/policy.md").read_text(encoding="utf-8")
    entries: tuple[str, ...] = ("owner", "memory", "no_ttl", "scaling_cost", "audit", "rules", "exempt", "sign_off")
    entries += ("remediation", "canary", "guards", "cold", "watch", "burst", "jobs", "messages", "fallback")
    for key in [*known_keys(("x",)), *(key for entry in entries for key in known_keys((entry, "x")))]:
        assert re.search(rf"`([a-z_]*\.)?{key}[`.]", text), key


def test_a_file_with_very_many_mistakes_stops_at_fifty() -> None:
    """A file of the largest size that is nothing but mistakes is answered quickly, and says that there are more."""
    text = "".join(f"unknown_key_{number}: 1\n" for number in range(40_000))
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(text, "f")
    assert len(caught.value.mistakes) == 51
    assert sum(mistake.found == "more mistakes than are shown" for mistake in caught.value.mistakes) == 1


def test_more_rules_than_can_be_compared_are_refused() -> None:
    """Beyond the limit nothing is compared, and the number is told."""
    rules = "".join(f'  - {{pattern: "a:{{x}}:{number}", ttl: 1d}}\n' for number in range(MAX_ENTRIES + 1))
    with pytest.raises(InvalidPolicy, match="found 501 entries; expected at most 500"):
        parse_policy(MINIMAL.format(cluster="shop") + "rules:\n" + rules, "f")


@pytest.mark.parametrize("shape", ["n", "hex", "token", "java", "date", "bytes", "email", "jwt"])
def test_no_patterns_keep_the_parser_busy(shape: str) -> None:
    """Patterns of many placeholders that take each other's text are compared, or refused in a sentence; either within the limit."""
    dense = "a:" + "0".join([f"{{{shape}}}"] * 32)
    texts = [*(f"{dense}x{number}" for number in range(40)), "a:" + "0" * 1000, f"{'a:' + '{n}0' * 10}"]
    rules = "".join(f'  - {{pattern: "{text}", ttl: 1d}}\n' for text in texts)
    mistakes: tuple[PolicyMistake, ...] = ()
    try:
        parse_policy(MINIMAL.format(cluster="shop") + "rules:\n" + rules, "f")
    except InvalidPolicy as error:
        mistakes = error.mistakes
    assert all("to be compared" in each.found or "hidden" in each.found for each in mistakes), mistakes


def test_patterns_that_take_too_long_to_tell_apart_are_a_mistake() -> None:
    """A policy whose patterns can't be compared within the limit is refused at the rule where that was seen."""
    shapes = itertools.product(["{n}", "{hex}", "{token}", "{uuid}", "{jwt}"], repeat=4)
    patterns = ["a:" + "0".join([*row, *["{date}"] * 28]) for row in itertools.islice(shapes, MAX_ENTRIES)]
    rules = "".join(f'  - {{pattern: "{pattern}", ttl: 1d}}\n' for pattern in patterns)
    with pytest.raises(InvalidPolicy, match=r"too much like the entries above.*within 2,000,000 steps"):
        parse_policy(MINIMAL.format(cluster="shop") + "rules:\n" + rules, "f")


def test_five_hundred_ordinary_rules_take_a_fraction_of_the_limit() -> None:
    """The largest policy with patterns as people write them is far from the limit of comparing."""
    words = ("user", "order", "cart", "coupon", "session", "profile", "item", "store", "lock", "rate")
    patterns = [KeyPattern(f"app:{{id}}:{words[number % 10]}{number}:{{n}}:{{uuid}}") for number in range(MAX_ENTRIES)]
    effort = Effort(MAX_EFFORT // 4)
    assert not any(one.covers(two, effort) for number, two in enumerate(patterns) for one in patterns[:number])


def test_many_names_that_nobody_has_are_told_at_once() -> None:
    """A file of the largest size full of teams, addresses and approvers that don't fit ends with its first fifty mistakes."""
    emails = ", ".join(f"a{number}@b.co" for number in range(20_000))
    owners = "".join(f"  - {{team: {'team' * 20}{number}, email: [a@b.co]}}\n" for number in range(2_000))
    rules = "".join(f"  - {{pattern: 'a{n}:{{x}}', ttl: 1d, owner: {'taem' * 20}{n}}}\n" for n in range(2_000))
    text = MINIMAL.format(cluster="shop") + f"owners:\n{owners}  - {{team: t, email: [{emails}]}}\nrules:\n{rules}"
    with pytest.raises(InvalidPolicy) as caught:
        parse_policy(text, "f")
    assert len(caught.value.mistakes) == 51
    huge = f"remediation: {{approvers: [a], approvals: {'9' * 5000}}}\n"
    with pytest.raises(InvalidPolicy, match="approvals"):
        parse_policy(MINIMAL.format(cluster="shop") + huge, "f")


def test_a_rule_that_is_only_partly_hidden_is_right() -> None:
    """Overlapping rules are allowed: which of them decides is a matter of their order."""
    rules = 'rules:\n  - {pattern: "a:b:{x}", ttl: 1d}\n  - {pattern: "a:{x}:{y}", ttl: 2d}\n'
    policy = parse_policy(MINIMAL.format(cluster="shop") + rules, "f")
    assert [rule.ttl_s for rule in policy.rules] == [86_400, 172_800]


pieces = st.one_of(
    st.sampled_from(["\n", "  ", "- ", ": ", "{", "}", "[", "]", '"', "'", "&a ", "*a", "!!x ", "#", "%", "\t"]),
    st.text(),
)


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(FULL)), st.integers(0, 12), pieces)
def test_a_damaged_file_is_a_policy_or_a_list_of_mistakes(at: int, length: int, piece: str) -> None:
    """Whatever is cut out of a file or typed into it, the answer is one of the two, and every mistake has its place."""
    damaged = FULL[:at] + piece + FULL[at + length :]
    try:
        parse_policy(decode(damaged.encode("utf-8", "replace"), "f"), "f")
    except InvalidPolicy as error:
        problem = error
    else:
        return
    lines = LINE_BREAK.split(damaged.removeprefix("\ufeff"))
    assert problem.mistakes
    assert all(mistake.line <= len(lines) + 1 and mistake.column >= 1 for mistake in problem.mistakes)
    assert str(problem)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_a_list_of_mistakes(content: bytes) -> None:
    """A file of anything at all is answered in the same way."""
    with pytest.raises(InvalidPolicy):
        parse_policy(decode(content, "f"), "f")


@pytest.mark.parametrize(("written", "meant"), [("all", "all"), ("3", (3,)), ("0,3", (0, 3)), ("'3, 0'", (0, 3))])
def test_databases_are_written_as_in_the_terminal(tmp_path: Path, written: str, meant: object) -> None:
    """A policy names databases in the words of ``--db`` and of the trigger form."""
    path = tmp_path / "one.yaml"
    path.write_text(f"cluster: one\nconnection: r\nowner: {{team: t}}\naudit:\n  db: {written}\n")
    assert load_policy(path).audit.databases == meant


def test_a_link_that_leads_nowhere_is_a_mistake(tmp_path: Path) -> None:
    """A policy file that can't be read is told about, not passed over: its cluster would vanish without a word."""
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    assert len(load_policies(tmp_path).problems) == 1


def test_what_a_remediation_may_do() -> None:
    """Every key of ``remediation`` becomes the setting that it names, in seconds, fractions and bytes."""
    text = """remediation:
  audit_age: 6h
  rate: 5000/s
  load: fast
  max_keys: 1_000_000
  rule_max_percent: 20%
  tolerance: 5%
  approvals: 2
  approvers: [ann, bob]
  approval_timeout: 2h
  approval_valid: 8h
  undo_window: 3d
  canary: {percent: 2%, keys: 50, watch: none}
  guards: {memory: 92%, evicted_keys: 1.5/s, latency: 3x, replica_lag_bytes: 16MB, replica_lag: 4s,
           expire_cap_hits: 0/s, patience: 1m}
rules:
  - {pattern: "a:{x}", ttl: 30d, cold: {idle: 7d, freq: 5}, max_keys: 10}
  - {pattern: "b:{x}", ttl: 30d}
"""
    policy = parse_policy(MINIMAL.format(cluster="shop") + text, "f")
    assert policy.remediation == RemediationSettings(
        audit_age_s=6 * 3600,
        rate="5000/s",
        load="fast",
        run_caps=Caps(1_000_000, 0.5),
        rule_caps=Caps(3_000_000, 0.2),
        tolerance_ratio=0.05,
        approvals=2,
        approvers=("ann", "bob"),
        approval_timeout_s=2 * 3600,
        approval_valid_s=8 * 3600,
        undo_window_s=3 * 86_400,
        canary=CanarySettings(0.02, 50, 0),
        guards=GuardSettings(0.92, 1.5, 3.0, 16 * 1024 * 1024, 4, 0.0, 60),
    )
    assert [(rule.cold, rule.caps) for rule in policy.rules] == [(Cold(7 * 86_400, 5), Caps(10, 0.2)), (None, None)]


def test_guards_can_be_left_out_by_name() -> None:
    """``unguarded`` takes a guard away and leaves its bound at the default; latency, and how long a pause lasts, can't be left out."""
    text = """
remediation:
  guards: {memory: unguarded, evicted_keys: unguarded, replica_lag: unguarded, replicas: unguarded, errors: unguarded, patience: 1m}
"""
    guards = parse_policy(MINIMAL.format(cluster="shop") + text, "f").remediation.guards
    left_out = ("errors", "evicted_keys", "memory", "replica_lag", "replicas")
    assert guards == GuardSettings(patience_s=60, unguarded=left_out)
    for wrong in ("latency: unguarded", "patience: unguarded", "replicas: 2", "memory: unguraded", "misses: no"):
        with pytest.raises(InvalidPolicy, match="expected"):
            parse_policy(MINIMAL.format(cluster="shop") + f"\nremediation:\n  guards: {{{wrong}}}\n", "f")


def test_a_policy_that_says_nothing_of_remediation() -> None:
    """The defaults of the domain are those of the file."""
    assert parse_policy(MINIMAL.format(cluster="shop"), "f").remediation == RemediationSettings()


def test_a_policy_that_says_all_of_the_watch() -> None:
    """The schedule, the retention, what is no burst, the jobs, and a limit for a server without maxmemory."""
    text = """\
memory: {limit: 2GB}
watch:
  schedule: "*/10 * * * *"
  retention: 7d
  burst: {keys: "50,000", bytes: 16MB, no_ttl_keys: 1000, percent: 1%}
  jobs:
    - {name: campaign, schedule: "57 21 * * *", takes: 20m}
"""
    policy = parse_policy(MINIMAL.format(cluster="shop") + text, "f")
    assert policy.memory.limit_bytes == 2 * 2**30
    assert policy.watch == WatchSettings(
        "*/10 * * * *", 7, 50_000, 16 * 2**20, 1_000, 0.01, (Job("campaign", "57 21 * * *", 20),)
    )
    assert parse_policy(MINIMAL.format(cluster="shop"), "f").watch == WatchSettings()


def test_who_hears_of_what() -> None:
    """Further teams with their own addresses, rules that name one, and what messages are sent over."""
    policy = parse_policy(
        """\
cluster: shop
connection: redis
owner: {team: shop, slack: "#shop", quiet_hours: 22:00-08:00, timezone: Asia/Shanghai}
owners:
  - {team: cart, slack_webhook: slack_cart, email: [cart@example.com], languages: [zh]}
messages:
  slack_connection: slack_bot
  smtp_connection: smtp_default
  fallback: {team: sre, email: [sre@example.com]}
  deadline: 10d
  remind_after: 3d
  summary_at: 08:30
  redact_keys: yes
rules:
  - {pattern: "cart:{id}", ttl: 7d, owner: cart}
  - {pattern: "shop:{id}", ttl: 7d}
""",
        "f",
    )
    cart, shop = policy.rules
    assert policy.owner_of(cart) == Owner(
        "cart", slack_webhook="slack_cart", email=("cart@example.com",), languages=(Language.CHINESE,)
    )
    assert policy.owner_of(shop) == policy.owner_of(None) == policy.owner
    assert policy.owner.quiet_hours == QuietHours(dt.time(22), dt.time(8))
    assert (policy.timezone_of(policy.owner), policy.timezone_of(policy.owner_of(cart))) == ("Asia/Shanghai", "UTC")
    assert policy.messages == MessageSettings(
        "slack_bot",
        "smtp_default",
        Owner("sre", email=("sre@example.com",)),
        864_000,
        259_200,
        dt.time(8, 30),
        redacts_keys=True,
    )
