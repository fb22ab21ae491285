"""The walk over nested inputs and outputs: leaves in maps, lists and tuples.

A map is any `Mapping`; everything else that is no list and no tuple is a leaf: a tensor, a pattern, a number, None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from archcheck.findings import Keys


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Return a tree of the same form with `function(leaf, *leaves of the others)` in the place of every leaf.

    Lists, tuples and named tuples keep their types; a map becomes a dict with the same keys in the same order. The
    leaves are visited in that order. `others` are trees of the same form, whose maps may have another order.

    Raises:
        ValueError: one of `others` has other keys, or another number of items.
    """
    if isinstance(tree, Mapping):
        if any(other.keys() != tree.keys() for other in others):
            raise ValueError(f"expected the keys {list(tree)} in every tree")
        return {key: map_leaves(function, item, *(other[key] for other in others)) for key, item in tree.items()}
    if not isinstance(tree, (list, tuple)):
        return function(tree, *others)
    items = [map_leaves(function, *parts) for parts in zip(tree, *others, strict=True)]
    return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)


def iter_leaves(tree: Any, path: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Yield every leaf with the way to it, in the tree's own order; `path` leads to the tree itself."""
    if isinstance(tree, Mapping):
        for key, item in tree.items():
            yield from iter_leaves(item, (*path, key))
    elif isinstance(tree, (list, tuple)):
        for position, item in enumerate(tree):
            yield from iter_leaves(item, (*path, position))
    else:
        yield path, tree
