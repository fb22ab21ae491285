"""The tensors within a value of a spec's `input`: which there are, and the value with others in their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from archcheck.findings import Keys


@dataclass(frozen=True, slots=True)
class Leaf:
    """One tensor of an input: the way to it, its sizes, and its dtype and domain as a spec has them."""

    keys: Keys
    shape: tuple[int | str, ...]
    rest: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Return whether it holds whole numbers."""
        return str(self.rest.get("dtype", "float32")).startswith(("int", "uint"))


def tensors_in(value: Any, keys: Keys = ()) -> Iterator[Leaf]:
    """Yield the tensors of an input, or of a part of it, in order."""
    if isinstance(value, dict):
        if "shape" in value:
            yield Leaf(keys, tuple(value["shape"]), {key: item for key, item in value.items() if key != "shape"})
        elif "literal" not in value:
            for key, item in value.items():
                yield from tensors_in(item, (*keys, key))
    elif isinstance(value, list):
        if all(type(item) in (int, str) for item in value):
            yield Leaf(keys, tuple(value))
        else:
            for position, item in enumerate(value):
                yield from tensors_in(item, (*keys, position))


def with_tensor(value: Any, leaf: Leaf) -> Any:
    """Return a value with a tensor in the place that its keys lead to."""
    shape = list(leaf.shape)
    return with_part(value, leaf.keys, {"shape": shape, **leaf.rest} if leaf.rest else shape)


def with_part(value: Any, keys: Keys, part: Any) -> Any:
    """Return a value with another part in the place that `keys` leads to."""
    if not keys:
        return part
    first, *rest = keys
    if isinstance(value, dict):
        changed = with_part(value.get(first), tuple(rest), part)
        return {**value, first: changed}
    return [with_part(item, tuple(rest), part) if i == first else item for i, item in enumerate(value)]
