"""``redis-ttl message preview`` from the documents of a real audit of the incident's keyspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.checkout import ROOT
from lab.servers.server import Server
from redis_ttl.adapters.connection.endpoint import endpoint_from_url
from redis_ttl.adapters.incident.writer import write_keyspace
from redis_ttl.adapters.policy_files.policy_file import load_policy
from redis_ttl.cli.main import main
from redis_ttl.domain.incident.families import FAMILIES
from redis_ttl.domain.incident.incident import expected_patterns, scaled
from redis_ttl.domain.messages.kind import MessageKind
from tests.tasks.approval_case import ClusterAudit

POLICY = ROOT / "include" / "policies" / "luckyus-isales-market.yaml"
KEYS = 60_000


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """The command."""
    monkeypatch.setattr("sys.argv", ["redis-ttl", "message", "preview", "action_required", *arguments])
    main()


def test_the_incidents_message_from_an_audit(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its figures are the audit's, in each format and both languages; the page goes into a file."""
    shares = scaled(FAMILIES, KEYS)
    write_keyspace(endpoint_from_url(valkey.url), shares, seed=1, on_progress=lambda _: None)
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "volatile-lfu")
    audit_id = "20260212T140000Z-0a1b2c"
    ClusterAudit(valkey.url, tmp_path, policy=load_policy(POLICY), audit_id=audit_id).run()
    expected = expected_patterns(shares)
    figures = [
        f"{each.no_ttl_keys or each.keys:,}"
        for name, each in expected.items()
        if name.startswith(("MARKETING", "contact:user"))
    ]
    places = ("--store", str(tmp_path), "--policy", str(POLICY), "--language", "both")
    page = tmp_path / "mail.html"
    for form in ("slack", "email", "markdown"):
        with pytest.raises(SystemExit) as ended:
            run(monkeypatch, *places, "--format", form, "--html", str(page))
        assert ended.value.code in (0, None)
        text = capsys.readouterr().out
        assert all(figure in text for figure in (*figures, "volatile-lfu", "60 days", "60 天"))
        if form == "slack":
            assert set(json.loads(text)) == {"text", "blocks"}
    assert "<html" in page.read_text()


def test_without_an_audit_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message and exit status 2."""
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "--store", str(tmp_path), "--policy", str(POLICY))
    assert ended.value.code == 2
    assert "no source document for action_required" in capsys.readouterr().err


@pytest.mark.parametrize("kind", MessageKind)
def test_an_example_needs_no_documents(
    kind: MessageKind, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every kind can be looked at before anything has happened."""
    monkeypatch.setattr("sys.argv", ["redis-ttl", "message", "preview", kind.value, "--example", "--language", "both"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    assert "luckyus-isales-market" in capsys.readouterr().out


def test_documents_need_a_store_and_a_policy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are asked for, with the way to do without."""
    monkeypatch.delenv("REDIS_TTL_STORE", raising=False)
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "no --store and no --policy" in error
    assert "--example" in error


def test_a_bucket_is_no_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The store that Airflow has may be one; it isn't taken for an empty folder."""
    monkeypatch.setenv("REDIS_TTL_STORE", "s3://aws_default@bucket/redis_ttl")
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "--policy", str(POLICY))
    assert ended.value.code == 2
    assert "the terminal reads documents from a folder only" in capsys.readouterr().err
