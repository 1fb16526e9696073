from __future__ import annotations

import pytest

from redis_ttl.domain.errors import BadInput
from redis_ttl.tasks.pools import refuse_missing_pools


@pytest.mark.parametrize("conf", [None, {}, {"load": "fast"}, {"missing_pools": []}])
def test_a_run_whose_pools_exist_goes_on(conf: dict[str, object] | None) -> None:
    """Without a missing pool in the run's configuration nothing is refused."""
    refuse_missing_pools(conf, "market")
    with pytest.raises(BadInput):
        refuse_missing_pools({**(conf or {}), "missing_pools": ["redis_one"]}, "market")


def test_a_missing_pool_is_named_with_what_to_do() -> None:
    """The error names the cluster, the pool, and both ways out."""
    with pytest.raises(BadInput) as caught:
        refuse_missing_pools({"missing_pools": ["redis_one"]}, "market")
    text = str(caught.value)
    assert text.startswith("policy of market: ")
    for words in ("'redis_one'", "Admin > Pools", "out of the policy"):
        assert words in text
