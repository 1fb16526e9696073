"""``redis-ttl policy check`` says what a policy would match, or all that is wrong, and its exit status says which."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from redis_ttl.cli.policy import app

WRONG = Path(__file__).parents[1] / "adapters" / "policy_files" / "wrong_policies"

GOOD = """\
cluster: shop
connection: redis_shop
owner: {team: shop-backend}
owners:
  - {team: till, slack: "#till", email: [till@example.com]}
  - {team: coupons, slack_webhook: slack_coupons}
messages: {slack_connection: slack_bot, smtp_connection: mail, fallback: {team: sre, slack: "#sre"}}
audit: {schedule: none, load: fast}
rules:
  - pattern: "cart:{userId}:coupon"
    ttl: 60d
    priority: P1
    sign_off: {by: Ann, on: 2026-02-20, ref: SHOP-7}
  - pattern: "cart:{userId}:{item}"
    ttl: 1d12h
    mode: cap
    jitter: 0%
exempt:
  - pattern: "cart:{userId}:{n}"
    reason: "numbers are [red]kept[/red]"
"""

SUMMARY = """\
{file}: shop
  owner shop-backend, connection redis_shop
  audited manually, load fast
  messages to shop-backend go to #sre by slack_bot (sre, the fallback)
  messages to till go to #till by slack_bot, till@example.com by mail
  messages to coupons go to a webhook by slack_coupons

  exempt  cart:{{userId}}:{{n}}
          numbers are [red]kept[/red]
          matches        cart:20931:20931
          doesn't match  cart:20931:20931:more

  rule 1  cart:{{userId}}:coupon
          set: keys without a TTL get 60d plus up to 6d; priority P1
          signed off by Ann on 2026-02-20 (SHOP-7)
          matches        cart:20931:coupon
          doesn't match  cart:20931:coupon:more

  rule 2  cart:{{userId}}:{{item}}
          cap: keys without a TTL or with more than 1d12h get 1d12h; priority P2
          not signed off: reported, never applied
          matches        cart:20931:20931
          doesn't match  cart:20931:20931:more
          may overlap with exempt cart:{{userId}}:{{n}}, which comes first
          may overlap with rule 1 cart:{{userId}}:coupon, which comes first

1 file, no mistakes.
"""


def run(*arguments: str | Path) -> tuple[int, str]:
    """Exit status and output of ``policy check``."""
    result = CliRunner().invoke(app, ["check", *map(str, arguments)], env={"COLUMNS": "60"})
    return result.exit_code, result.output


def test_a_right_file_is_summarised(tmp_path: Path) -> None:
    """Each rule is shown with what it does, a name that it matches and one that it doesn't; nothing is wrapped."""
    file = tmp_path / "shop.yaml"
    file.write_text(GOOD, encoding="utf-8")
    assert run(file) == (0, SUMMARY.format(file=file))


def test_a_policy_without_rules_says_so(tmp_path: Path) -> None:
    """Nothing to match is worth a line."""
    file = tmp_path / "shop.yaml"
    file.write_text(GOOD.partition("rules:")[0], encoding="utf-8")
    status, output = run(file)
    assert status == 0
    assert "no rules: audits report, nothing is ever written" in output


def test_every_mistake_of_every_file_is_printed(tmp_path: Path) -> None:
    """Right files are summarised between wrong ones, mistakes are counted, and the status is 1."""
    good = tmp_path / "good.yaml"
    good.write_text(GOOD.replace("cluster: shop", "cluster: market"), encoding="utf-8")
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD.replace("60d", "60").replace("0%", "0"), encoding="utf-8")
    status, output = run(WRONG / "many_mistakes.yaml", good, bad)
    assert status == 1
    assert "many_mistakes.yaml:6:16: memory.warn: found `60`; expected a percentage" in output
    assert f"{bad}:11:10: rules[0].ttl: found `60`; expected a duration with a unit" in output
    assert f"{bad}:17:13: rules[1].jitter: found `0`; expected a percentage" in output
    assert "rule 2  cart:{userId}:{item}" in output
    assert output.endswith("13 mistakes in 2 of 3 files.\n")


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    """A folder and a file of it together are no two files for one cluster."""
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.yml").write_text(GOOD.replace("cluster: shop", "cluster: market"), encoding="utf-8")
    status, output = run(tmp_path, tmp_path / "a.yaml")
    assert status == 0
    assert output.endswith("2 files, no mistakes.\n")


def test_two_files_for_one_cluster_are_wrong_together(tmp_path: Path) -> None:
    """Each of them is right alone."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD, encoding="utf-8")
        assert run(tmp_path / name)[0] == 0
    status, output = run(tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert status == 1
    assert f"found `shop`, which {tmp_path / 'b.yaml'} claims too" in output


def test_a_file_that_is_not_there_is_a_wrong_command(tmp_path: Path) -> None:
    """Status 2 tells a script that nothing was checked."""
    status, output = run(tmp_path / "missing.yaml")
    assert status == 2
    assert "does not exist" in output.replace("\n", " ")


def test_an_empty_folder_has_no_mistakes(tmp_path: Path) -> None:
    """No files, nothing wrong."""
    assert run(tmp_path) == (0, "0 files, no mistakes.\n")


def test_any_text_in_a_file_is_shown_as_it_is() -> None:
    """Broken bytes and long lines don't break the report."""
    for name in ("latin_1.yaml", "deep_nesting.yaml", "chinese_before_the_mistake.yaml"):
        status, output = run(WRONG / name)
        assert status == 1
        assert "1 mistake in 1 of 1 file." in output
