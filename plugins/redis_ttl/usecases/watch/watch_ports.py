"""What watching needs from the outside. Adapters fulfil it; tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from redis_ttl.domain.watch.events import WritingClients
    from redis_ttl.domain.watch.sample import Sample


class SampledPattern(Protocol):
    """What random keys of one pattern looked like."""

    @property
    def keys(self) -> int: ...
    @property
    def no_ttl_keys(self) -> int: ...
    @property
    def ttls_s(self) -> Sequence[int]: ...
    @property
    def examples(self) -> Sequence[str]: ...


class WatchedRedis(Protocol):
    """One deployment, looked at without a scan."""

    def sample(self, at: str, *, limit_bytes: int | None) -> Sample: ...
    def random_patterns(self, sample: Sample, keys: int, known: Collection[str]) -> Mapping[str, SampledPattern] | None:
        """About so many random keys by their pattern; None where they can't be drawn."""

    def writing_clients(self, sample: Sample) -> Sequence[WritingClients] | None:
        """Who writes at this moment; None where that can't be asked."""

    def writing_commands(self, sample: Sample, names: Collection[str]) -> Collection[str]:
        """Of these commands those that make or enlarge keys, or may."""


class RunningJobs(Protocol):
    """What ran at that time: DAG runs, declared jobs."""

    def __call__(self, since: datetime, until: datetime) -> Sequence[str]: ...
