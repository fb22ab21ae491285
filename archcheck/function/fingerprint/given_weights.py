"""The weights that a network gets from another one, whose record it's compared with. Plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from archcheck.spec.weight_expressions import WeightExpression

WEIGHT: Final = "weight "  # how the keys of parameters begin


@dataclass(frozen=True, slots=True)
class GivenWeights:
    """What weights are in terms of another network's.

    Attributes:
        renamed: the key in the number pool of the other's weight, by the name of the parameter that is the same.
        derived: what other parameters are computed from, by their names; its own names are those of the other network.
        sources: by the other's name, key and shape of what they are computed from.
        ordered: by group of keys, those of the other's weights that are neither, in the order of their first use:
            parameters that are neither get one after another.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, WeightExpression] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    ordered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class KeySupply:
    """Hands out the keys of numbers in the order in which tensors are first used, or those of another network's.

    Args:
        given: the weights that a network gets from another one; `named` has the keys of those that are renamed only,
            by identity.
    """

    def __init__(self, given: GivenWeights | None = None, named: Mapping[int, str] | None = None) -> None:
        self._given, self._named = given, named or {}
        self._counts: dict[str, int] = {}

    def take(self, identity: int, group: str) -> str:
        """Return the key for a tensor, the next of its group."""
        if identity in self._named:
            return self._named[identity]
        number = self._counts[group] = self._counts.get(group, -1) + 1
        if self._given is None or not group.startswith(WEIGHT):
            return f"{group} {number}"
        keys = self._given.ordered.get(group, ())
        return keys[number] if number < len(keys) else f"{group} +{number - len(keys)}"  # which the other hasn't


def group_of(key: str) -> str:
    """Return the group of a key in the number pool: what the tensor is, and its sizes, without its place in them."""
    return key.rpartition(" ")[0]


def keys_by_group(keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return keys in their order, by group."""
    found: dict[str, tuple[str, ...]] = {}
    for key in keys:
        found[group_of(key)] = (*found.get(group_of(key), ()), key)
    return found
