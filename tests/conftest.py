"""Fixtures that every test may use: real servers, each started once for the whole run and emptied before every test
that asks for it; and a real browser.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from lab.servers.certificates import Certificates, make_certificates
from lab.servers.cluster import Cluster, run_cluster
from lab.servers.kinds import REDIS_7, REDIS_62, REDIS_82, VALKEY, ServerKind
from lab.servers.server import Server, run_server
from lab.services.object_store import RUN, ObjectStorage, is_installed
from lab.signals import ignore_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

# The same examples each time: a run that fails on somebody else's machine must fail on mine. `HYPOTHESIS_PROFILE=random` looks for new
# ones, and prints the seed of what it finds. No deadline, because a busy machine is no fault of the code. Shrinking is left to whoever
# looks into a failure (`HYPOTHESIS_PROFILE=shrink`): with a server behind each example it takes longer than a test may.
_WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
_PROFILE = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", _PROFILE, derandomize=True, database=None, phases=_WITHOUT_SHRINKING)
settings.register_profile("random", _PROFILE, phases=_WITHOUT_SHRINKING)
settings.register_profile("shrink", _PROFILE)
settings.register_profile("mutants", _PROFILE, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate))
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "steady")
settings.load_profile(PROFILE)

_KINDS = {kind.name: kind for kind in (VALKEY, REDIS_7, REDIS_62)}


def pytest_configure() -> None:
    """Under ``nohup`` go on, and start programs as from a terminal."""
    ignore_alone()


def pytest_report_header() -> str:
    """Which examples hypothesis takes, so that a failure in CI can be had again."""
    return f"hypothesis examples: {PROFILE} (HYPOTHESIS_PROFILE=steady|random|shrink)"


def _is_live(node_id: str) -> bool:
    """Whether the test of that id needs a running Airflow."""
    return "/test_live_" in node_id


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest and no other process can take a part of."""
    items.sort(key=lambda item: not _is_live(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file in one process, where they share what is started for the file, and those with Airflow in one, too:
    it takes a core, so that two at once would take the time of everything else.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            return "live" if _is_live(nodeid) else nodeid.partition("::")[0]

    return ByFile(config, log)


def require(kind: ServerKind) -> ServerKind:
    """That kind of server, or: skip the test on a developer's machine, fail it in CI, where all must be installed.

    Redis 6.2 has no wheel for Python 3.13, so that its absence there is no failure.
    """
    if kind.find() is None:
        message = f"{kind.name} is not installed: {kind.install_hint}"
        if os.environ.get("CI") == "true" and not (kind is REDIS_62 and sys.version_info >= (3, 13)):
            pytest.fail(message)
        pytest.skip(message)
    return kind


@pytest.fixture(scope="session", autouse=True)
def _no_power_fails() -> Iterator[None]:
    """Nothing waits for a disk in the test's own process: what a test leaves needn't outlive the machine. In what order things are
    synced is seen all the same, and programs that tests start do sync.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(scope="session")
def session_servers() -> Iterator[dict[str, Server]]:
    """The servers of the whole run by the name of their kind; use the fixtures below, which start them when needed."""
    servers: dict[str, Server] = {}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.__exit__(None, None, None)


@pytest.fixture
def valkey(session_servers: dict[str, Server]) -> Server:
    """An empty Valkey 9, the server that is always there."""
    return _empty(session_servers, VALKEY)


@pytest.fixture
def redis7(session_servers: dict[str, Server]) -> Server:
    """An empty Redis 7.0."""
    return _empty(session_servers, REDIS_7)


@pytest.fixture
def redis62(session_servers: dict[str, Server]) -> Server:
    """An empty Redis 6.2, which lacks EXPIRE NX and CLIENT NO-TOUCH."""
    return _empty(session_servers, REDIS_62)


@pytest.fixture
def redis82(session_servers: dict[str, Server]) -> Server:
    """An empty Redis 8.2, whose hash fields may have TTLs, and which has vector sets."""
    return _empty(session_servers, REDIS_82)


@pytest.fixture(params=list(_KINDS))
def any_server(request: pytest.FixtureRequest, session_servers: dict[str, Server]) -> Server:
    """Each kind of server in turn, empty."""
    return _empty(session_servers, _KINDS[request.param])


@pytest.fixture(scope="session")
def _valkey_cluster() -> Iterator[Cluster]:
    with run_cluster(require(VALKEY)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _redis7_cluster() -> Iterator[Cluster]:
    with run_cluster(require(REDIS_7)) as cluster:
        yield cluster


@pytest.fixture
def valkey_cluster(_valkey_cluster: Cluster) -> Cluster:
    """An empty cluster of three Valkey 9 primaries, whose cursors carry slots."""
    _valkey_cluster.flush()
    return _valkey_cluster


@pytest.fixture
def redis7_cluster(_redis7_cluster: Cluster) -> Cluster:
    """An empty cluster of three Redis 7.0 primaries, whose cursors carry none."""
    _redis7_cluster.flush()
    return _redis7_cluster


@pytest.fixture(params=["valkey_cluster", "redis7_cluster"])
def any_cluster(request: pytest.FixtureRequest) -> Cluster:
    """Each kind of three-primary cluster in turn, empty."""
    cluster: Cluster = request.getfixturevalue(request.param)
    return cluster


@pytest.fixture(scope="session")
def object_storages() -> Iterator[Callable[[str], ObjectStorage]]:
    """Starts the service behind a scheme (``s3``, ``gs``, ``abfs``) when it is first asked for; its bucket is shared by all tests."""
    with ExitStack() as stack:
        running: dict[str, ObjectStorage] = {}

        def storage(protocol: str) -> ObjectStorage:
            if not is_installed(protocol):
                message = f"no emulator of {protocol}:// (make venv; make azurite for Azure's, which needs npm)"
                if os.environ.get("CI") == "true":
                    pytest.fail(message)
                pytest.skip(message)
            if protocol not in running:
                running[protocol] = stack.enter_context(RUN[protocol]())
            return running[protocol]

        yield storage


@pytest.fixture
def s3_store(object_storages: Callable[[str], ObjectStorage]) -> ObjectStorage:
    """An S3 in another process; ``root`` is the URL of a store of this test's own, ``options`` are fsspec's, ``env`` is for processes."""
    return object_storages("s3").apart()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A private authority with a server and a client certificate."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls_redis7(certificates: Certificates) -> Iterator[Server]:
    """A Redis 7.0 that speaks TLS only."""
    with run_server(require(REDIS_7), certificates=certificates) as server:
        yield server


def _empty(servers: dict[str, Server], kind: ServerKind) -> Server:
    server = servers.get(kind.name)
    if server is None or server.process is None:
        server = Server(require(kind)).start()
        servers[kind.name] = server
    with server.client() as client:
        client.flushall()
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 0)
    return server


_BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
_BROWSER_FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of a real browser."""
    from playwright.sync_api import expect, sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium; .ci/run installs one")
        pytest.skip("no Chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_BROWSER_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1500})
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield page
        browser.close()
