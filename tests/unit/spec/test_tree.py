from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcheck.spec.tree import iter_leaves, map_leaves


class Pair(NamedTuple):
    first: Any
    second: Any


LEAVES = st.none() | st.integers() | st.text(max_size=3) | st.frozensets(st.integers(), max_size=2)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.builds(Pair, inner, inner)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


def containers(tree: Any) -> Any:
    """The types of a tree's containers and the order of its keys, without its leaves."""
    if isinstance(tree, dict):
        return dict, [(key, containers(item)) for key, item in tree.items()]
    return (type(tree), [containers(item) for item in tree]) if isinstance(tree, (list, tuple)) else None


def at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


@given(TREES)
def test_the_same_leaves_make_the_same_tree(tree: Any) -> None:
    assert map_leaves(lambda leaf: leaf, tree) == tree


@given(TREES)
def test_every_leaf_is_replaced_and_every_container_stays(tree: Any) -> None:
    wrapped = map_leaves(lambda leaf: frozenset([leaf]), tree)
    assert containers(wrapped) == containers(tree)
    assert [path for path, _ in iter_leaves(wrapped)] == [path for path, _ in iter_leaves(tree)]


@given(TREES)
def test_a_path_leads_to_its_leaf(tree: Any) -> None:
    assert all(at(tree, path) is leaf for path, leaf in iter_leaves(tree))


@given(TREES)
def test_leaves_are_visited_in_the_order_in_which_they_are_listed(tree: Any) -> None:
    visited: list[Any] = []
    map_leaves(visited.append, tree)
    assert [id(leaf) for leaf in visited] == [id(leaf) for _, leaf in iter_leaves(tree)]


@given(TREES)
def test_trees_of_one_form_are_walked_side_by_side(tree: Any) -> None:
    numbers = iter(range(1000))
    numbered = map_leaves(lambda _: next(numbers), tree)
    pairs: list[tuple[Any, int]] = []
    map_leaves(lambda leaf, number: pairs.append((leaf, number)), tree, numbered)
    assert pairs == [(leaf, number) for number, (_, leaf) in enumerate(iter_leaves(tree))]


def test_a_maps_keys_keep_their_order_whatever_the_others() -> None:
    both = map_leaves(lambda a, b: a + b, {"x": 1, "a": 2}, {"a": 20, "x": 10})
    assert list(both.items()) == [("x", 11), ("a", 22)]


@pytest.mark.parametrize("other", [{"x": 1}, {"x": 1, "b": 2}, {"x": 1, "a": 2, "b": 3}])
def test_trees_with_other_keys_are_refused(other: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"expected the keys \['x', 'a'\] in every tree"):
        map_leaves(max, {"x": 1, "a": 2}, other)


@pytest.mark.parametrize("other", [[1], [1, 2, 3]])
def test_trees_of_another_length_are_refused(other: list[int]) -> None:
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is (shorter|longer) than argument 1"):
        map_leaves(max, [1, 2], other)


def test_any_mapping_becomes_a_dict() -> None:
    for mapping in (OrderedDict(x=[1]), MappingProxyType({"x": [1]})):
        assert map_leaves(str, mapping) == {"x": ["1"]}
        assert list(iter_leaves(mapping)) == [(("x", 0), 1)]


def test_paths_begin_where_the_tree_is() -> None:
    assert list(iter_leaves((5, {"a": 6}), ("input",))) == [(("input", 0), 5), (("input", 1, "a"), 6)]
