"""The recorded layers paired with those of now. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Final

from archcheck.function.digested_layers import DigestedLayer
from archcheck.spec.layer_keys import LayerKey, parse_layer_key
from archcheck.structure.layer_pairing import have_same_names

LayerPair = tuple[str, DigestedLayer]  # a label of a recorded layer, and the layer that it's held against
IsSame = Callable[[str, DigestedLayer], bool]

_SIMILAR_TYPES: Final = 0.5  # ratio of the names of two types, such as MaxPool2d and AvgPool2d


def pair_layers(
    labels: Sequence[str], layers: Sequence[DigestedLayer], is_same: IsSame, types: Mapping[str, str]
) -> list[LayerPair]:
    """Return the recorded labels with the layers of now, in the order in which these return.

    Layers are paired by name as long as enough of the names are known, and none of a layer that was taken out is
    another's now; else by what they compute. `is_same` says whether a layer computes what was recorded under a label,
    `types` has the names of the recorded layers' types, as far as they're known.
    """
    keys = [parse_layer_key(label) for label in labels]
    names = {layer.name: layer.type_name for layer in layers}
    is_shorter = names.keys() < {key.name for key in keys}
    is_renumbered = is_shorter and any(
        types.get(label, now) != now for label, key in zip(labels, keys, strict=True) if (now := names.get(key.name))
    )
    if is_renumbered or not have_same_names(sum(key.name in names for key in keys), len(keys)):
        return _pairs_by_execution(labels, layers, is_same, types)
    by_call = {(key.name, key.call or 0): label for label, key in zip(labels, keys, strict=True)}
    if _are_called_as_often(keys, layers):
        found = ((by_call.get((layer.name, layer.index)), layer) for layer in layers)
        return [(label, layer) for label, layer in found if label is not None]
    return _pairs_by_alignment(by_call, layers)


def _are_called_as_often(keys: Sequence[LayerKey], layers: Sequence[DigestedLayer]) -> bool:
    """Return whether each recorded module is called as often as it was, so that a call's number says which it is."""
    recorded, now = dict[str, int](), dict[str, int]()
    for key in keys:
        recorded[key.name] = max(recorded.get(key.name, 0), (key.call or 0) + 1)
    for layer in layers:
        now[layer.name] = max(now.get(layer.name, 0), layer.index + 1)
    return all(now.get(name) == number for name, number in recorded.items())


def _pairs_by_alignment(by_call: Mapping[tuple[str, int], str], layers: Sequence[DigestedLayer]) -> list[LayerPair]:
    """Pair the calls by what runs before and behind them.

    Where one call of a shared module is gone, those behind it have other numbers than they had. What runs in the place
    of what's gone is held against that.
    """
    calls = list(by_call)
    paired: dict[int, str] = {}  # label by the layer's position
    for first, last, begin, end, is_equal in _blocks([name for name, _ in calls], [layer.name for layer in layers]):
        if is_equal:
            paired |= {begin + i: by_call[calls[first + i]] for i in range(last - first)}
        else:
            paired |= _in_its_place([by_call[call] for call in calls[first:last]], layers, range(begin, end))
    used = set(paired.values())
    for i, layer in enumerate(layers):  # of a spec with its rows in another order
        label = by_call.get((layer.name, layer.index))
        if i not in paired and label is not None and label not in used:
            paired[i] = label
    return [(paired[i], layers[i]) for i in sorted(paired)]


def _blocks(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int, int, int, bool]]:
    """Yield the ranges of two sequences that are the same, and those between them."""
    same = next((i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None)
    start = min(len(ours), len(theirs)) if same is None else same
    yield 0, start, 0, start, True
    matcher = SequenceMatcher(None, ours[start:], theirs[start:], autojunk=False)
    for tag, first, last, begin, end in matcher.get_opcodes():
        yield start + first, start + last, start + begin, start + end, tag == "equal"


def _in_its_place(labels: Sequence[str], layers: Sequence[DigestedLayer], positions: range) -> dict[int, str]:
    """Pair labels whose layers are gone with layers that now run there: by the last part of the name, or in order.

    Where as many run there as did, each is in the place of one, however deep it lies.
    """
    if len(labels) == len(positions):
        return dict(zip(positions, labels, strict=True))
    found: dict[int, str] = {}
    for label in labels:
        name = parse_layer_key(label).name
        free = [i for i in positions if i > max(found, default=-1) and layers[i].name.count(".") <= name.count(".")]
        alike = [i for i in free if layers[i].name.rpartition(".")[2] == name.rpartition(".")[2]]
        if free:
            found[(alike or free)[0]] = label
    return found


def _pairs_by_execution(
    labels: Sequence[str], layers: Sequence[DigestedLayer], is_same: IsSame, types: Mapping[str, str]
) -> list[LayerPair]:
    """Pair layers under other names: those that compute the same, in order, and the two that run next.

    Where layers are packed differently some have no counterpart, and are no difference; the first difference is
    behind the last layer that has one.
    """
    found: list[LayerPair] = []
    position, last = 0, -1
    for i, label in enumerate(labels):
        match = next((j for j in range(position, len(layers)) if is_same(label, layers[j])), None)
        if match is not None:
            found.append((label, layers[match]))
            position, last = match + 1, i
    return [*found, *_next_pair(labels[last + 1 :], layers[position:], types)]


def _next_pair(
    labels: Sequence[str], layers: Sequence[DigestedLayer], recorded_types: Mapping[str, str]
) -> list[LayerPair]:
    """Pair the next two, unless one has no counterpart and the one behind it is of a type like the other's."""
    near = [(labels[:1], layers[:1]), (labels[1:2], layers[:1]), (labels[:1], layers[1:2])]
    pairs = [pair for some, those in near for pair in zip(some, those, strict=False)]
    types = [(recorded_types.get(label, ""), layer.type_name) for label, layer in pairs]
    similarity = [SequenceMatcher(None, ours, theirs).ratio() for ours, theirs in types]
    best = max(similarity, default=0.0)
    return [pairs[similarity.index(best) if best > _SIMILAR_TYPES else 0]] if pairs else []
