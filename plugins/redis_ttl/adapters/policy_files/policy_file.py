"""Policies out of policy files: one, the one of a cluster, or all of a folder. Knows nothing of YAML or Airflow.

Every DAG file goes through here at every parse and at the start of every task, so reading is quick, and a task that
works for one cluster reads one file: ``find_policy`` looks at the others' ``cluster:`` line only.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from redis_ttl.adapters.policy_files.leaves.leaf import did_you_mean
from redis_ttl.adapters.policy_files.parser import parse_policy
from redis_ttl.adapters.policy_files.text import MAX_BYTES, find_cluster_line, read_text
from redis_ttl.domain.errors import BadInput, InvalidPolicy
from redis_ttl.domain.policy.policy import Policy
from redis_ttl.domain.policy_mistake import PolicyMistake

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """What a folder of policy files holds: the policies that can be used, and what is wrong with the other files."""

    policies: tuple[Policy, ...]
    problems: tuple[InvalidPolicy, ...]


def load_policy(path: Path) -> Policy:
    """The policy of one file; ``InvalidPolicy`` with all of its mistakes when it has any."""
    return parse_policy(read_text(path), str(path))


def load_policies(folder: Path) -> PolicyFolder:
    """Every policy of the files ``*.yaml`` and ``*.yml`` directly in the folder, sorted by cluster.

    A file that can't be used doesn't keep the others from loading. ``BadInput`` when there is no such folder.
    """
    loaded = load_files(policy_files(folder)).values()
    policies = sorted((found for found in loaded if isinstance(found, Policy)), key=lambda policy: policy.cluster)
    return PolicyFolder(tuple(policies), tuple(found for found in loaded if isinstance(found, InvalidPolicy)))


def load_files(paths: Iterable[Path]) -> dict[Path, Policy | InvalidPolicy]:
    """For each file its policy, or what is wrong with it.

    When files claim the same cluster, that is a mistake in each of them: which one is meant is for people to say.
    """
    paths = list(paths)
    claims = _claims(paths)
    claimants = {path: rivals for rivals in claims.values() for path in rivals}
    return {path: _load_claim(path, claimants[path]) for path in paths}


def find_policy(folder: Path, cluster: str) -> Policy:
    """The policy of one cluster, without reading the others' rules.

    ``InvalidPolicy`` when its file has mistakes or isn't the only one, ``BadInput`` when there is none.
    """
    claims = _claims(policy_files(folder))
    claimants = claims.get(cluster.casefold())
    if claimants is None:
        known = sorted(name for (first, *_) in claims.values() if (name := read_cluster_name(first)))
        raise BadInput(
            "no policy for this cluster",
            where=str(folder),
            found=f"`{cluster}`",
            allowed=f"one of {', '.join(known)}" if known else "a policy file in this folder",
            todo=did_you_mean(cluster, known),
        )
    found = _load_claim(claimants[0], claimants)
    if isinstance(found, InvalidPolicy):
        raise found
    return found


def policy_files(folder: Path) -> list[Path]:
    """The policy files of a folder: ``*.yaml`` and ``*.yml`` directly in it that aren't hidden, by name."""
    if not folder.is_dir():
        raise BadInput("no such folder of policies", where=str(folder), todo="Make it, or name the right one")
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in (".yaml", ".yml") and not path.name.startswith(".") and not path.is_dir()
    )


def read_cluster_name(path: Path) -> str | None:
    """The name that a policy file gives its cluster, read without YAML; None where there is no such line.

    ``load_policy`` makes sure that YAML reads the same name, and says whether the file is right.
    """
    try:
        with path.open("rb") as file:
            line = find_cluster_line(file.read(MAX_BYTES))
    except OSError:
        return None
    return line.cluster if line else None


def _claims(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """The files that claim each cluster; a file that names none has a claim of its own.

    Names are compared without case: they are folders in the store, which may lie on a disk that makes no difference.
    """
    claims: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        name = read_cluster_name(path)
        claims[name.casefold() if name else f"{path}:"].append(path)
    return claims


def _load_claim(path: Path, claimants: list[Path]) -> Policy | InvalidPolicy:
    """A file's policy, if the file is right and is alone in claiming its cluster."""
    rivals = [other for other in claimants if other != path]
    try:
        policy = load_policy(path)
    except InvalidPolicy as problem:
        return InvalidPolicy(str(path), (_claimed_too(path, rivals), *problem.mistakes)) if rivals else problem
    return InvalidPolicy(str(path), (_claimed_too(path, rivals),)) if rivals else policy


def _claimed_too(path: Path, rivals: list[Path]) -> PolicyMistake:
    with path.open("rb") as file:
        line = find_cluster_line(file.read(MAX_BYTES))
    return PolicyMistake(
        file=str(path),
        line=line.number if line else 1,
        column=line.column if line else 1,
        where="cluster",
        found=f"`{line.cluster if line else ''}`, which {' and '.join(map(str, rivals))} claims too",
        expected="one policy file for each cluster",
        advice="Merge them, or remove all but one; until then none of them counts",
        source=line.text if line else None,
    )
