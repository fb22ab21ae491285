"""The arguments that a forward asks for: their names, and what kind of thing each of them is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from torch import nn

Kind: TypeAlias = Literal[
    "data", "tokens", "entity", "latent", "mask", "lengths", "time", "label", "state", "edges", "adjacency", "group",
    "images", "whole", "number", "switch",
]  # fmt: skip

_KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    (r"(users?|items?|movies?|products?|customers?|entity|head|tail|relation)(_?(ids?|indices|idx))?", "entity"),
    (r"z|noise|latents?", "latent"),
    (r"edge_index|edges|adj_t", "edges"),
    (r"adj(acency)?(_?mat(rix)?)?", "adjacency"),
    (r"batch|batch_index", "group"),
    (r"(.*_)?(mask|masks)", "mask"),
    (r"(.*_)?(lengths?|lens?)", "lengths"),
    (r"t|ts|time|times|time_?steps?|steps?|sigmas?|noise_?levels?|noise_labels|temb_ids", "time"),
    (r"(.*_)?(input_ids|ids?|idx|indices|tokens?|token_ids|words|text|texts|captions?|sentences?|src|trg|tgt|prompt)|"
     r"source|targets?", "tokens"),
    (r"y|(class_)?labels?|class(es)?|cls|c|cond|condition", "label"),
    (r"h|hx|h_?0|c_?0|hidden|(prev_)?(hidden_)?states?|memory_state|hc|(.*_)?hidden", "state"),
)  # fmt: skip


_PLAIN: Final[Mapping[str, Kind]] = {"int": "whole", "float": "number", "bool": "switch"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument that a forward must be given."""

    name: str
    kind: Kind


def required_arguments(model: nn.Module) -> list[Argument]:
    """Return the arguments that a network's forward has no default for; one where it tells nothing."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (ValueError, TypeError):
        parameters = []
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    required = [p for p in named if p.default is p.empty]
    if not required:
        required = named[:1]  # forward(self, x=None)
    return [_argument(p, len(required)) for p in required] or [Argument("x", "data")]


def _argument(parameter: inspect.Parameter, number: int) -> Argument:
    text = str(parameter.annotation)
    if re.search(r"(?i)\b(list|sequence)\[.*tensor", text):
        return Argument(parameter.name, "images")
    plain = _PLAIN.get(text.removeprefix("<class '").removesuffix("'>"))
    if plain is not None:
        return Argument(parameter.name, plain)
    kinds = (kind for pattern, kind in _KINDS if re.fullmatch(pattern, parameter.name.lower()))
    kind: Kind = next(kinds, "data")
    # h, c, t: the only argument is what everything is computed from.
    return Argument(parameter.name, kind if number > 1 or kind in ("tokens", "latent") else "data")
