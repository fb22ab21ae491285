"""What the weights of a network start from, measured on networks that are built for real."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from archcheck.function.fingerprint.late_values import ValuesBeforeExposing
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.initial_comparison import BUILDS, Start, are_of_chance
from archcheck.function.late_draws import LateDraws
from archcheck.network.torch_state import default_torch_settings
from archcheck.structure.meta.building import build_seeded
from archcheck.structure.meta.module_tree import named_network, named_params

MAX_PARAMS: Final = 200_000_000  # that are drawn to see how they start
_SAMPLE: Final = 1 << 16  # numbers of a parameter that are looked at
_PART: Final = 1 << 11  # numbers, of which it's cheap to say how many are different
_SMALL: Final = 64  # numbers: parameters of fewer are put together


def measure_starts(build: NetworkFactory, seed: int) -> dict[str, Start]:
    """Build a network, and return what its parameters start from, by name: small ones by the last part of theirs.

    Raises:
        BuildError: it can't be built.
    """
    return {name: _start(shape, values, len(values)) for name, (shape, values) in _samples(build, seed).items()}


def record_starts(build: NetworkFactory) -> dict[str, dict[str, Any]]:
    """Return what the parameters of a network start from as plain values, by name: the mean of some builds.

    Left out are those that start from one value; those with heavy tails; and those whose numbers hang together, so that
    their moments differ from build to build by more than those of so many independent ones.

    Raises:
        BuildError: it can't be built.
    """
    samples = [_samples(build, 0)]
    num_params = sum(math.prod(shape) for shape, _ in samples[0].values())
    samples += [_samples(build, seed) for seed in range(1, _num_builds(num_params))]
    found = {}
    for name, (shape, values) in samples[0].items():
        drawn = [one[name][1] for one in samples if name in one and one[name][0] == shape]
        count = _num_different(values)
        starts = [_start(shape, one, count) for one in drawn]
        if len(starts) == len(samples) and all(one.std for one in starts) and are_of_chance(starts):
            found[name] = _as_plain(starts)
    return found


def _num_builds(num_params: int) -> int:
    """Return how many builds to record: the more, the surer it is that numbers don't hang together."""
    return 8 if num_params < 5_000_000 else 5 if num_params < 30_000_000 else BUILDS


def _as_plain(starts: list[Start]) -> dict[str, Any]:
    def mean(name: str) -> float:
        return float(f"{sum(getattr(one, name) for one in starts) / len(starts):.5g}")

    count = min(one.count for one in starts)
    moments = {name: mean(name) for name in ("mean", "std", "largest")}
    return {"shape": list(starts[0].shape), "count": count, **moments}


def _samples(build: NetworkFactory, seed: int) -> dict[str, tuple[tuple[int, ...], Tensor]]:
    """Return shape and numbers of each parameter of a network that is built under a seed; large ones in part."""
    with default_torch_settings(), torch.no_grad():
        with LateDraws() as draws, ValuesBeforeExposing(draws.late):
            params = named_params(named_network(build_seeded(build, seed)).modules)
        readable = {name: param for name, param in params.items() if _is_readable(param)}
        found = {
            name: (tuple(one.shape), _sample(one, draws)) for name, one in readable.items() if one.numel() >= _SMALL
        }
        small = [(name.rpartition(".")[2], one) for name, one in readable.items() if one.numel() < _SMALL]
        for kind, group in groupby(sorted(small, key=lambda item: item[0]), lambda item: item[0]):
            values = torch.cat([_numbers(one).double() for _, one in group])
            found[f"*.{kind}"] = ((len(values),), values)
    return found


def _is_readable(param: Tensor) -> bool:
    if is_lazy(param):
        return False
    is_plain = type(param.data) is Tensor and param.layout is torch.strided and not param.is_nested
    has_numbers = param.is_floating_point() or param.is_complex()
    return is_plain and has_numbers and not param.is_meta and param.numel() > 0


def _numbers(param: Tensor) -> Tensor:
    """Return the numbers of a parameter in a row, real and imaginary parts of complex ones."""
    param = param.detach()
    return (torch.view_as_real(param.resolve_conj()) if param.is_complex() else param).reshape(-1)


def _sample(param: Tensor, draws: LateDraws) -> Tensor:
    """Return some of a parameter's numbers; of one that nothing has read, no others are drawn."""
    values = _numbers(param)
    step = -(-len(values) // _SAMPLE) | 1  # odd, so that it is no column of a matrix
    drawn = draws.draw_some(param, len(values[::step]))
    return (values[::step] if drawn is None else drawn).double()


def _num_different(values: Tensor) -> int:
    """Return how many different numbers there are; where a part has hardly two alike, it's as many as there are."""
    part = values[:_PART]
    are_different = len(values) > _PART and len(torch.unique(part)) > 0.99 * _PART
    return len(values) if are_different else len(torch.unique(values))


def _start(shape: tuple[int, ...], values: Tensor, count: int) -> Start:
    mean = float(values.mean())
    centred = values - mean
    squares = centred.square()
    std = math.sqrt(float(squares.mean()))
    if not std > 1e-12 * abs(mean):
        return Start(shape, count, mean, 0.0, 0.0)
    kurtosis = float(squares.square().mean()) / std**4
    return Start(shape, count, mean, std, float(centred.abs().max()) / std, kurtosis)
