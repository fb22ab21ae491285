"""The row of an embedding that gets no gradient, of which no output tells: found by the gradients without it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from torch import nn

from archcheck.function.digested_layers import layers_of
from archcheck.function.fingerprint.config import FingerprintConfig
from archcheck.function.fingerprint.fingerprint import fingerprint
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.records import DifferingCall
from archcheck.function.tolerances import TOLERANCE
from archcheck.structure.meta.module_tree import named_network

_GRADIENT: Final = "gradient"
_KINDS: Final = ("initial", _GRADIENT)  # in which such an embedding differs: its row starts from 0, too
_MOST_PARAMS: Final = 5_000_000  # of a network that is run a few times more
_PART: Final = 20.0  # about the size of each part of a sum that may cancel out


def other_padding(
    build: NetworkFactory, config: FingerprintConfig, call: DifferingCall, deadline_sec: float
) -> str | None:
    """Return the `padding_idx` that an embedding was recorded with, where that alone is another; None else.

    The deadline counts processor time; no run is begun behind it. Never raises.
    """
    if call.kind not in _KINDS or _GRADIENT not in call.numbers:
        return None
    with suppress(Exception):
        return _tried(build, config, call, time.process_time() + deadline_sec)
    return None


def _tried(build: NetworkFactory, config: FingerprintConfig, call: DifferingCall, deadline: float) -> str | None:
    model = build()
    layer = named_network(model).modules.get(call.name)
    if not isinstance(layer, nn.Embedding) or sum(one.numel() for one in model.parameters()) > _MOST_PARAMS:
        return None
    now, last = layer.padding_idx, layer.num_embeddings - 1
    for other in dict.fromkeys((None, 0, min(1, last), last)):
        if other == now or time.process_time() > deadline:
            continue
        change = partial(_with_padding, build, call.name, other, starts_so=call.kind == "initial")
        numbers = {(one.name, one.index): one.numbers for one in layers_of(fingerprint(change, config))}
        if _are_alike(numbers.get((call.name, call.index), {}), call.numbers, TOLERANCE[config.precision]):
            return f"padding_idx={now} now, {other} was recorded"
    return None


def _are_alike(numbers: Mapping[str, float], recorded: Mapping[str, float], tolerance: float) -> bool:
    pairs = [(numbers.get(kind, 0.0), recorded.get(kind, 0.0)) for kind in _KINDS]
    return all(abs(a - b) <= tolerance * max(_PART, abs(b)) for a, b in pairs)


def _with_padding(build: NetworkFactory, name: str, index: int | None, *, starts_so: bool) -> nn.Module:
    """Build a network with another row of an embedding left out; `starts_so` says that this row starts from 0."""
    model = build()
    layer = named_network(model).modules[name]
    assert isinstance(layer, nn.Embedding)
    layer.padding_idx = index
    if starts_so:
        layer.reset_parameters()
    return model
