"""``redis-ttl audit`` as its user meets it: what is printed, and which status it ends with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lab.loopback import free_port
from lab.servers.kinds import VALKEY
from lab.servers.server import Server, run_server
from lab.waiting import wait_for
from redis_ttl.cli.main import main

PLUGINS = Path(__file__).parents[3] / "plugins"
POLICY = Path(__file__).parents[3] / "include/policies/luckyus-isales-market.yaml"


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit status of the command with these words, run in this process."""
    monkeypatch.setattr(sys, "argv", ["redis-ttl", *words])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def command(*words: str) -> list[str]:
    """The command with these words, to be run as a process."""
    return [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(PLUGINS)!r}); from redis_ttl.cli.main import main; main()",
        *words,
    ]


def fill(server: Server) -> None:
    """A small keyspace with a leak."""
    with server.client() as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(1_000):
            pipeline.set(b"MARKETING:COUPON:UNREAD:%d" % number, b"1")
            pipeline.set(b"session:%d" % number, b"1", ex=3_000)
        pipeline.set("[red]markup[/red]\n:\u202eevil", b"1")
        pipeline.execute()


def test_json_for_machines(valkey: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``--json`` prints one document on standard output with totals, server and a row for each pattern."""
    fill(valkey)
    assert run(monkeypatch, "audit", valkey.url, "--load", "fast", "--json", "--policy", str(POLICY)) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["keys"], printed["no_ttl_keys"]) == (2_001, 1_001)
    assert printed["duration_s"] > 0
    assert printed["server"]["flavour"] == "valkey"
    rows: dict[str, dict[str, Any]] = {row["pattern"]: row for row in printed["patterns"]}
    coupon = rows["MARKETING:COUPON:UNREAD:{n}"]
    assert (coupon["keys"], coupon["no_ttl_keys"], coupon["rule"]) == (1_000, 1_000, "MARKETING:COUPON:UNREAD:{userId}")
    assert rows["session:{n}"]["ttl_histogram"]["1h"] == 1_000
    assert rows["session:{n}"]["bytes"] > 0
    assert rows["session:{n}"]["examples"][0].startswith("session:")


def test_the_report_names_the_leak_and_nothing_in_it_acts(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table has the pattern, its counts and its rule; markup, line ends and marks in key names are shown, not obeyed."""
    fill(valkey)
    assert run(monkeypatch, "audit", valkey.url, "--details", "--policy", str(POLICY)) == 0
    captured = capsys.readouterr()
    assert "1,001 of 2,001 keys (50.0%) have no TTL." in captured.out
    assert "MARKETING:COUPON:UNREAD:{n}" in captured.out
    assert "[red]markup[/red]\\n:\\u202eevil" in captured.out
    assert "string" in captured.out, "--details shows types"
    assert "valkey 9" in captured.err, "the server's profile comes first, beside the progress"


def test_shards_are_scanned_in_processes_of_their_own(valkey: Server, tmp_path: Path) -> None:
    """``--shards 2`` counts the same, and ``--store`` keeps the documents."""
    with valkey.client() as client:
        client.mset({f"user:{number}": "v" for number in range(60_000)})
    words = command("audit", valkey.url, "--load", "fast", "--shards", "2", "--json", "--store", str(tmp_path))
    done = subprocess.run(words, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr.decode()
    printed = json.loads(done.stdout)
    assert (printed["keys"], printed["shards"]) == (60_000, 2)
    (report,) = tmp_path.glob("127.0.0.1_*/audits/*/report.md")
    assert "60,000 of 60,000 keys" in report.read_text()


def test_several_databases(valkey: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``--db all`` keeps databases apart, in the table too."""
    for db in (0, 2):
        with valkey.client(db=db) as client:
            client.set(f"only:in:{'zero' if db == 0 else 'two'}", "1")
    assert run(monkeypatch, "audit", valkey.url, "--db", "all") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "only:in:" in line]
    assert [row[:2] for row in rows] == [["0", "only:in:zero"], ["2", "only:in:two"]]


@pytest.mark.parametrize(
    "case",
    [
        (["redis://127.0.0.1:{free}"], 1, "Unreachable|connection failed"),
        (["http://localhost"], 2, "redis://"),
        (["redis://127.0.0.1:{port}", "--load", "brutal"], 2, "gentle, fast"),
        (["redis://127.0.0.1:{port}", "--sample", "150%"], 2, "0% to 100%"),
        (["redis://127.0.0.1:{port}", "--source", "both"], 2, "primary or replica"),
        (["redis://127.0.0.1:{port}", "--db", "minus"], 2, "all, a number, or several"),
        (["redis://127.0.0.1:{port}/99"], 1, "no such database"),
        (["redis://:wrong@127.0.0.1:{port}"], 1, "password"),
        (["rediss://127.0.0.1:{port}"], 1, "TLS"),
        (["redis://127.0.0.1:{port}", "--source", "replica"], 1, "replica"),
        (["redis://127.0.0.1:{port}", "--policy", "missing.yaml"], 2, r"missing\.yaml"),
    ],
)
def test_what_goes_wrong_is_said_in_one_message(
    valkey: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: tuple[list[str], int, str],
) -> None:
    """Wrong words end with 2, a server that won't with 1; either way one message and no traceback."""
    import re

    (url, *options), status, said = case
    assert run(monkeypatch, "audit", url.format(port=valkey.port, free=free_port()), *options) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(said, captured.err), captured.err
    assert "Traceback" not in captured.err


def test_the_password_may_come_from_the_environment(
    valkey: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """REDISCLI_AUTH serves where the URL has no password, so that it needn't stand in the process list."""
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "auditor", "on", ">s3cret", "~*", "+@all")
        client.set("a", "1")
    monkeypatch.setenv("REDISCLI_AUTH", "s3cret")
    assert run(monkeypatch, "audit", valkey.url, "--username", "auditor", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["keys"] == 1
    assert "s3cret" not in captured.out + captured.err


@pytest.mark.parametrize(
    ("sign", "status", "said"),
    [
        (signal.SIGINT, 130, b"nothing on the server was changed"),
        (signal.SIGTERM, 143, b""),
        (signal.SIGHUP, 129, b""),
        (signal.SIGKILL, -9, b""),
    ],
    ids=["Ctrl-C", "kill", "terminal closed", "kill -9"],
)
def test_a_stopped_audit_stops_at_once_and_leaves_nothing(
    valkey: Server, tmp_path: Path, sign: signal.Signals, status: int, said: bytes
) -> None:
    """An audit that is stopped ends with its own status and no traceback, and its workers and temporary files go with it."""
    with valkey.client() as client:
        client.mset({f"user:{number}": "v" for number in range(50_000)})
    words = command("audit", valkey.url, "--load", "2000", "--shards", "2")
    own = {**os.environ, "TMPDIR": str(tmp_path)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    pipes |= {"env": own, "start_new_session": True}
    with subprocess.Popen(words, **pipes) as audit:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _scanning(valkey):
            time.sleep(0.1)
        audit.send_signal(sign)
        _, complaint = audit.communicate(timeout=30)
    assert audit.returncode == status
    assert said in complaint
    assert b"Traceback" not in complaint, complaint.decode()
    assert sign is signal.SIGKILL or not list(tmp_path.iterdir())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _scanning(valkey):
        time.sleep(0.1)
    assert not _scanning(valkey)


@pytest.mark.parametrize("shards", ["1", "2"])
def test_a_restart_of_the_server_is_waited_for(shards: str) -> None:
    """A server that restarts in the middle of the scan is scanned from the start; the report is of what it holds now."""
    names = {f"user:{number}": "v" for number in range(30_000)}
    with run_server(VALKEY) as server:
        with server.client() as client:
            client.mset(names)
        words = command("audit", server.url, "--load", "10000", "--shards", shards, "--json")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as audit:
            wait_for(lambda: _ttls_asked(server) > 1_000, "the scan, after the look at the server, to begin")
            server.stop()
            server.start()
            with server.client() as client:
                client.mset({**names, "new": "v"})
            report, complaint = audit.communicate(timeout=60)
    assert audit.returncode == 0, complaint.decode()
    assert json.loads(report)["keys"] == 30_001


def test_letters_that_the_locale_lacks_are_written_out(valkey: Server) -> None:
    """Where the output can't have a letter, the letter's number stands in its place, and the report isn't lost."""
    with valkey.client() as client:
        client.set("用户:name", "v")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command("audit", valkey.url), capture_output=True, env=environment, check=True, timeout=60)
    assert rb"\u7528\u6237:name" in done.stdout


def _ttls_asked(server: Server) -> int:
    with server.client() as client:
        return int(client.info("commandstats").get("cmdstat_pttl", {}).get("calls", 0))


def _scanning(server: Server) -> int:
    with server.client() as client:
        return sum(each["name"] == "redis_ttl" and each["cmd"] in ("scan", "pttl") for each in client.client_list())
