"""What the networks of libraries say of their own input: timm, transformers, diffusers, Lightning's example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn

from archcheck.discovery.assumption import Assumption
from archcheck.network.signatures import signature_of
from archcheck.spec.input_option import format_input_options

_TOKENS: Final = 16  # of a text
_LONGEST: Final = 1024
_EXAMPLES: Final = ("example_input_array", "example_input", "example_inputs", "dummy_input", "dummy_inputs")
_IMAGE_SIDE: Final = 32
_MODALITIES: Final = ("pixel_values", "input_features", "input_values", "pixel_values_videos")
_OF_MODALITIES: Final = ("vision_config", "audio_config", "audio_encoder", "vision_tower")
_INNER: Final = (
    "text_config", "vision_config", "audio_config", "encoder", "decoder", "text_encoder", "audio_encoder",
    "backbone_config",
)  # fmt: skip


def assumptions_from_configuration(model: nn.Module) -> Iterator[Assumption]:
    """Yield the inputs that a network's own configuration speaks of, the likeliest first."""
    for source in (_from_timm, _from_torchvision, _from_transformers, _from_diffusers, _from_examples):
        try:
            yield from source(model)
        except Exception:  # somebody's attribute of the same name, which means something else
            continue


# ---------------------------------------------------------------------------------------------- timm, examples


def _from_timm(model: nn.Module) -> Iterator[Assumption]:
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(model, name, None)
        if isinstance(config, Mapping) and config.get("input_size"):
            yield Assumption(["B", *config["input_size"]], f"timm's {name}")


def _from_torchvision(model: nn.Module) -> Iterator[Assumption]:
    """Yield the sizes at which torchvision's own weights were trained."""
    module = type(model).__module__
    if not module.startswith("torchvision.models."):
        return
    sizes: Sequence[Sequence[int]] = [(299, 299)] if "inception" in module else [(224, 224)]
    if ".video." in module:
        sizes = [(16, 112, 112), (16, 224, 224)] if module.endswith("resnet") else [(16, 224, 224)]
    if not {"detection", "optical_flow"} & {*module.split(".")}:
        yield from (Assumption(["B", 3, *size], "torchvision's own weights") for size in sizes)


def _from_examples(model: nn.Module) -> Iterator[Assumption]:
    for name in _EXAMPLES:
        example = getattr(model, name, None)
        if isinstance(example, (Tensor, tuple, list, Mapping)):
            value = _described(example, _smallest_vocabulary(model))
            # A list of tensors holds arguments; one tensor is the only argument.
            yield Assumption(value, f"the network's {name}")


def _described(example: Any, vocabulary: int | None) -> Any:
    if isinstance(example, Tensor):
        return _described_tensor(example, vocabulary)
    if isinstance(example, Mapping):
        return {str(key): _described(item, vocabulary) for key, item in example.items()}
    if isinstance(example, (tuple, list)):
        return [_described(item, vocabulary) for item in example]
    raise TypeError(f"no tensor: {example!r}")


def _described_tensor(example: Tensor, vocabulary: int | None) -> Any:
    shape = ["B", *example.shape[1:]] if example.ndim else []
    dtype = str(example.dtype).removeprefix("torch.")
    if dtype == "float32":
        return shape
    if dtype not in ("int64", "int32"):
        return {"shape": shape, "dtype": dtype}
    below = vocabulary if example.is_meta or not example.numel() else max(int(example.max()) + 1, vocabulary or 1)
    return {"shape": shape, "dtype": dtype, **({"below": below} if below else {})}


def _smallest_vocabulary(model: nn.Module) -> int | None:
    sizes = [module.num_embeddings for module in model.modules() if isinstance(module, nn.Embedding)]
    return min((size for size in sizes if size > 2), default=None)


# ---------------------------------------------------------------------------------------------- transformers


@dataclass(frozen=True, slots=True)
class _Configuration:
    """A configuration, and those within it."""

    config: Any

    def number(self, *names: str) -> int | None:
        """Return the first whole number of one of these names."""
        found = self.value(*names)
        return found if type(found) is int else None

    def value(self, *names: str) -> Any:
        """Return the first value that one of these names has, in the configuration itself first."""
        inner = (getattr(self.config, name, None) for name in _INNER)
        for config in (self.config, *inner):
            for name in names:
                found = config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)
                if found is not None:
                    return found
        return None


def _from_transformers(model: nn.Module) -> Iterator[Assumption]:
    config, main = getattr(model, "config", None), getattr(model, "main_input_name", None)
    if not isinstance(main, str) or not hasattr(config, "to_dict"):
        return
    accepted = list(signature_of(model.forward).parameters)
    numbers = _Configuration(config)
    decoder = ["decoder_input_ids"] if getattr(config, "is_encoder_decoder", False) else []
    modalities = [name for name in _MODALITIES if name in accepted and main not in _MODALITIES]
    is_mixed = bool(modalities) and any(getattr(config, name, None) is not None for name in _OF_MODALITIES)
    sets = [
        ["hidden_states", "grid_thw"],
        ["pixel_values", "grid_thw"],
        *([[main, *decoder, name] for name in modalities] if is_mixed else []),
        [main, *decoder, "bbox", "pixel_values"],
        [main, *decoder, "bbox"],
        [main, *decoder],
        [main],
        ["input_ids", "pixel_values"],
        ["input_ids", *decoder],
        ["pixel_values"],
        [*decoder],
    ]
    for names in sets:
        if names and {*names} <= {*accepted}:
            left_out = [name for name in modalities if is_mixed and name not in names]
            doubts = tuple(_unverified(name, numbers) for name in left_out)
            for value in _transformers_values(names, numbers):
                yield Assumption(value, "the transformers configuration", doubts=doubts)
    dummy = {name: item for name, item in getattr(model, "dummy_inputs", {}).items() if name in accepted}
    if dummy:
        yield Assumption(_described(dummy, numbers.number("vocab_size")), "the network's dummy_inputs")


def _unverified(name: str, config: _Configuration) -> str:
    """Return what isn't verified where an image or a sound may be left out, and is."""
    value = next(_transformers_values([name], config), {name: ["B", 3, 224, 224]})
    return (
        f"{name} is left out, and what the network does with it isn't verified: add {format_input_options(value)}, "
        "beside input_ids with the marks of its place in the text (--inputs-from where they depend on one another)"
    )


def _transformers_values(names: Sequence[str], config: _Configuration) -> Iterator[dict[str, Any]]:
    """Yield values of some arguments, in every variant that one of them has."""
    made = {**_TRANSFORMERS, "pixel_values": _patches} if "grid_thw" in names else _TRANSFORMERS
    choices = {name: list(made[name](config)) if name in made else [] for name in names}
    for i in range(max(map(len, choices.values()))):
        if all(choices.values()):
            yield {name: each[min(i, len(each) - 1)] for name, each in choices.items()}


def _token_ids(config: _Configuration) -> Iterator[Any]:
    length = config.number("max_position_embeddings", "n_positions", "max_sequence_length") or _TOKENS
    below = config.number("vocab_size", "decoder_vocab_size")
    if below:
        yield {"shape": ["B", min(length, _TOKENS)], "dtype": "int64", "below": below}
        if length <= _LONGEST:
            yield {"shape": ["B", length], "dtype": "int64", "below": below}


def _pixels(config: _Configuration) -> Iterator[Any]:
    channels = config.number("num_channels", "in_channels", "in_chans") or 3
    size = config.value("image_size", "input_size", "crop_size")
    if isinstance(size, Mapping):
        size = [size.get("height"), size.get("width")]
    sides = [size, size] if isinstance(size, int) else list(size or [])
    for each in ([sides] if len(sides) == 2 else []) + [[224, 224], [64, 64]]:
        frames = config.number("num_frames")
        if frames:
            yield ["B", frames, channels, *each]
        yield ["B", channels, *each]


def _waveform(config: _Configuration) -> Iterator[Any]:
    length, bins = config.number("max_length"), config.number("num_mel_bins")
    if length and bins:
        yield ["B", length, bins]
    yield ["B", 4000]
    yield ["B", 1, 4000]


def _spectrum(config: _Configuration) -> Iterator[Any]:
    bins = config.number("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim", "input_dim")
    if bins:
        yield ["B", bins, 2 * (config.number("max_source_positions") or 50)]
        yield ["B", 100, bins]


def _series(config: _Configuration) -> Iterator[Any]:
    length, channels = (
        config.number("context_length", "prompt_length"),
        config.number("num_input_channels", "input_size"),
    )
    if length:
        yield ["B", length, channels or 1]
        yield ["B", length]


def _boxes(config: _Configuration) -> Iterator[Any]:
    """Yield the place of each token on a page: from left and top to right and bottom."""
    below = config.number("max_2d_position_embeddings")
    shape = ["B", _TOKENS, 4]
    yield {"shape": shape, "dtype": "int64", "below": below, "sorted": True} if below else shape


def _patches(config: _Configuration) -> Iterator[Any]:
    """Yield the patches of one video, those of `_grid`, each a row."""
    side, channels = config.number("patch_size"), config.number("in_channels", "in_chans", "num_channels") or 3
    if side:
        yield [_grid_side(config) ** 3, channels * (config.number("temporal_patch_size") or 1) * side**2]


def _grid(config: _Configuration) -> Iterator[Any]:
    """Yield how many patches a video has in time, height and width: the same number, as one domain has all three."""
    side = _grid_side(config)
    yield {"shape": [1, 3], "dtype": "int64", "between": [side, side]}


def _grid_side(config: _Configuration) -> int:
    return 2 * (config.number("spatial_merge_size") or 2)


_TRANSFORMERS: Final = {
    "bbox": _boxes,
    "hidden_states": _patches,
    "grid_thw": _grid,
    "input_ids": _token_ids,
    "decoder_input_ids": _token_ids,
    "pixel_values": _pixels,
    "pixel_values_videos": _pixels,
    "input_values": _waveform,
    "input_features": _spectrum,
    "past_values": _series,
}


# ---------------------------------------------------------------------------------------------- diffusers


def _from_diffusers(model: nn.Module) -> Iterator[Assumption]:
    config = getattr(model, "config", None)
    if not isinstance(config, Mapping) or "_class_name" not in {*config, *dir(type(config))} | _marks(model):
        return
    parameters = signature_of(model.forward).parameters
    required = [p.name for p in parameters.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    numbers = _Configuration(config)
    for latents in _latents(numbers):
        values = _diffusion_values(numbers, latents)
        everything = [name for name in parameters if name in values]
        unmasked = [name for name in everything if "mask" not in name]
        for names in dict.fromkeys([tuple(unmasked), tuple(required), tuple(everything)]):
            if names and {*required} <= {*names} <= {*values}:
                yield Assumption({name: values[name] for name in names}, "diffusers' configuration")


def _marks(model: nn.Module) -> set[str]:
    return {"_class_name"} if hasattr(model, "config_name") else set()


def _latents(config: _Configuration) -> Iterator[list[int | str]]:
    """Yield what noise may be put in: images, videos, tokens, sound."""
    channels = config.number("in_channels", "embedding_dim") or 3
    size = config.value("sample_size")
    side = [size, size] if isinstance(size, int) and size <= 1024 else list(size or [])
    for sides in ([side] if len(side) == 2 else []) + [[_IMAGE_SIDE, _IMAGE_SIDE], [64, 64]]:
        yield ["B", channels, *sides]
    yield ["B", _TOKENS, channels]
    yield ["B", channels, 4, _IMAGE_SIDE, _IMAGE_SIDE]
    yield ["B", 4, channels, _IMAGE_SIDE, _IMAGE_SIDE]
    yield ["B", channels, size if isinstance(size, int) else 1024]
    yield ["B", channels]


def _diffusion_values(config: _Configuration, latents: list[int | str]) -> dict[str, Any]:
    """Return values of the arguments that go with some latents, by name."""
    text = config.number(
        "caption_channels", "joint_attention_dim", "encoder_hid_dim", "text_embed_dim", "cross_attention_dim",
        "cap_feat_dim",
    )  # fmt: skip
    steps = config.number("num_train_timesteps") or 1000
    pooled = config.number("pooled_projection_dim")
    scale = 2 ** (len(config.value("conditioning_embedding_out_channels") or [0]) - 1)
    values: dict[str, Any] = {
        "sample": latents,
        "hidden_states": latents,
        "timestep": {"shape": ["B"], "dtype": "int64", "below": steps},
        "controlnet_cond": ["B", config.number("conditioning_channels") or 3, *_enlarged(latents[2:], scale)],
    }
    if text:
        values["encoder_hidden_states"] = ["B", _TOKENS, text]
        values["encoder_attention_mask"] = {"shape": ["B", _TOKENS], "dtype": "bool"}
    if pooled:
        values["pooled_projections"] = ["B", pooled]
    if config.number("num_embeds_ada_norm") and not text:
        values["class_labels"] = {"shape": ["B"], "dtype": "int64", "below": config.number("num_embeds_ada_norm")}
    if len(latents) == 3:
        values |= {"img_ids": [_TOKENS, 3], "txt_ids": [_TOKENS, 3]}
    if config.value("guidance_embeds"):
        values["guidance"] = ["B"]
    if config.value("addition_embed_type") == "text_time":
        values["added_cond_kwargs"] = _added_conditions(config)
    return values


def _added_conditions(config: _Configuration) -> dict[str, Any]:
    of_times = 6 * (config.number("addition_time_embed_dim") or 0)
    width = (config.number("projection_class_embeddings_input_dim") or 0) - of_times
    return {"text_embeds": ["B", width], "time_ids": ["B", 6]}


def _enlarged(sides: Sequence[int | str], scale: int) -> list[int]:
    return [side * scale for side in sides if isinstance(side, int)]
