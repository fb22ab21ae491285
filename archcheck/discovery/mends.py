"""An input that was refused, changed by what the refusal tells: other sizes, dimensions, values, names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any, Final

from archcheck.discovery.hints import Hints
from archcheck.discovery.layers import Intake
from archcheck.discovery.proposals import at_sizes
from archcheck.discovery.refused_sizes import (
    index_bound,
    is_asked_by_name,
    is_too_small,
    missing_names,
    refused_kinds,
    refused_rank_changes,
    refused_ranks,
    refused_sizes,
)
from archcheck.discovery.value_tree import Leaf, tensors_in, with_part, with_tensor
from archcheck.spec.dims import BATCH, DEFAULT_BATCH_SIZES
from archcheck.spec.inputs import CONTAINERS
from archcheck.structure.records import Crash

EMPTY_MAP: Final[dict[str, Any]] = {"literal": {}}  # as a spec has it
_OF_NOTATION: Final = ("shape", "literal", *CONTAINERS)  # of an input, where they can't be names
_DTYPES: Final = {"double": "float64", "complex": "complex64"}  # of numbers that an error asks for
_MAX_SPLITS: Final = 40
_MAX_VALUES: Final = 12
_FEW_IDS: Final = 3
_LENGTH: Final = 16
_MAX_RANK: Final = 5


def mended(
    value: Any, crash: Crash, intake: Intake | None, hints: Hints, values_of: Callable[[str], Sequence[Any]]
) -> Iterator[Any]:
    """Yield an input as it may be meant where a network refused it, the likeliest change first.

    intake: what the layer takes that refused it, if it says so. values_of: what an input of a name may be.
    """
    leaves = sorted(tensors_in(value), key=lambda leaf: leaf.shape[-1:] == (3,))  # positions in space stay so
    error = crash.error
    yield from _named(value, error, values_of)
    yield from _of_other_kinds(value, leaves, error, intake)
    yield from _added_up(value, leaves, index_bound(error, intake), hints)
    for rank in refused_ranks(error):
        yield from _with_ranks(value, leaves, rank)
    for change in refused_rank_changes(error):
        yield from _with_ranks(value, leaves, change, is_relative=True)
    if is_too_small(error):
        yield from _enlarged(value, leaves)
    for actual, expected in refused_sizes(error, intake):
        yield from _with_size(value, leaves, actual, expected, hints)
    yield from _as_taken(value, leaves, intake, hints)


def alike_too(value: Any, changed: Any) -> Any:
    """Return an input with a change made to all tensors whose names differ in a number only: `image0` and `image1`."""
    before = {leaf.keys: leaf for leaf in tensors_in(value)}
    for leaf in list(tensors_in(changed)):
        old = before.get(leaf.keys)
        if old is not None and replace(leaf, keys=()) != replace(old, keys=()):
            for keys, other in before.items():
                if _stem(keys) == _stem(leaf.keys) and replace(other, keys=()) == replace(old, keys=()):
                    changed = with_tensor(changed, replace(leaf, keys=keys))
    return changed


def _stem(keys: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(key.rstrip("0123456789") if isinstance(key, str) else key for key in keys)


def without_image(value: Any, num_features: int) -> Iterator[Any]:
    """Yield the input with features in the place of an image, where an argument behind it was only lent its shape."""
    first, *others = tensors_in(value)
    for leaf in others:
        if leaf.shape == first.shape and len(leaf.shape) >= 4:
            yield with_tensor(value, replace(leaf, shape=("B", num_features)))


# ---------------------------------------------------------------------------------------------- names


def _named(value: Any, error: str, values_of: Callable[[str], Sequence[Any]]) -> Iterator[Any]:
    """Yield the input with what was looked up in a map that goes in, or with such a map in a tensor's place."""
    names = [name for name in missing_names(error) if name not in _OF_NOTATION]
    for keys, name in product(_maps_in(value) if names else (), names):
        found = _at(value, keys)
        inside = {} if found == EMPTY_MAP else found
        siblings = [item for item in inside.values() if item is not None]
        for choice in _distinct([*siblings[-1:], *values_of(name)])[:_MAX_VALUES] if name not in inside else ():
            yield with_part(value, keys, {**inside, name: choice})
    if is_asked_by_name(error):
        for leaf in tensors_in(value):
            yield [EMPTY_MAP] if not leaf.keys else with_part(value, leaf.keys, EMPTY_MAP)


def _maps_in(value: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the ways to the maps within an input, that of all arguments by name among them."""
    if isinstance(value, dict) and "shape" not in value:
        yield keys
        for key, item in value.items() if value != EMPTY_MAP else ():
            yield from _maps_in(item, (*keys, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _maps_in(item, (*keys, position))


def num_named(value: Any) -> int:
    """Return how much maps hold that go in: a name more is a step forward, though no layer was called."""
    return sum(len(_at(value, keys)) for keys in _maps_in(value) if keys and _at(value, keys) != EMPTY_MAP)


def _at(value: Any, keys: Sequence[Any]) -> Any:
    for key in keys:
        value = value[key]
    return value


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({repr(value): value for value in values}.values())


# ---------------------------------------------------------------------------------------------- values


def _of_other_kinds(value: Any, leaves: Sequence[Leaf], error: str, intake: Intake | None) -> Iterator[Any]:
    """Yield the input with whole numbers for real ones, the other way round, smaller indices, other dtypes."""
    bound = index_bound(error, intake)
    if bound:
        for leaf in leaves:
            below = leaf.rest.get("below")
            if leaf.is_whole and (type(below) is not int or below > bound):
                yield with_tensor(value, replace(leaf, rest={**leaf.rest, "below": bound}))
            elif not leaf.is_whole:  # columns of a table that hold numbers of categories
                ids = [float(number) for number in range(min(bound, _FEW_IDS))]
                yield with_tensor(value, replace(leaf, rest={"one_of": ids}))
    for kind in refused_kinds(error):
        for leaf in leaves:
            if kind == "whole" and not leaf.is_whole:
                yield from (with_tensor(value, each) for each in _as_whole_numbers(leaf, intake))
            elif kind == "real" and leaf.is_whole:
                yield with_tensor(value, replace(leaf, rest={}))
            elif kind in _DTYPES and "dtype" not in leaf.rest:
                yield with_tensor(value, replace(leaf, rest={"dtype": _DTYPES[kind]}))


def _added_up(value: Any, leaves: Sequence[Leaf], bound: int | None, hints: Hints) -> Iterator[Any]:
    """Yield indices that stay below a bound where one is made of two: an exercise, and whether it was solved."""
    whole = [leaf for leaf in leaves if leaf.is_whole]
    if bound is None or len(whole) < 2 or any(leaf.rest.get("below") not in range(bound + 1) for leaf in whole):
        return
    for below in dict.fromkeys([bound // 2, *sorted(hints.smaller_than(bound), reverse=True)[:_FEW_IDS]]):
        for either in whole:
            changed = value
            for leaf in whole:
                most = min(leaf.rest["below"], 2 if leaf is either else below)
                changed = with_tensor(changed, replace(leaf, rest={**leaf.rest, "below": most}))
            yield changed


def _as_taken(value: Any, leaves: Sequence[Leaf], intake: Intake | None, hints: Hints) -> Iterator[Any]:
    """Yield an input with what the layer takes that refused it in the place of what is of another kind."""
    for template in intake.templates[:2] if intake is not None else ():
        taken = next(tensors_in(next(at_sizes(template, None, hints))))
        for leaf in leaves:
            if len(leaf.shape) != len(taken.shape) or leaf.is_whole != taken.is_whole:
                yield with_tensor(value, replace(taken, keys=leaf.keys))


def _as_whole_numbers(leaf: Leaf, intake: Intake | None) -> Iterator[Leaf]:
    """Yield indices of a table that refused real numbers; elsewhere the number of what a vector stood for, first."""
    below = intake.size if intake is not None and "Embedding" in intake.layer else None
    if below is None and len(leaf.shape) == 2 and isinstance(leaf.shape[1], int):
        yield Leaf(leaf.keys, leaf.shape[:1], {"dtype": "int64", "below": leaf.shape[1]})
    yield replace(leaf, rest={"dtype": "int64", "below": below or 2})


# ---------------------------------------------------------------------------------------------- dimensions


def _with_ranks(value: Any, leaves: Sequence[Leaf], number: int, *, is_relative: bool = False) -> Iterator[Any]:
    """Yield the input with so many dimensions, or so many more, in one tensor after the other."""
    for leaf in leaves:
        rank = len(leaf.shape) + number if is_relative else number
        is_mask = leaf.rest.get("dtype") == "bool"  # which is tried at every rank anyway
        if is_mask or rank == len(leaf.shape) or not 0 < rank <= _MAX_RANK:
            continue
        shapes: list[tuple[int | str, ...]] = [leaf.shape]
        while shapes and len(shapes[0]) != rank:
            shapes = _distinct(
                other
                for shape in shapes
                for other in (_longer(shape, leaf.is_whole) if len(shape) < rank else _shorter(shape))
            )
        yield from (with_tensor(value, replace(leaf, shape=tuple(shape))) for shape in shapes[:_MAX_VALUES])


def _enlarged(value: Any, leaves: Sequence[Leaf]) -> Iterator[Any]:
    """Yield the input with more of it: a longer sequence, a larger image."""
    for factor in (4, 32):
        for leaf in leaves:
            sides = len(leaf.shape) - 2 if len(leaf.shape) >= 4 else 1
            for last in range(len(leaf.shape), 1, -1) if len(leaf.shape) < 4 else (len(leaf.shape),):
                shape = [
                    size * factor if last - sides <= i < last and isinstance(size, int) else size
                    for i, size in enumerate(leaf.shape)
                ]
                yield with_tensor(value, replace(leaf, shape=tuple(shape)))


def _longer(shape: Sequence[int | str], is_whole: bool) -> Iterator[tuple[int | str, ...]]:
    first, *others = shape or ["B"]
    yield (first, _LENGTH, *others) if not is_whole else (first, *others, _LENGTH)
    yield (first, *others, _LENGTH) if not is_whole else (first, _LENGTH, *others)
    yield (first, 1, *others)
    yield (first, *others, 1)
    if not is_whole:
        yield (_LENGTH, first, *others)


def _shorter(shape: tuple[int | str, ...]) -> Iterator[tuple[int | str, ...]]:
    if len(shape) > 2:
        if shape[:2] == (1, "B"):  # a state of one layer
            yield shape[1:]
        yield (shape[0], *shape[2:])
        yield (*shape[:-1],)
    elif len(shape) == 2:
        yield (shape[0],)


# ---------------------------------------------------------------------------------------------- sizes


def _with_size(value: Any, leaves: Sequence[Leaf], actual: int | None, expected: int, hints: Hints) -> Iterator[Any]:
    """Yield the input with sizes by which what came in would be what is taken."""
    if actual is not None:
        yield from _replaced(value, leaves, actual, expected)
        if actual in DEFAULT_BATCH_SIZES:
            yield from _of_several(value, leaves, expected)
        yield from _split(value, leaves, actual, expected, hints)
        yield from _scaled(value, leaves, actual, expected)
        yield from _shifted(value, leaves, expected - actual)
        if (expected - actual) % 2 == 0:  # of pairs, of which each has it once
            yield from _shifted(value, leaves, (expected - actual) // 2)
    for leaf in leaves:
        for place in _places(leaf):
            if leaf.shape[place] == expected and place != len(leaf.shape) - 1:
                yield with_tensor(value, replace(leaf, shape=_swapped(leaf.shape, place)))
    for leaf in leaves:
        for place in reversed(_places(leaf)):
            if actual is None or leaf.shape[place] != actual:
                yield with_tensor(value, _resized(leaf, place, expected))


def _of_several(value: Any, leaves: Sequence[Leaf], channels: int) -> Iterator[Any]:
    """Yield the input with two images for each example, where a layer of images got the examples as channels."""
    for leaf in leaves:
        if leaf.shape[:2] == (BATCH, channels):
            yield with_tensor(value, replace(leaf, shape=(BATCH, 2, *leaf.shape[1:])))


def _places(leaf: Leaf) -> list[int]:
    """Return which sizes of a tensor may be others: all numbers, but for the equal sides of an image."""
    sizes = leaf.shape
    is_image = len(sizes) >= 4
    return [
        i for i, size in enumerate(sizes) if type(size) is int and size > 0 and not (is_image and sizes.count(size) > 1)
    ]


def _place_of_features(leaf: Leaf) -> int:
    """Return which size of a tensor is that of its features; an image's channels."""
    return len(leaf.shape) - 1 if len(leaf.shape) < 4 else 1


def _resized(leaf: Leaf, place: int, size: int) -> Leaf:
    return replace(leaf, shape=(*leaf.shape[:place], size, *leaf.shape[place + 1 :]))


def _swapped(shape: Sequence[int | str], place: int) -> tuple[int | str, ...]:
    changed = list(shape)
    changed[place], changed[-1] = changed[-1], changed[place]
    return tuple(changed)


def _replaced(value: Any, leaves: Sequence[Leaf], actual: int, expected: int) -> Iterator[Any]:
    """Yield the input with another size where it has the one that was refused: in one place, and in all of them."""
    found = [(leaf, place) for leaf in leaves for place in reversed(_places(leaf)) if leaf.shape[place] == actual]
    yield from (with_tensor(value, _resized(leaf, place, expected)) for leaf, place in found)
    if len(found) > 1:
        for leaf in leaves:
            places = _places(leaf)
            shape = [expected if i in places and size == actual else size for i, size in enumerate(leaf.shape)]
            value = with_tensor(value, replace(leaf, shape=tuple(shape)))
        yield value


def _split(value: Any, leaves: Sequence[Leaf], actual: int, expected: int, hints: Hints) -> Iterator[Any]:
    """Yield the input with the features that a layer takes divided among tensors that were put beside one another."""
    places = [(leaf, _place_of_features(leaf)) for leaf in leaves if leaf.shape and not leaf.is_whole]
    wide = [(leaf, place, size) for leaf, place in places if type(size := leaf.shape[place]) is int]
    for (first, here, size), (second, there, other) in combinations(wide, 2):
        if size + other != actual:
            continue
        told = [part for part in hints.smaller_than(expected) if part < expected]
        parts = [
            *([expected - other] if other in told else []),  # as wide as the network says already
            *told,
            *(expected - part for part in told),
            *sorted(range(1, expected), key=lambda i: abs(2 * i - expected)),
        ]
        for part in list(dict.fromkeys(parts))[:_MAX_SPLITS]:
            changed = with_tensor(value, _resized(first, here, part))
            yield with_tensor(changed, _resized(second, there, expected - part))


def _shifted(value: Any, leaves: Sequence[Leaf], difference: int) -> Iterator[Any]:
    """Yield the input with more or fewer features or channels in one tensor, where something was put beside it."""
    for leaf in leaves:
        for place in _places(leaf) if len(leaf.shape) >= 4 else range(len(leaf.shape))[-1:]:
            size = leaf.shape[place]
            if type(size) is int and size + difference > 0:
                yield with_tensor(value, _resized(leaf, place, size + difference))


def _scaled(value: Any, leaves: Sequence[Leaf], actual: int, expected: int) -> Iterator[Any]:
    """Yield the input with sizes that are as much larger as what is taken is, where some were multiplied."""
    for leaf in leaves:
        for place in reversed(_places(leaf)) if len(leaf.shape) < 4 else ():
            size = leaf.shape[place]
            if type(size) is int and size < actual and actual % size == 0 and size * expected % actual == 0:
                yield with_tensor(value, _resized(leaf, place, size * expected // actual))
