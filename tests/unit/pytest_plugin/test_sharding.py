from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcheck.pytest_plugin.sharding import choose_shard


@given(st.dictionaries(st.text(min_size=1), st.floats(0, 1e6)), st.integers(1, 12))
def test_every_spec_is_in_exactly_one_shard(weights: dict[str, float], num_shards: int) -> None:
    shards = [choose_shard(weights, index, num_shards) for index in range(1, num_shards + 1)]
    assert sorted(name for shard in shards for name in shard) == sorted(weights)


@given(st.dictionaries(st.text(min_size=1), st.floats(0, 1e6), min_size=1), st.integers(1, 12))
def test_no_shard_takes_longer_than_a_fair_share_and_one_spec_more(weights: dict[str, float], num_shards: int) -> None:
    """Graham's bound of assigning one after the other to the least loaded: total / m + largest."""
    loads = [
        sum(weights[name] for name in choose_shard(weights, index, num_shards)) for index in range(1, num_shards + 1)
    ]
    assert max(loads) <= sum(weights.values()) / num_shards + max(weights.values()) + 1e-6


def test_the_longest_comes_first() -> None:
    weights = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 2.0}
    assert [choose_shard(weights, index, 2) for index in (1, 2)] == [{"b"}, {"a", "c", "d"}]


@pytest.mark.parametrize("order", [["a", "b", "c"], ["c", "b", "a"]])
def test_the_order_of_collection_does_not_matter(order: list[str]) -> None:
    assert choose_shard(dict.fromkeys(order, 1.0), 1, 3) == {"a"}
