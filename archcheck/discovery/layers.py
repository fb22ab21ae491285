"""What a layer takes, as templates of an input: `S` for a side of an image, `T` for the length of a sequence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from archcheck.discovery.patches import cut_inputs, cut_of
from archcheck.text.words import counted

SIDE, LENGTH, DEPTH = "S", "T", "D"
Template: TypeAlias = "list[int | str] | dict[str, Any]"

SEQUENCES: Final = (nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
_FEATURES: Final = ("dim_in", "in_dim", "input_dim")  # as other libraries' layers call their in_features
_FACTORED: Final = ((1, 28), (3, 32), (1, 32), (3, 64), (3, 28), (1, 64), (3, 224), (1, 8), (1, 16), (4, 84))


@dataclass(frozen=True, slots=True)
class Intake:
    """What one layer takes: how many of what, and templates of an input that brings them, the likeliest first."""

    name: str
    layer: str
    what: str
    size: int
    templates: tuple[Template, ...]

    @property
    def takes(self) -> str:
        """Return what it takes in words: `Conv2d takes 3 channels`."""
        return f"{self.layer} takes {counted(self.size, self.what)}"

    @property
    def source(self) -> str:
        """Return where an input is from that this layer takes: `conv1 (Conv2d takes 3 channels)`."""
        return f"{self.name or 'the network'} ({self.takes})"


def intakes(modules: Mapping[str, nn.Module]) -> list[Intake]:
    """Return what every layer takes that says so, in the order of the modules."""
    is_sequential = any(isinstance(module, SEQUENCES) for module in modules.values())
    found: list[Intake] = []
    inside: list[str] = []  # of what is a layer as a whole
    for name, module in modules.items():
        if any(name.startswith(f"{outer}.") for outer in inside):
            continue
        intake = intake_of(name, module, is_sequential) or _cutting(name, module, modules)
        if intake is not None:
            found.append(intake)
            inside.append(name) if name else None
    return found


def _cutting(name: str, module: nn.Module, modules: Mapping[str, nn.Module]) -> Intake | None:
    """Return what a layer takes that cuts an input into patches for the one behind it; None for any other."""
    cut = cut_of(module)
    if cut is None:
        return None
    names = list(modules)
    behind = (intake_of(other, modules[other]) for other in names[names.index(name) + 1 :])
    num_features = next((one.size for one in behind if one is not None and one.what == "feature"), None)
    channels = cut.num_channels(num_features)
    templates = tuple(cut_inputs(name, cut, channels, modules))
    return Intake(name, type(module).__name__, "channel", channels, templates)


def intake_of(name: str, module: nn.Module, is_sequential: bool = False) -> Intake | None:
    """Return what a layer takes, None for one that doesn't say."""
    taken = None if isinstance(module, LazyModuleMixin) else _taken(module, is_sequential)
    if taken is None:
        return None
    size, what, templates = taken
    return Intake(name, type(module).__name__, what, size, tuple(templates))


def _taken(module: Any, is_sequential: bool) -> tuple[int, str, Iterable[Template]] | None:
    """Return how many of what a layer takes, and templates that bring them; those of torch's layers by their class."""
    if isinstance(module, nn.Linear):
        return module.in_features, "feature", _features(module.in_features, is_sequential)
    if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
        module = module.self_attn
    for classes, attribute, what, templates in _BY_CLASS:
        if isinstance(module, classes):
            return getattr(module, attribute), what, templates(module)
    if isinstance(module, nn.LayerNorm):
        shape = list(module.normalized_shape)
        return math.prod(shape), "feature", _normalized(shape)
    return _taken_by_foreign(module)


def _taken_by_foreign(module: nn.Module) -> tuple[int, str, Iterable[Template]] | None:
    """Return what a layer takes that is no layer of torch's, by its `in_...` attributes; a container has none."""
    if next(module.parameters(recurse=False), None) is None and not hasattr(module, "irreps_in1"):
        return None
    features, channels = (getattr(module, name, None) for name in ("in_features", "in_channels"))
    if features is None and channels is None:
        features = next((size for name in _FEATURES if type(size := getattr(module, name, None)) is int), None)
    if features is None:  # representations of rotations, as e3nn has them
        features = getattr(getattr(module, "irreps_in", getattr(module, "irreps_in1", None)), "dim", None)
    if type(features) is int and features > 0:
        return features, "feature", [["B", features], ["B", LENGTH, features]]
    if type(channels) is int and channels > 0:
        return channels, "channel", [*_images(channels), ["B", channels], ["B", LENGTH, channels]]
    return None


def _images(channels: int) -> Iterator[Template]:
    yield ["B", channels, SIDE, SIDE]
    if channels == 1:
        yield ["B", SIDE, SIDE]
        yield ["B", LENGTH]
    elif channels > 4:
        yield ["B", LENGTH, channels]
    yield ["B", SIDE, SIDE, channels]
    yield ["B", LENGTH, channels, SIDE, SIDE]


def _signals(channels: int) -> Iterator[Template]:
    yield ["B", channels, LENGTH]
    yield ["B", LENGTH, channels]
    if channels == 1:
        yield ["B", LENGTH]


def _volumes(channels: int) -> Iterator[Template]:
    yield ["B", channels, SIDE, SIDE, SIDE]
    yield ["B", channels, DEPTH, SIDE, SIDE]
    yield ["B", DEPTH, channels, SIDE, SIDE]


def _indices(number: int) -> Iterator[Template]:
    for shape in (["B", LENGTH], ["B"], [LENGTH, "B"], ["B", 1]):
        yield {"shape": shape, "dtype": "int64", "below": number}


def _one_step(features: int) -> Iterator[Template]:
    """Yield what a cell takes, or before it what is cut into steps of one number each."""
    if features == 1:
        yield ["B", LENGTH]
    yield ["B", features]


def _steps(features: int, batch_first: bool) -> Iterator[Template]:
    yield ["B", LENGTH, features] if batch_first else [LENGTH, "B", features]
    yield [LENGTH, "B", features] if batch_first else ["B", LENGTH, features]
    yield ["B", features]
    if features == 1:
        yield ["B", LENGTH]
    yield ["B", 1, LENGTH, features]
    yield ["B", 3, SIDE, SIDE]


def _features(features: int, is_sequential: bool) -> Iterator[Template]:
    for channels, side in _FACTORED:
        if features == channels * side * side:
            yield ["B", channels, side, side]
    flat: list[Template] = [["B", features], ["B", LENGTH, features]]
    yield from reversed(flat) if is_sequential else flat
    if is_sequential:
        yield [LENGTH, "B", features]
    if features == 1:
        yield ["B", LENGTH]
        yield ["B"]
    yield ["B", SIDE, SIDE, features]
    for channels in (3, 1, 4):  # patches, cut from an image
        if features % channels == 0 and math.isqrt(features // channels) ** 2 * channels == features:
            yield ["B", channels, SIDE, SIDE]


def _normalized(shape: list[int]) -> Iterator[Template]:
    if len(shape) > 1:
        yield ["B", *shape]
    else:
        yield ["B", LENGTH, *shape]
        yield ["B", *shape]
        for channels in (3, 1):
            if shape[0] % channels == 0 and math.isqrt(shape[0] // channels) ** 2 * channels == shape[0]:
                yield ["B", channels, SIDE, SIDE]
        yield ["B", SIDE, SIDE, *shape]


_Templates: TypeAlias = Callable[[Any], Iterable[Template]]
_BY_CLASS: Final[tuple[tuple[tuple[type[nn.Module], ...], str, str, _Templates], ...]] = (
    ((nn.ConvTranspose2d,), "in_channels", "channel",
     lambda layer: [["B", layer.in_channels, 1, 1], *_images(layer.in_channels)]),
    ((nn.Conv2d,), "in_channels", "channel", lambda layer: _images(layer.in_channels)),
    ((nn.Conv1d, nn.ConvTranspose1d), "in_channels", "channel", lambda layer: _signals(layer.in_channels)),
    ((nn.Conv3d, nn.ConvTranspose3d), "in_channels", "channel", lambda layer: _volumes(layer.in_channels)),
    ((nn.Embedding, nn.EmbeddingBag), "num_embeddings", "different number",
     lambda layer: _indices(layer.num_embeddings)),
    ((nn.RNNBase,), "input_size", "feature", lambda layer: _steps(layer.input_size, layer.batch_first)),
    ((nn.RNNCellBase,), "input_size", "feature", lambda layer: _one_step(layer.input_size)),
    ((nn.MultiheadAttention,), "embed_dim", "feature", lambda layer: _steps(layer.embed_dim, layer.batch_first)),
    ((nn.BatchNorm1d, nn.InstanceNorm1d), "num_features", "feature",
     lambda layer: [["B", layer.num_features], ["B", layer.num_features, LENGTH]]),
    ((nn.BatchNorm2d, nn.InstanceNorm2d), "num_features", "channel", lambda layer: _images(layer.num_features)),
    ((nn.GroupNorm,), "num_channels", "channel", lambda layer: _images(layer.num_channels)),
)  # fmt: skip
