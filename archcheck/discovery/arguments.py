"""The arguments that a forward asks for: their names, and what kind of thing each of them is.

A kind is told by the annotation where there is one that says it, by the name otherwise.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin

from torch import Tensor, nn

from archcheck.discovery.unpacking import Names, keys_looked_up, unpacked_tuples
from archcheck.network.annotations import annotations_of, is_typed_dict, options_of, plain_type
from archcheck.network.signatures import signature_of

Kind: TypeAlias = Literal[
    "data", "tokens", "entity", "latent", "mask", "lengths", "time", "label", "state", "edges", "adjacency", "group",
    "images", "whole", "number", "switch", "text", "numbers", "categories", "map", "parts", "object", "edge_type",
    "edge_values", "positions", "features", "offsets", "marks", "image", "score", "context", "video", "sound",
]  # fmt: skip

# How often a decoder is given the word that was to come, by chance: always, so that none is left.
_FORCING: Final = r"teacher_forc\w*|(\w+_)?forcing(_\w+)?|tfr?_(ratio|prob|rate)|sampling_prob\w*"
_KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    (r"(users?|items?|movies?|products?|customers?|speakers?|spks?|entity|(negative_)?(heads?|tails?)|relations?)"
     r"(_?(ids?|indices|idx))?", "entity"),
    (r"z|noise|latents?", "latent"),
    (r"edge_index|edges|edge_indices|adj_t|edge_label_index", "edges"),
    (r"edge_(types?|relations?)|rel_types?", "edge_type"),
    (r"edge_(attrs?|features?|feats?|weights?|dist\w*|vec\w*|sh)", "edge_values"),
    (r"(x_)?(nums?|numer\w*|cont|contin\w*|dense)(_\w+)?", "features"),
    (r"(.*_)?offsets?", "offsets"),
    (r"(x_)?mark(_\w+)?|(x_)?(\w+_)?time_?(feats?|features|marks?)", "marks"),
    (r"(key_?points?|kpts?|kps)\d?", "positions"),
    (r"(image|img)s?\d?", "image"),
    (r"mix(ture)?s?|wav(e|eform)?s?|audios?|speech|signals?|(raw_)?(audio|wave)\w*", "sound"),
    (r"(.*_)?(videos?|clips?)", "video"),
    (r"(.*_)?(contexts?|memory|media|encoder_(hidden_states|outputs?)|enc_outs?|enc_outputs?)", "context"),
    (r"(scores?|confidences?|confs?)\d?", "score"),
    (r"pos|positions?|coords?|coordinates|coors|xyz", "positions"),
    (r"node_type|atom_types?|atomic_numbers|numbers", "tokens"),
    (r"(x_)?(cats?|categ|categor\w*)(_\w+)?|x_cats?|.*_cat", "categories"),
    (r"adj(acency)?(_?mat(rix)?)?", "adjacency"),
    (r"batch|batch_index", "group"),
    (r"(.*_)?(mask|masks)", "mask"),
    (r"(.*_)?(lengths?|lens?)", "lengths"),
    (r"t|ts|time|times|time_?steps?|steps?|sigmas?|noise_?levels?|noise_labels|temb_ids", "time"),
    (r"(.*_)?(input_ids|ids?|idx|indices|tokens?|token_ids|words|text|texts|captions?|sentences?|src|trg|tgt|prompt)|"
     r"source|targets?", "tokens"),
    (r"y|(class_)?labels?|class(es)?|cls|c|cond|condition", "label"),
    (_FORCING, "number"),
    (r"h|(\w+_)?hxs?|h_?0|c_?0|cxs?|hidden|(prev_)?(hidden_)?states?|memory_state|hc|(.*_)?hidden", "state"),
)  # fmt: skip


_OF_ONE: Final = ("tokens", "latent", "edges", "video", "sound")  # kinds that the only argument may have
_PLAIN: Final[Mapping[type, Kind]] = {int: "whole", float: "number", bool: "switch", str: "text"}
_MAPS: Final = (dict, Mapping, MutableMapping)
_WITHOUT_CLASSES: Final = ("builtins", "typing", "torch", "collections.abc")  # of inputs


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument that a forward must be given.

    by_name: whether it can't be given by position. parts: of one of several tensors, by name or by position.
    class_name: of an object that is no tensor.
    """

    name: str
    kind: Kind
    by_name: bool = False
    parts: tuple[Argument, ...] = ()
    class_name: str = ""


def required_arguments(model: nn.Module) -> list[Argument]:
    """Return the arguments that a network's forward has no default for; one where it tells nothing.

    How often a decoder is forced is one of them: by default chance decides, and no function could be recorded.
    """
    named = _parameters(model)
    required = [p for p in named if p.default is p.empty]
    required = [*required, *filter(_is_forcing, named)] if required else named[:1]  # forward(self, x=None)
    annotations = _annotations(model)
    found = [_argument(p, len(required), annotations.get(p.name)) for p in required]
    if {"h", "c"} <= {one.name.lower() for one in found}:  # the state of an LSTM, and no class
        found = [replace(one, kind="state") if one.name.lower() == "c" else one for one in found]
    return [_taken_apart(one, model) for one in found] or [Argument("x", "data")]


def _is_forcing(parameter: inspect.Parameter) -> bool:
    return isinstance(parameter.default, float) and re.fullmatch(_FORCING, parameter.name.lower()) is not None


def optional_arguments(model: nn.Module) -> list[Argument]:
    """Return the arguments that are None where they are left out."""
    annotations = _annotations(model)
    required = {argument.name for argument in required_arguments(model)}
    optional = [p for p in _parameters(model) if p.default is None and p.name not in required]
    return [_argument(p, len(required) + 1, annotations.get(p.name)) for p in optional]


def _parameters(model: nn.Module) -> list[inspect.Parameter]:
    try:
        parameters = list(signature_of(model.forward).parameters.values())
    except (ValueError, TypeError):
        return []
    if parameters and parameters[0].name == "self":  # of a `jit.script_method`
        parameters = parameters[1:]
    if parameters and parameters[0].kind is inspect.Parameter.VAR_POSITIONAL:  # forward(self, *args, context=None)
        parameters[0] = inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _annotations(model: nn.Module) -> Mapping[str, Any]:
    with suppress(Exception):  # somebody's decorator
        return annotations_of(model.forward)
    return {}


def _argument(parameter: inspect.Parameter, number: int, annotation: Any = None) -> Argument:
    by_name = parameter.kind is parameter.KEYWORD_ONLY
    told = _told(parameter.name, annotation, str(parameter.annotation))
    if told is not None:
        return Argument(parameter.name, told.kind, by_name, told.parts, told.class_name)
    kind = kind_of_name(parameter.name)
    # h, c, t: the only argument is what everything is computed from.
    return Argument(parameter.name, kind if number > 1 or kind in _OF_ONE else "data", by_name)


def _taken_apart(argument: Argument, model: nn.Module) -> Argument:
    """Return an argument with the parts that the forward's source takes it apart into, if nothing else tells them."""
    if argument.parts or argument.kind not in ("data", "map", "images"):
        return argument
    tuples, keys = unpacked_tuples(model.forward), keys_looked_up(model.forward)
    if argument.kind != "map" and argument.name in tuples:
        return replace(argument, kind="parts", parts=_parts(tuples[argument.name]))
    if argument.kind != "images" and argument.name in keys:
        return replace(argument, kind="map", parts=_parts(keys[argument.name]))
    return argument


def _parts(names: Names) -> tuple[Argument, ...]:
    """Return arguments of names; those of a tuple of states are one, as a layer returns them."""
    found = []
    for name in names:
        inner = () if isinstance(name, str) else _parts(name)
        if inner and all(one.kind == "state" for one in inner):
            found.append(Argument("_".join(one.name for one in inner), "state"))
        else:
            found.append(Argument("", "parts", parts=inner) if inner else Argument(str(name), kind_of_name(str(name))))
    return tuple(found)


def kind_of_name(name: str) -> Kind:
    """Return what kind of thing an input of a name is."""
    kinds = (kind for pattern, kind in _KINDS if re.fullmatch(pattern, name.lower()))
    return next(kinds, "data")


def _told(name: str, annotation: Any, text: str) -> Argument | None:
    """Return an argument as its annotation describes it; None where that says nothing but that it's a tensor."""
    options = options_of(plain_type(annotation)) if annotation is not None else []
    if any(map(_is_tensor, options)):
        return None
    for option in options:
        if option in _PLAIN:
            return Argument(name, _PLAIN[option])
        if (several := _several(name, option)) is not None:
            return several
        if isinstance(option, type) and option.__module__ not in _WITHOUT_CLASSES:
            return Argument(name, "object", class_name=f"{option.__module__}.{option.__qualname__}")
    return Argument(name, "images") if re.search(r"(?i)\b(list|sequence|iterable)\[.*tensor", text) else None


def _is_tensor(annotation: Any) -> bool:
    """Return whether a type is that of tensors: torch's, or one that tells their shape, as jaxtyping's do."""
    return isinstance(annotation, type) and issubclass(getattr(annotation, "array_type", annotation), Tensor)


def _several(name: str, annotation: Any) -> Argument | None:
    """Return an argument that is a map, list or tuple; None for anything else."""
    origin, inside = get_origin(annotation) or annotation, get_args(annotation)
    if is_typed_dict(annotation):
        fields = annotations_of(annotation)
        return Argument(name, "map", parts=tuple(_part(key, each) for key, each in fields.items()))
    if origin in _MAPS:
        return Argument(name, "map")
    if origin is tuple and inside and Ellipsis not in inside:
        return Argument(name, "parts", parts=tuple(_part(f"{name}_{i}", each) for i, each in enumerate(inside)))
    if origin in (list, Sequence, Iterable, tuple):
        of_numbers = inside and inside[0] in (int, float)
        return Argument(name, "numbers" if of_numbers else "images") if inside else None
    return None


def _part(name: str, annotation: Any) -> Argument:
    return _told(name, annotation, "") or Argument(name, kind_of_name(name))
