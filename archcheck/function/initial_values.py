"""What the weights of a network start from, measured on networks that are built for real."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from itertools import groupby
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from archcheck.function.fingerprint.deterministic_random import DeterministicRandom, DrawSequence
from archcheck.function.fingerprint.late_values import ValuesBeforeExposing
from archcheck.function.fingerprint.preparation import NetworkFactory
from archcheck.function.initial_comparison import BUILDS, Start, are_of_chance
from archcheck.function.late_draws import LateDraws
from archcheck.network.torch_state import default_torch_settings
from archcheck.structure.meta.building import build_on_cpu
from archcheck.structure.meta.module_tree import named_buffers, named_network, named_params

MAX_PARAMS: Final = 200_000_000  # that are drawn to see how they start
_SAMPLE: Final = 1 << 16  # numbers of a parameter that are looked at
_PART: Final = 1 << 11  # numbers, of which it's cheap to say how many are different
_SMALL: Final = 64  # numbers: parameters of fewer are put together
_FEW_VALUES: Final = 16  # different ones of a buffer, as a mask's two: how many numbers there are says more than these


class _Sample(NamedTuple):
    """Some numbers of a parameter or a buffer, or all of several small ones, and the shape of the whole."""

    shape: tuple[int, ...]
    values: Tensor
    is_buffer: bool


def measure_starts(
    build: NetworkFactory, seed: int, known: Collection[str] = (), *, finds_buffers: bool = False
) -> dict[str, Start]:
    """Build a network, and return what its tensors start from, by name: small ones by the last part of theirs.

    These are the parameters and the buffers whose name is known. Drawn buffers of other names are there, too, where
    they are to be found, or where a known name is gone, as they may be its successors; this takes further builds.

    Raises:
        BuildError: it can't be built.
    """
    samples = _samples(build, seed)
    others = {name for name, one in samples.items() if one.is_buffer} - set(known)
    are_constant = all(_has_one_value(samples[name].values) for name in others)
    if not are_constant and (finds_buffers or set(known) - samples.keys()):
        others -= _drawn_buffers(build, samples, _samples(build, seed + 1))
    return {name: _start(one, len(one.values)) for name, one in samples.items() if name not in others}


def record_starts(build: NetworkFactory) -> dict[str, dict[str, Any]]:
    """Return what parameters and drawn buffers start from as plain values, by name: the mean of some builds.

    Left out are those that start from one value; those with heavy tails; and those whose numbers hang together, so that
    their moments differ from build to build by more than those of so many independent ones.

    Raises:
        BuildError: it can't be built.
    """
    samples = [_samples(build, 0)]
    num_params = sum(math.prod(one.shape) for one in samples[0].values() if not one.is_buffer)
    samples += [_samples(build, seed) for seed in range(1, _num_builds(num_params))]
    drawn = _drawn_buffers(build, *samples[:2])
    found = {}
    for name, first in samples[0].items():
        if first.is_buffer and name not in drawn:
            continue
        alike = [one[name] for one in samples if name in one and one[name].shape == first.shape]
        count = _num_different(first)
        starts = [_start(one, count) for one in alike]
        if len(starts) == len(samples) and all(one.std for one in starts) and are_of_chance(starts):
            found[name] = _as_plain(starts)
    return found


def _drawn_buffers(build: NetworkFactory, first: Mapping[str, _Sample], second: Mapping[str, _Sample]) -> set[str]:
    """Return which buffers are drawn: those that differ under two seeds, and what torch draws under a seed of its own.

    A table of constants is part of the function, which tells what becomes of it, however it's written down.
    """
    buffers = {name: one.values for name, one in first.items() if one.is_buffer}
    drawn = {name for name, one in buffers.items() if name in second and not torch.equal(one, second[name].values)}
    is_sure = all(_has_one_value(buffers[name]) for name in buffers.keys() - drawn)
    return drawn if is_sure else drawn | _drawn_by_torch(build)


def _has_one_value(values: Tensor) -> bool:
    return bool((values == values[0]).all())


def _drawn_by_torch(build: NetworkFactory) -> set[str]:
    with default_torch_settings(), torch.no_grad():
        with DeterministicRandom(DrawSequence(), traces_draws=True) as random, ValuesBeforeExposing(random.late):
            buffers = named_buffers(named_network(build_on_cpu(build)).modules)
        readable = {name: one for name, one in buffers.items() if _is_readable(one, is_buffer=True)}
        return {_key(name, one, is_buffer=True) for name, one in readable.items() if random.is_drawn(one)}


def _num_builds(num_params: int) -> int:
    """Return how many builds to record: the more, the surer it is that numbers don't hang together."""
    return 8 if num_params < 5_000_000 else 5 if num_params < 30_000_000 else BUILDS


def _as_plain(starts: list[Start]) -> dict[str, Any]:
    def mean(name: str) -> float:
        return float(f"{sum(getattr(one, name) for one in starts) / len(starts):.5g}")

    count = min(one.count for one in starts)
    moments = {name: mean(name) for name in ("mean", "std", "largest")}
    return {"shape": list(starts[0].shape), "count": count, **moments}


def _samples(build: NetworkFactory, seed: int) -> dict[str, _Sample]:
    """Return numbers of each parameter and buffer of a network that is built under a seed; of large ones some."""
    with default_torch_settings(), torch.no_grad():
        with LateDraws() as draws, ValuesBeforeExposing(draws.late):
            modules = named_network(build_on_cpu(build, seed)).modules
        params = _samples_of(named_params(modules), draws, is_buffer=False)
        return params | _samples_of(named_buffers(modules), draws, is_buffer=True)


def _samples_of(tensors: Mapping[str, Tensor], draws: LateDraws, *, is_buffer: bool) -> dict[str, _Sample]:
    readable = {name: one for name, one in tensors.items() if _is_readable(one, is_buffer=is_buffer)}
    found = {
        name: _Sample(tuple(one.shape), _sample(one, draws), is_buffer)
        for name, one in readable.items()
        if one.numel() >= _SMALL
    }
    small = [(_key(name, one, is_buffer=is_buffer), one) for name, one in readable.items() if one.numel() < _SMALL]
    for key, group in groupby(sorted(small, key=lambda item: item[0]), lambda item: item[0]):
        values = torch.cat([_numbers(one).double() for _, one in group])
        found[key] = _Sample((len(values),), values, is_buffer)
    return found


def _key(name: str, tensor: Tensor, *, is_buffer: bool) -> str:
    """Return by what name the numbers of a tensor are kept: one for all small ones whose names end alike."""
    if tensor.numel() >= _SMALL:
        return name
    return f"*.{name.rpartition('.')[2]}" + (" (buffers)" if is_buffer else "")


def _is_readable(tensor: Tensor, *, is_buffer: bool) -> bool:
    """Return whether a tensor has numbers whose moments tell something; a mask's do, an index's don't."""
    if is_lazy(tensor):
        return False
    is_plain = type(tensor.data) is Tensor and tensor.layout is torch.strided and not tensor.is_nested
    has_numbers = tensor.is_floating_point() or tensor.is_complex() or (is_buffer and tensor.dtype is torch.bool)
    return is_plain and has_numbers and not tensor.is_meta and tensor.numel() > 0


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


def _num_different(sample: _Sample) -> int:
    """Return how many different numbers there are; where a part has hardly two alike, it's as many as there are.

    A drawn mask has two, and its mean is the rate: half of its numbers count, as some may hang together.
    """
    values = sample.values
    part = values[:_PART]
    are_different = len(values) > _PART and len(torch.unique(part)) > 0.99 * _PART
    count = len(values) if are_different else len(torch.unique(values))
    return len(values) // 2 if sample.is_buffer and count < _FEW_VALUES else count


def _start(sample: _Sample, count: int) -> Start:
    shape, values, _ = sample
    mean = float(values.mean())
    centred = values - mean
    squares = centred.square()
    std = math.sqrt(float(squares.mean()))
    if not std > 1e-12 * abs(mean):
        return Start(shape, count, mean, 0.0, 0.0)
    kurtosis = float(squares.square().mean()) / std**4
    return Start(shape, count, mean, std, float(centred.abs().max()) / std, kurtosis)
