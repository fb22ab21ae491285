"""Sizes that names tell: the arguments of a network's constructor, its attributes, its configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from torch import nn
from torch.nn.parameter import is_lazy

from archcheck.network.signatures import signature_of

_IMAGE: Final = (
    "image_size", "img_size", "in_size", "input_size", "input_resolution", "resolution", "sample_size", "im_size",
    "visual_image_size", "vision_image_size",
)  # fmt: skip
_SMALLEST_SIDE: Final = 4
_SOUND: Final = ("audio_channels", "nb_channels", "num_audio_channels")
_FRAMES: Final = ("num_frames", "frames", "n_frames", "clip_len", "clip_length", "num_segments", "temporal_size")
_LENGTH: Final = (
    "max_position_embeddings", "n_positions", "max_seq_len", "max_seq_length", "max_len", "max_length", "seq_len",
    "seq_length", "sequence_length", "context_length", "context_len", "block_size", "window_size", "input_len",
    "n_ctx", "max_target_positions", "sentence_size", "sentence_len", "num_timesteps",
)  # fmt: skip
_CHANNELS: Final = ("in_channels", "in_chans", "num_channels", "input_channels", "n_channels", "in_ch", "channels")
_FEATURES: Final = (
    "input_dim", "in_dim", "in_features", "input_size", "n_features", "num_features", "feature_size",
    "state_dim", "obs_dim"
)  # fmt: skip
_LATENT: Final = ("latent_dim", "z_dim", "latent_size", "noise_dim", "nz", "z_size", "zdim", "latent_channels", "dim_z")
_SHORT: Final = {"action": "act", "observation": "obs", "obs": "observation"}
_SPACE: Final = "_space"  # of reinforcement learning: of the observations, the actions
_OF_ANOTHER_TIME: Final = re.compile(r"^(prev|previous|last|next|init|initial)_")
_CONFIGURATIONS: Final = (
    "config",
    "configs",
    "cfg",
    "conf",
    "hparams",
    "params",
    "args",
    "opt",
    "settings",
)  # whose attributes are hints, too
_CLASSES: Final = (
    "num_classes",
    "n_classes",
    "class_size",
    "num_labels",
    "classes",
    "n_class",
    "num_class_embeds",
    "y_dim",
)


@dataclass(frozen=True, slots=True)
class Hints:
    """Numbers by the names that a network's author gave them. places: how many the tables of positions have."""

    values: Mapping[str, Any] = field(default_factory=dict)
    places: Sequence[int] = ()

    def images(self) -> list[tuple[int, ...]]:
        """Return the sizes of images, height and width or one for both (as `(32, 32)`), or of volumes."""
        found = (_sides(self.values.get(name)) for name in _IMAGE)
        return list(dict.fromkeys(sides for sides in found if sides))

    def lengths(self) -> list[int]:
        """Return the lengths of sequences that names speak of; some are the longest, and some the only one."""
        return self._numbers(_LENGTH)

    def frames(self) -> list[int]:
        """Return the numbers of frames of a video."""
        return self._numbers(_FRAMES)

    def sound_channels(self) -> list[int]:
        """Return the numbers of channels of sound: 1 for mono, 2 for stereo."""
        return self._numbers(_SOUND)

    def channels(self) -> list[int]:
        """Return the channels of images."""
        return self._numbers(_CHANNELS)

    def features(self) -> list[int]:
        """Return the numbers of features of an example."""
        return self._numbers(_FEATURES)

    def latents(self) -> list[int]:
        """Return the sizes of a noise that something is made of."""
        return self._numbers(_LATENT)

    def classes(self) -> list[int]:
        """Return the numbers of classes."""
        return self._numbers(_CLASSES)

    def smaller_than(self, number: int) -> list[int]:
        """Return all numbers that may be a part of another one."""
        numbers = (value for value in self.values.values() if type(value) is int and 1 < value < number)
        return list(dict.fromkeys(numbers))

    def of(self, argument: str) -> list[int]:
        """Return the sizes that are called after an argument: state_dim, n_state, num_actions."""
        name = _OF_ANOTHER_TIME.sub("", argument.lower().rstrip("0123456789"))
        word = name.rstrip("s")
        words = [each for each in dict.fromkeys([name, word, _SHORT.get(word, "")]) if each]
        return self._numbers(each for word in words for each in (*_called_after(word), f"{word[0]}_dim"))

    def of_part(self, argument: str) -> list[int]:
        """Return the sizes that are called after a part of an argument's name: n_mels for mel_specgram."""
        words = [word for word in argument.lower().split("_") if len(word) > 2]
        return self._numbers(name for word in words for name in _called_after(word.rstrip("s")))

    def of_categories(self) -> list[list[int]]:
        """Return the numbers of different values of a table's columns, as lists of them."""
        lists = (list(value) for value in self.values.values() if isinstance(value, (list, tuple)) and len(value) > 0)
        return [each for each in lists if all(type(one) is int and 1 < one < 1_000_000 for one in each)]

    def lacks(self, argument: str) -> bool:
        """Return whether nothing goes into an input: a size called after it is 0, or a list of its columns empty."""
        named = (value for name, value in self.values.items() if name.startswith(f"{argument}_"))
        return any(value == 0 or value in ([], ()) for value in named if not isinstance(value, bool))

    def _numbers(self, names: Iterable[str]) -> list[int]:
        found = (self.values.get(name) for name in names)
        return list(dict.fromkeys(number for number in found if type(number) is int and 0 < number < 1_000_000))


def _called_after(word: str) -> list[str]:
    names = [f"{word}{end}" for end in ("_dim", "_size", "_features", "_channels", "s", "_dims")]
    return [*names, f"n_{word}", f"num_{word}", f"dim_{word}", f"n_{word}s", f"num_{word}s"]


def _sides(value: Any) -> tuple[int, ...]:
    """Return height and width of an image by a number, a pair, or channels and a pair; nothing for anything else."""
    if type(value) is int:
        return (value, value) if _SMALLEST_SIDE <= value <= 2048 else ()
    if not isinstance(value, (list, tuple)) or not all(type(side) is int and 0 < side <= 2048 for side in value):
        return ()
    return tuple(value[-2:]) if len(value) in (2, 3) and min(value[-2:]) >= _SMALLEST_SIDE else ()  # or two strides


def collect_hints(model: nn.Module, arguments: Mapping[str, Any]) -> Hints:
    """Return what a network's constructor was given, or takes by default, and the plain attributes that it keeps."""
    attributes = {name: value for name, value in vars(model).items() if not name.startswith("_")}
    held = [{**arguments, **attributes}.get(name) for name in _CONFIGURATIONS]
    maps = [one if isinstance(one, Mapping) else getattr(one, "__dict__", {}) for one in held]
    configured = {name: value for one in maps for name, value in one.items() if isinstance(name, str)}
    return Hints({**configured, **dict(_of_spaces(attributes)), **attributes, **arguments}, list(_places(model)))


def _of_spaces(attributes: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the sizes of spaces of vectors, called after what is in them."""
    for name, value in attributes.items():
        shape = getattr(value, "shape", None) if name.endswith(_SPACE) else None
        if isinstance(shape, tuple) and len(shape) == 1:
            yield f"{name.removesuffix(_SPACE)}_dim", shape[0]


def _places(model: nn.Module) -> Iterator[int]:
    """Yield how many rows each table has that is called after positions, such as `positional_embedding`."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if "pos" in name and not is_lazy(tensor) and tensor.ndim > 1:
            yield tensor.shape[-2]


def constructor_arguments(function: Callable[..., Any], args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a target is built with: those given, and the defaults of the others."""
    try:
        parameters = signature_of(function).parameters.values()
    except (ValueError, TypeError):
        return dict(args)
    return {p.name: p.default for p in parameters if p.default is not p.empty} | dict(args)
