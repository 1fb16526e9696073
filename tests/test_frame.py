"""The frame around the code: what its files promise one another."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from redis.exceptions import NoPermissionError

import redis_ttl
from lab.servers.server import Server

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "plugins" / "redis_ttl"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "astro").glob("*.md")])
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

_CODE_BLOCK = re.compile(r"^```.*?^```|^ {4}.*?$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def requirements(name: str) -> list[Requirement]:
    """The requirements of a file and of the files that it includes."""
    found: list[Requirement] = []
    for line in (ROOT / name).read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            found += requirements(text.removeprefix("-r ").strip())
        elif text:
            found.append(Requirement(text))
    return found


def anchors(page: Path) -> set[str]:
    """The names by which links may point into a page: its headings, as they are spelt in links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+?)\s*$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def imported_modules(file: Path) -> set[str]:
    """The top-level names of everything that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_commands_of_pages(page: Path) -> None:
    """Every `make` command that a page names is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^ {4}|`|\$ )make ([a-z-]+)", page.read_text(), flags=re.MULTILINE))
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_pages(page: Path) -> None:
    """Every link of a page into the project leads to a file that is there, and to a heading of it where it names one."""
    for link in _LINK.findall(_CODE_BLOCK.sub("", page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def test_constraints_pin_every_requirement() -> None:
    """The lock has one version of each direct requirement, within the bounds that the requirement sets."""
    pins = {canonicalize_name(pin.name): pin for pin in requirements("constraints.txt")}
    for wanted in requirements("constraints.in"):
        [pinned] = pins[canonicalize_name(wanted.name)].specifier
        assert pinned.operator == "=="
        assert wanted.specifier.contains(pinned.version), f"{wanted} is locked to {pinned.version}"


def test_constraints_name_no_index() -> None:
    """The lock says what to install and never from where."""
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert "--" not in text


def test_package_and_requirements_agree() -> None:
    """The package with its Airflow extra needs exactly what requirements.txt lists, except the test runner."""
    project = PYPROJECT["project"]
    packaged = {
        str(Requirement(text)) for text in project["dependencies"] + project["optional-dependencies"]["airflow"]
    }
    listed = {str(wanted) for wanted in requirements("requirements.txt") if wanted.name != "pytest"}
    assert packaged == listed


def test_changelog_has_the_version() -> None:
    """The changelog has a section for the version that the package says it is."""
    assert f"## {redis_ttl.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_domain_needs_the_standard_library_only() -> None:
    """The domain imports the standard library and itself, nothing else. import-linter can forbid libraries only by their names."""
    for file in (PACKAGE / "domain").rglob("*.py"):
        assert imported_modules(file) - {"redis_ttl"} <= sys.stdlib_module_names, file


def test_no_module_is_named_like_a_library() -> None:
    """No module has the name of a library that the project imports: under a plugins folder without its ignore list it would replace it."""
    files = list(PACKAGE.rglob("*.py"))
    imported = set().union(*map(imported_modules, files)) - sys.stdlib_module_names
    assert not {file.stem for file in files} & imported


def test_airflow_does_not_run_the_package_as_plugins() -> None:
    """The plugins folder's ignore list has the package, whose modules Airflow would execute one by one otherwise."""
    assert (ROOT / "plugins" / ".airflowignore").read_text().split() == ["redis_ttl/"]


class TestAstroProject:
    """What `astro/make-project.sh` assembles."""

    @staticmethod
    def make(folder: Path) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return subprocess.run([ROOT / "astro" / "make-project.sh", folder], capture_output=True, text=True, check=False)

    def test_has_what_the_cli_looks_for(self, tmp_path: Path) -> None:
        """A new project has the files that the Astro CLI takes by name, the code, and no version of Airflow among its requirements."""
        project = tmp_path / "new"
        done = self.make(project)
        assert done.returncode == 0, done.stderr
        for name in [
            *("Dockerfile", "packages.txt", "requirements.txt", ".dockerignore", ".env", "airflow_settings.yaml"),
            *(".astro/config.yaml", "dags/redis_ttl_dags/audit.py", "plugins/redis_ttl_plugin.py"),
            *("plugins/redis_ttl/tasks/audit/dag.py", "include/policies", "tests"),
        ]:
            assert (project / name).exists(), name
        assert (project / "plugins" / ".airflowignore").read_text() == "redis_ttl/\n"
        names = {
            Requirement(line).name
            for line in (project / "requirements.txt").read_text().splitlines()
            if line and line[0] != "#"
        }
        assert "apache-airflow" not in names
        assert {"apache-airflow-providers-redis", "polars", "redis"} <= names
        assert not list(project.rglob("__pycache__"))

    def test_keeps_what_is_the_users_and_replaces_what_is_ours(self, tmp_path: Path) -> None:
        """A second run keeps the user's files, renews the code, and names requirements that are missing."""
        project = tmp_path / "old"
        self.make(project)
        ours = project / "plugins" / "redis_ttl" / "gone_in_this_version.py"
        ours.write_text("")
        (project / "include" / "policies" / "mine.yaml").write_text("cluster: mine\n")
        (project / "requirements.txt").write_text("polars>=1.30\n")
        (project / "plugins" / ".airflowignore").write_text("mine/\n")
        done = self.make(project)
        assert done.returncode == 0, done.stderr
        assert not ours.exists()
        assert (project / "include" / "policies" / "mine.yaml").read_text() == "cluster: mine\n"
        assert (project / "requirements.txt").read_text() == "polars>=1.30\n"
        assert "requirements.txt lacks: hiredis" in done.stdout
        assert "lacks: polars" not in done.stdout
        assert (project / "plugins" / ".airflowignore").read_text() == "mine/\nredis_ttl/\n"

    def test_refuses_a_folder_of_something_else(self, tmp_path: Path) -> None:
        """A folder with files that is no Astro project is left as it is."""
        (tmp_path / "thesis.txt").write_text("mine")
        done = self.make(tmp_path)
        assert done.returncode == 1
        assert "no Astro project" in done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_acl_line_of_the_readme(any_server: Server) -> None:
    """The user that README makes may do an audit on each kind of server, and nothing that writes."""
    [words] = re.findall(r"^ {4}ACL SETUSER redis_ttl (.+)$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    with any_server.client() as client:
        client.mset({f"user:{number}": "x" for number in range(100)})
        client.execute_command("ACL", "SETUSER", "redis_ttl", *words.split())
    try:
        url = f"redis://redis_ttl:PASSWORD@{any_server.host}:{any_server.port}/0"
        command = [sys.executable, "-m", "redis_ttl.cli.main", "audit", url, "--json"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        audit = json.loads(done.stdout)
        assert audit["no_ttl_keys"] == 100
        assert audit["warnings"] == []
        with any_server.client(username="redis_ttl", password="PASSWORD") as client, pytest.raises(NoPermissionError):
            client.delete("user:1")
    finally:
        with any_server.client() as client:
            client.acl_deluser("redis_ttl")
