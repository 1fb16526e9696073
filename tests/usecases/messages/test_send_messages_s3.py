"""The outbox on object storage, with workers in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
from upath import UPath

from lab.checkout import ROOT
from lab.services.object_store import ObjectStorage
from lab.services.store_process import StoreSpec
from redis_ttl.adapters.store.store import Store
from redis_ttl.usecases.messages.post_message import post_message
from redis_ttl.usecases.store.messages import MessageDocuments
from tests.usecases.messaging import GROWTH, Messaging, facts

pytestmark = pytest.mark.timeout(300)  # a service and two workers have to start first

_MESSAGES, _WORKERS = 12, 2


def test_of_two_workers_on_s3_each_message_is_sent_by_one(s3_store: ObjectStorage, tmp_path: Path) -> None:
    """Two processes begin at once to send what is due: each message goes over each of its routes once, and nothing stays behind."""
    store = Store(UPath(s3_store.root, **s3_store.options))
    messaging = Messaging(tmp_path)
    for number in range(_MESSAGES):
        told = facts(f"item-{number}", owner=GROWTH, thread=f"thread-{number}")
        post_message(GROWTH, told, messaging.tools(store))
    spec = json.dumps(asdict(StoreSpec("upath", s3_store.root, s3_store.options, s3_store.env)))
    command = [sys.executable, "-m", "tests.usecases.deliver_process", spec]
    workers = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "PATH": ""},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(_WORKERS)
    ]
    try:
        for each in workers:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in workers:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        outputs = [each.communicate(timeout=200)[0].splitlines() for each in workers]
    finally:
        for each in workers:
            each.kill()
            each.wait(10)
    sent = Counter(line for output in outputs for line in output if line.startswith("sent "))
    assert len(sent) == _MESSAGES * 2, "by Slack and by mail"
    assert set(sent.values()) == {1}
    assert all(output[-1] == "done" for output in outputs)
    assert MessageDocuments(store, messaging.policy.cluster).pending() == []
