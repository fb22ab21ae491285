"""Inputs to try, the likeliest first: templates of what layers take, at the sizes that such networks have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, permutations, product
from typing import Any, Final

from torch import nn
from torch.nn.parameter import is_lazy

from archcheck.discovery.arguments import Argument
from archcheck.discovery.hints import Hints
from archcheck.discovery.layers import DEPTH, LENGTH, SEQUENCES, SIDE, Intake, Template
from archcheck.discovery.own_states import own_states

_GRAY: Final = (28, 32, 64, 128, 224, 256, 96, 48, 100, 16)
_COLOUR: Final = (32, 64, 128, 224, 256, 96, 227, 299, 384, 512, 48, 84, 28, 112, 160, 40)
_FEATURE_MAPS: Final = (32, 64, 16, 8, 28, 56, 14, 128)
_FRAMES: Final = (84, 64, 96, 32, 128, 28)
_LENGTHS: Final = (16, 32, 64, 128, 10, 8, 4, 20, 50, 100, 256, 512, 1000, 1024, 2048, 4096, 8000, 16000)
_VOLUME: Final = (32, 64, 96, 128, 16)
_DEPTHS: Final = (16, 8, 4, 32)
_SIZES: Final[Mapping[str, list[int]]] = {"N": [6, 9], "E": [12, 20]}  # of a graph: nodes, or words, and edges
_EDGES: Final = {"shape": [2, "E"], "dtype": "int64", "below": "N"}
_OF_ROWS: Final[Mapping[str, Sequence[tuple[Any, str]]]] = {
    "edges": [(_EDGES, "E")],
    "edge_type": [({"shape": ["E"], "dtype": "int64", "below": 2}, "E")],
    "edge_values": [(["E"], "E")],
    "group": [({"shape": ["N"], "dtype": "int64", "below": 2, "sorted": True}, "N")],
    "adjacency": [(["N", "N"], "N"), (["B", 8, 8], "")],
    "offsets": [({"shape": ["B"], "dtype": "int64", "below": "N", "sorted": True}, "N")],
}
_SIDES: Final = {"src": "enc", "source": "enc", "trg": "dec", "tgt": "dec", "target": "dec"}  # of a translator
_OF_DATA: Final = ("data", "image", "score", "context", "video", "sound")
_PLAIN: Final = ("switch", "text")  # kinds that no tensor is of
_UNLIKE: Final = (("image", "tokens"), ("video", "tokens"))  # kinds that have no shape in common
_OF_CHOICES: Final = re.compile(r"(.*_)?(actions?|acts?)")  # by number, where they are no vectors
_RANK_OF_IMAGES: Final = 4
_MAX_INTAKES: Final = 8
_MAX_OF_MASKS: Final = 4
_MAX_OF_PARTS: Final = 30
_MAX_MARKS: Final = 6  # of a time: from minute to month
_MAX_ATTRIBUTE: Final = 4097
_MAX_ATTRIBUTES: Final = 8


@dataclass(frozen=True, slots=True)
class Proposal:
    """One argument's value to try. sizes: of free dimensions other than the batch. cost: how unlikely it is."""

    value: Any
    source: str
    sizes: Mapping[str, list[int]] = field(default_factory=dict)
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What proposals are made from: all arguments, what the layers take in order, the modules, what names tell."""

    arguments: Sequence[Argument]
    layers: Sequence[Intake]
    modules: Mapping[str, nn.Module]
    hints: Hints
    optional: Sequence[Argument] = ()

    @property
    def is_graph(self) -> bool:
        """Return whether the examples are the nodes of a graph."""
        return any(argument.kind in ("edges", "adjacency", "edge_type") for argument in self.arguments)

    @property
    def is_in_bags(self) -> bool:
        """Return whether the words of all examples come in one row, with the place where each example begins."""
        return any(argument.kind == "offsets" for argument in self.arguments)

    @property
    def is_sequential(self) -> bool:
        """Return whether a layer takes sequences."""
        return any(isinstance(module, SEQUENCES) for module in self.modules.values())


def proposals_for(argument: Argument, around: Surroundings) -> list[Proposal]:
    """Return values of one argument, the likeliest first."""
    if argument.parts or argument.kind == "map":
        return _of_parts(argument, around)
    unique: dict[str, Proposal] = {}
    by_layers = list(_by_layers(argument, around)) if argument.kind not in _PLAIN else []
    if len(around.arguments) > 1:  # one of each first, as combinations are many
        by_layers.sort(key=lambda proposal: proposal.cost)
    guesses = _guesses(argument, around) if argument.kind not in _PLAIN else ()
    for proposal in [*_special(argument, around), *by_layers, *guesses]:
        unique.setdefault(repr((proposal.value, proposal.sizes)), proposal)
    return list(unique.values())


def _of_parts(argument: Argument, around: Surroundings) -> list[Proposal]:
    """Return maps and tuples of what their parts may be; an empty map where nobody says what is in it."""
    if not argument.parts:
        return [Proposal({"literal": {}}, f"the annotation of {argument.name}")]
    choices = [proposals_for(part, replace(around, arguments=argument.parts)) for part in argument.parts]
    found = []
    most = min(max(map(len, choices)), _MAX_OF_PARTS)
    one_by_one = ((i, 0) for i in range(1, min(len(choices[0]), _MAX_OF_PARTS)))  # the first of them, beside the rest
    for i, of_others in [(0, 0), *one_by_one, *((i, i) for i in range(1, most))]:
        each = [own[min(of_others if place else i, len(own) - 1)] for place, own in enumerate(choices)]
        each = [each[0] if one.value is None else one for one in each]
        sizes = {name: size for one in each for name, size in one.sizes.items()}
        values = [one.value for one in each]
        names = [part.name for part in argument.parts]
        value = dict(zip(names, values, strict=True)) if argument.kind == "map" else {"tuple": values}
        found.append(Proposal(value, ", ".join(dict.fromkeys(one.source for one in each)), sizes, i))
    return found


def _by_layers(argument: Argument, around: Surroundings) -> Iterator[Proposal]:
    """Yield what the first layers take, those first that are called as the argument is."""
    first = around.arguments[0]
    if argument.kind in _OF_DATA and first is not argument and (argument.kind, first.kind) not in _UNLIKE:
        yield Proposal(None, "")  # stands for what the first argument is
    for place, layer in enumerate(_likely_layers(argument, around)):
        is_in_bags = around.is_in_bags and "Embedding" in layer.layer
        if (around.is_graph or is_in_bags) and argument.kind in ("data", "tokens"):
            yield Proposal(_of_nodes(layer), layer.source, {"N": _SIZES["N"]})
        if argument.kind == "edge_values":
            yield Proposal(["E", layer.size], layer.source, {"E": _SIZES["E"]})
        if len(around.arguments) > 1 and "Linear" in layer.layer and argument.kind in ("data", "latent", "features"):
            for part in around.hints.smaller_than(layer.size):  # put beside another argument
                yield Proposal(["B", layer.size - part], layer.source)
        for rank, template in enumerate(layer.templates):
            values = at_sizes(template, around.modules.get(layer.name), around.hints)
            yield from (Proposal(value, layer.source, cost=2 * (place + rank) + i) for i, value in enumerate(values))


def _of_nodes(layer: Intake) -> Any:
    """Return what a graph has at each node: features, or the number of its kind."""
    if "Embedding" in layer.layer:
        return {"shape": ["N"], "dtype": "int64", "below": layer.size}
    return ["N", layer.size]


def _likely_layers(argument: Argument, around: Surroundings) -> list[Intake]:
    """Return the first layers that differ in what they take, those likelier to take an argument first."""
    distinct = {(layer.layer, layer.size): layer for layer in reversed(around.layers)}
    different = [layer for layer in around.layers if distinct[layer.layer, layer.size] is layer]
    tables = [layer for layer in different[_MAX_INTAKES:] if "Embedding" in layer.layer]  # behind an encoder, say
    ordered = [*different[:_MAX_INTAKES], *tables[:_MAX_INTAKES]]
    if argument.kind == "latent":
        ordered = [layer for layer in ordered if "Embedding" not in layer.layer]
    others = [one for one in around.arguments if one is not argument]
    if argument.kind in ("tokens", "entity"):
        ordered.sort(key=lambda layer: "Embedding" not in layer.layer)
    elif argument.kind in _OF_DATA and any(one.kind == "tokens" for one in others):  # which the embedding is for
        ordered.sort(key=lambda layer: "Embedding" in layer.layer)
    if argument.kind == "image":
        ordered.sort(key=lambda layer: not _is_of_images(layer))
    ordered.sort(key=lambda layer: re.search("pos|type|segment|seg_", layer.name) is not None)
    ordered.sort(key=lambda layer: any(is_named_alike(one, layer.name) for one in others))
    ordered.sort(key=lambda layer: not is_named_alike(argument, layer.name))
    return ordered


def is_named_alike(argument: Argument, layer: str) -> bool:
    """Return whether a layer is called after an argument."""
    words = [word.rstrip("s") for word in (argument.kind, *argument.name.lower().split("_"))]
    words += [_SIDES[word] for word in words if word in _SIDES]
    return any(len(word) > 2 and word in layer.lower() for word in words)


def at_sizes(template: Template, module: nn.Module | None, hints: Hints) -> Iterator[Any]:
    """Yield a template at every size that it may have, the likeliest first."""
    shape: list[int | str] = template["shape"] if isinstance(template, dict) else template
    choices: list[dict[str, Any]] = [{}]
    if SIDE in shape and DEPTH in shape:
        choices = [{SIDE: (side, side), DEPTH: depth} for side, depth in product((64, 112, 224, 32), _DEPTHS)]
    elif SIDE in shape and LENGTH in shape:
        choices = [{SIDE: sides, LENGTH: 4} for sides in _sides(shape, module, hints)]
    elif SIDE in shape:
        choices = [{SIDE: sides} for sides in _sides(shape, module, hints)]
    elif LENGTH in shape:
        choices = [{LENGTH: length} for length in _lengths(hints)]
    for choice in choices:
        filled = _filled(shape, choice)
        yield {**template, "shape": filled} if isinstance(template, dict) else filled


def _filled(shape: Sequence[int | str], choice: Mapping[str, Any]) -> list[int | str]:
    sides = iter((*choice.get(SIDE, ()),) * 2)
    return [next(sides) if dim == SIDE else choice.get(str(dim), dim) for dim in shape]


def _sides(shape: Sequence[int | str], module: nn.Module | None, hints: Hints) -> list[tuple[int, ...]]:
    """Return heights and widths of images, those that names tell first."""
    if shape.count(SIDE) == 3:
        return [(side, side, side) for side in dict.fromkeys([*(s[0] for s in hints.images()), *_VOLUME])]
    channels = next((dim for dim in shape if isinstance(dim, int)), 1)
    usual = _GRAY if channels == 1 else _COLOUR if channels == 3 else _FRAMES if channels == 4 else _FEATURE_MAPS
    if _has_wide_stem(module):
        usual = (224, *usual)
    return list(dict.fromkeys([*hints.images(), *((side, side) for side in usual)]))


def _has_wide_stem(module: nn.Module | None) -> bool:
    """Return whether a first convolution is one for large images: a wide kernel that strides, or a patch."""
    if not isinstance(module, nn.Conv2d) or not isinstance(module.kernel_size, tuple):
        return False
    return module.kernel_size[0] >= 7 and module.stride[0] >= 2


def _lengths(hints: Hints) -> list[int]:
    told = hints.lengths()
    short = [min(16, *told)] if told else []
    return list(dict.fromkeys([*short, *told, *_LENGTHS]))


# ---------------------------------------------------------------------------------------------- by kind


def _special(argument: Argument, around: Surroundings) -> Iterator[Proposal]:
    """Yield what an argument's name or annotation says."""
    told = f"the name {argument.name}"
    called_alike = _contexts if argument.kind == "context" else _called_alike
    yield from (Proposal(shape, told) for shape in called_alike(argument, around) if argument.kind != "entity")
    for size in around.hints.of_part(argument.name) if argument.kind == "data" else ():
        yield from (Proposal(shape, told) for shape in (["B", size], ["B", size, 16], ["B", 16, size]))
    if argument.kind == "positions" and around.is_graph:
        yield Proposal(["N", 3], told, {"N": _SIZES["N"]})
    if argument.kind in _OF_ROWS:
        for value, sizes in _OF_ROWS[argument.kind]:
            yield Proposal(value, told, {name: _SIZES[name] for name in sizes})
    elif argument.kind == "entity":
        for layer in _likely_layers(argument, around):
            if "Embedding" in layer.layer:
                yield Proposal({"shape": ["B"], "dtype": "int64", "below": layer.size}, layer.source)
    elif argument.kind in _BY_KIND:
        yield from (Proposal(value, told) for value in _BY_KIND[argument.kind](around))


def _called_alike(argument: Argument, around: Surroundings) -> Iterator[Any]:
    """Yield vectors of a size that is called after an argument, of sequences and points as well; numbers of choices."""
    sizes = around.hints.of(argument.name)
    for size in sizes:
        if any(one.kind == "positions" for one in around.arguments):
            yield ["B", size, 16]
        yield ["B", size]
        if around.is_sequential:
            yield ["B", _lengths(around.hints)[0], size]
    if _OF_CHOICES.fullmatch(argument.name.lower()):
        for shape, size in product((["B"], ["B", 1]), sizes):
            yield {"shape": shape, "dtype": "int64", "below": size}


def _latents(around: Surroundings) -> Iterator[Any]:
    for size in around.hints.latents():
        yield ["B", size]
        yield ["B", size, 1, 1]


def _masks(around: Surroundings) -> Iterator[Any]:
    if any(one.kind == "time" for one in around.arguments):  # of a denoiser, whose conditions are left out now and then
        yield ["B"]
    if any(one.kind == "image" for one in around.arguments):  # of an image: what is to be painted, or looked at
        sides = _sides(["B", 3, SIDE, SIDE], None, around.hints)
        yield from (["B", 1, *side] for side in sides[:_MAX_OF_MASKS])
    for length in _lengths(around.hints)[:6]:
        yield {"shape": ["B", length], "dtype": "bool"}
        yield {"shape": ["B", 1, length], "dtype": "bool"}
        yield {"shape": ["B", length, length], "dtype": "bool"}
        yield [length, length]
        yield {"shape": [length, length], "dtype": "bool"}
        yield {"shape": ["B", 1, length, length], "dtype": "bool"}
        yield {"shape": ["B", 1, 1, length], "dtype": "bool"}


def _times(around: Surroundings) -> Iterator[Any]:
    for layer in around.layers if around.is_sequential else ():
        if "Embedding" in layer.layer and "time" in layer.name.lower():  # of each step, as of an episode
            yield {"shape": ["B", _lengths(around.hints)[0]], "dtype": "int64", "below": layer.size}
    yield {"shape": ["B"], "dtype": "int64", "below": _steps(around.hints)}
    yield from (["B"], ["B", 1], [], 1)


def _steps(hints: Hints) -> int:
    names = ("num_train_timesteps", "num_timesteps", "timesteps", "n_steps", "num_steps", "T", "steps", "n_T")
    found = (hints.values.get(name) for name in names)
    return next((steps for steps in found if type(steps) is int and steps > 1), 1000)


def _labels(around: Surroundings) -> Iterator[Any]:
    for below in dict.fromkeys(layer.size for layer in around.layers if "Embedding" in layer.layer):
        yield {"shape": ["B"], "dtype": "int64", "below": below}
    for below in dict.fromkeys([*around.hints.classes(), 10]):
        yield ["B", below]
        yield {"shape": ["B"], "dtype": "int64", "below": below}
    yield ["B", 1]


def _states(around: Surroundings) -> Iterator[Any]:
    """Yield the states that the network makes to begin with, and those that recurrent layers pass on."""
    if (network := around.modules.get("")) is not None:
        yield from own_states(network)
    for module in around.modules.values():
        state: list[int | str] | None = None
        if isinstance(module, nn.RNNBase):
            state = [module.num_layers * (2 if module.bidirectional else 1), "B", module.hidden_size]
        elif isinstance(module, nn.RNNCellBase):
            state = ["B", module.hidden_size]
        if state is not None:
            yield from ([[state, state]] if isinstance(module, nn.LSTM | nn.LSTMCell) else [])
            yield state
    for name in ("hidden_size", "hidden_dim", "n_hidden", "hidden"):
        for size in {size for module in around.modules.values() if type(size := getattr(module, name, None)) is int}:
            yield ["B", size]
            yield [1, "B", size]


def _lists(around: Surroundings) -> Iterator[Any]:
    """Yield lists of two: of batches (views, features of several depths), of images of their own."""
    channels = (around.hints.channels() or [3])[0]
    for side in (64, 224, 320):
        yield [["B", channels, side, side]] * 2
        yield [[channels, side, side]] * 2
    for layer in around.layers[:_MAX_INTAKES]:
        for template in layer.templates[:2]:
            for value in islice(at_sizes(template, None, around.hints), 2):
                yield from ([value] * number for number in (2, 1))


def _takes_images(around: Surroundings) -> bool:
    return any(map(_is_of_images, around.layers))


def _is_of_images(layer: Intake) -> bool:
    return layer.what == "channel" and len(layer.templates[0]) == _RANK_OF_IMAGES


def _videos(around: Surroundings) -> Iterator[Any]:
    """Yield frames of images, and images of frames."""
    numbers, sides = around.hints.frames() or [8, 16], around.hints.images() or [(64, 64), (112, 112), (224, 224)]
    for frames, side in product(numbers, sides):
        for channels in around.hints.channels() or [3]:
            yield ["B", frames, channels, *side]
            yield ["B", channels, frames, *side]


def _sounds(around: Surroundings) -> Iterator[Any]:
    """Yield a second of sound in as many channels as the network says."""
    for channels in around.hints.sound_channels():
        yield ["B", channels, 16000]


def _contexts(argument: Argument, around: Surroundings) -> Iterator[Any]:
    """Yield sequences that another one attends to, as wide as is said, or as a layer takes features."""
    length = _lengths(around.hints)[0]
    told = around.hints.of(argument.name)
    widths = [layer.size for layer in _likely_layers(argument, around) if layer.what == "feature"]
    for shape in (["B", length], ["B"]):
        yield from ([*shape, width] for width in dict.fromkeys([*told, *widths]))


def _sizes_of_parameters(around: Surroundings) -> Iterator[int]:
    """Yield the first sizes of parameters that belong to no layer of torch's: one for each feature, as may be."""
    for module in around.modules.values():
        if not type(module).__module__.startswith("torch.nn"):
            params = module.parameters(recurse=False)
            yield from (param.shape[0] for param in params if not is_lazy(param) and param.ndim and param.shape[0] > 1)


def _marks(around: Surroundings) -> Iterator[Any]:
    """Yield the time of each step: month, day, weekday and hour as real numbers, or that as features between them."""
    length = _lengths(around.hints)[0]
    tables = [layer.size for layer in around.layers if "Embedding" in layer.layer]
    for columns in (4, 5) if tables else ():
        yield {"shape": ["B", length, columns], "one_of": [float(number) for number in range(min(tables))]}
    told = [layer.size for layer in around.layers if layer.what == "feature" and layer.size <= _MAX_MARKS]
    yield from (["B", length, columns] for columns in dict.fromkeys([*told, 4]))


def _categories(around: Surroundings) -> Iterator[Any]:
    """Yield numbers of categories, one in each column, below the smallest number of them that the network knows."""
    for sizes in around.hints.of_categories():
        yield {"shape": ["B", len(sizes)], "dtype": "int64", "below": min(sizes)}
    tables = [layer.size for layer in around.layers if "Embedding" in layer.layer]
    if tables:
        yield {"shape": ["B", len(tables)], "dtype": "int64", "below": min(tables)}
    for columns in (2, 3):
        yield {"shape": ["B", columns], "dtype": "int64", "below": 2}


_BY_KIND: Final[Mapping[str, Callable[[Surroundings], Iterable[Any]]]] = {
    "latent": _latents,
    "mask": _masks,
    "time": _times,
    "label": _labels,
    "state": _states,
    "images": _lists,
    "video": _videos,
    "sound": _sounds,
    "categories": _categories,
    "marks": _marks,
    "numbers": lambda _: [{"literal": [8, 8]}, {"literal": [1]}],
    "features": lambda around: (["B", size] for size in _sizes_of_parameters(around)),
    "positions": lambda _: [["B", 16, 3], ["B", 16, 2], ["B", 3]],
    "image": lambda around: [] if _takes_images(around) else [["B", 1, 32, 32], ["B", 3, 32, 32]],
    "score": lambda _: [["B", 16]],
    "text": lambda _: ["text"],
    "lengths": lambda around: (
        {"shape": shape, "dtype": "int64", "between": [1, length]}
        for shape in (["B"], ["B", 1])
        for length in _lengths(around.hints)[:3]
    ),
    "whole": lambda _: [1],
    "number": lambda _: [1.0],
    "switch": lambda _: [False, True],
}


def _of_attributes(hints: Hints) -> Iterator[Any]:
    """Yield shapes of the numbers that a network keeps, where they are few: lengths, variables, bins, channels."""
    numbers = hints.smaller_than(_MAX_ATTRIBUTE)[:_MAX_ATTRIBUTES]
    for first, second in permutations(numbers, 2):
        yield ["B", first, second]
        yield ["B", first, second, 16]
    yield from (["B", number] for number in numbers)


def _guesses(argument: Argument, around: Surroundings) -> Iterator[Proposal]:
    """Yield what is tried where no layer says anything."""
    hints = around.hints
    of_nodes = [*hints.features(), *_sizes_of_parameters(around)] if around.is_graph else []
    for features in of_nodes if argument.kind == "data" else ():
        yield Proposal(["N", features], "the network's attributes", {"N": _SIZES["N"]})
    for channels in hints.channels():
        for sides in [*hints.images(), (224, 224), (32, 32), (64, 64)]:
            yield Proposal(["B", channels, *sides], "the network's attributes")
        yield Proposal(["B", channels], "the network's attributes")
        yield Proposal(["B", 16, channels], "the network's attributes")
    for features in hints.features():
        yield Proposal(["B", features], "the network's attributes")
        yield Proposal(["B", 16, features], "the network's attributes")
    common: tuple[list[int | str], ...] = (
        ["B", 3, 224, 224], ["B", 3, 32, 32], ["B", 1, 28, 28], ["B", 3, 64, 64], ["B", 16], ["B", 16, 16],
    )  # fmt: skip
    for value in common:
        yield Proposal(value, "a usual shape")
    yield from (Proposal(value, "the network's attributes") for value in _of_attributes(hints))
