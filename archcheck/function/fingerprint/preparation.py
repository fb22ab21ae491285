"""Networks built without drawing their weights, and converted to the precision and device that they run in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archcheck.errors import NotMeasured, UsageError
from archcheck.function.fingerprint.config import CPU, FingerprintConfig
from archcheck.function.fingerprint.derived_weights import DerivedWeights
from archcheck.function.fingerprint.deterministic_random import DeterministicRandom, DrawSequence
from archcheck.function.fingerprint.digests import digest
from archcheck.function.fingerprint.double_precision import built_in
from archcheck.function.fingerprint.fixed_inputs import make_fixed_inputs
from archcheck.function.fingerprint.given_weights import GivenWeights, KeySupply
from archcheck.function.fingerprint.late_values import ValuesBeforeExposing
from archcheck.function.fingerprint.spectral_norm import SpectralVectors, find_spectral_vectors
from archcheck.function.fingerprint.storages import storage_key
from archcheck.function.fingerprint.weight_filler import WeightFiller
from archcheck.network.named_devices import AcceleratorsOnCpu
from archcheck.network.torch_state import has_drawn_since
from archcheck.structure.meta.building import build_on_cpu
from archcheck.structure.meta.function_caches import empty_function_caches
from archcheck.structure.meta.model_copy import GIVEN, copy_to_cpu
from archcheck.structure.meta.module_tree import (
    all_modules,
    named_buffers,
    named_network,
    named_params,
    parameters_of,
    set_training,
)
from archcheck.structure.meta.network_snapshot import STANDARD_ATTRIBUTES

NetworkFactory = Callable[[], nn.Module]


@dataclass(slots=True)
class PreparedNetwork:
    """A network whose weights wait to be filled.

    Attributes:
        filled: the parameters that get fixed values: all but constants that aren't trained, such as a fixed filter.
        drawn_buffers: the buffers that start from random numbers.
        unwritten_buffers: the buffers that start from whatever was in their memory.
        spectral: the vectors of weights with a spectral norm.
        initial_values: by parameter name, a number for the values that a parameter starts from where they aren't
            drawn: the constant, or a check of the values; None for values that no number is known for.
        placeholders: the names of buffers that wait for other values: those of zeros or ones that are saved.
        may_be_state: the names of what is constant and is state only if train mode writes to it.
        written: those of them that it does write to.
        seeds: of the generators that drew in the build.
    """

    model: nn.Module
    modules: dict[str, nn.Module]
    params: dict[str, Tensor]
    filled: dict[str, Tensor]
    drawn_buffers: list[Tensor] = field(default_factory=list)
    unwritten_buffers: list[Tensor] = field(default_factory=list)
    spectral: list[SpectralVectors] = field(default_factory=list)
    initial_values: dict[str, float | None] = field(default_factory=dict)
    placeholders: tuple[str, ...] = ()
    may_be_state: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    seeds: frozenset[int] = frozenset()

    def make_filler(self, gains: Mapping[str, int] | None, given: GivenWeights | None = None) -> WeightFiller:
        """Make the filler of all parameters that get fixed values, and of the buffers that can be filled."""
        params = {name: param for name, param in self.filled.items() if param.numel()}
        renamed = {} if given is None else given.renamed
        derived = DerivedWeights(given or GivenWeights(), params)
        waiting = (one for name, one in params.items() if name not in derived.names)
        held = {**self.params, **self.buffers()}
        supply = KeySupply(given, {id(held[name]): key for name, key in renamed.items() if name in held})
        state = [(name, held[name]) for name in (*self.placeholders, *sorted(self.written))]
        kernels = _kernels(self.modules)
        buffers = {"drawn": self.drawn_buffers, "unwritten": self.unwritten_buffers}
        return WeightFiller(waiting, state, gains or {}, buffers, self.spectral, kernels, supply, derived)

    def buffers(self) -> dict[str, Tensor]:
        """Return the buffers by their names, as they are now: a network may replace them."""
        return named_buffers(self.modules)

    def saved_names(self) -> set[str]:
        """Return the names of the parameters, and of the buffers that a state_dict holds."""
        return (self.params.keys() | self.buffers().keys()) - _transient_names(self.modules)


def _transient_names(modules: Mapping[str, nn.Module]) -> set[str]:
    """Return the names of the buffers that no state_dict holds."""
    return {
        f"{name}.{one}" if name else one
        for name, module in modules.items()
        for one in module._non_persistent_buffers_set
    }


def _kernels(modules: Mapping[str, nn.Module]) -> Iterator[Tensor]:
    """Yield the kernels of convolutions, one of which to one channel has the shape of a scale."""
    for module in modules.values():
        is_convolution = "Conv" in getattr(module, "original_name", type(module).__name__)
        weight = dict(module._parameters.items()).get("weight") if is_convolution else None
        if weight is not None:
            yield weight


_NEUTRAL: Final = (0.0, 1.0)  # the values that state starts from, as running statistics do


def _saved_constants(modules: Mapping[str, nn.Module]) -> dict[str, float]:
    """Return the value of each saved buffer, by name, that has the same one everywhere."""
    transient = _transient_names(modules)
    found: dict[str, float] = {}
    for name, buffer in named_buffers(modules).items():
        dense = buffer.layout is torch.strided and not buffer.is_nested
        constant = _constant_of(buffer) if dense and name not in transient else None
        if constant is not None and math.isfinite(constant):
            found[name] = constant
    return found


def prepare_for_filling(
    build: NetworkFactory, config: FingerprintConfig, make_draws: Callable[[], DrawSequence] = DrawSequence
) -> PreparedNetwork:
    """Build a network without drawing its weights, in the precision that it's run in.

    make_draws: gives the numbers that are drawn in a build.

    Raises:
        NotMeasured: it has weights that can't be filled.
    """
    model, random = _built(build, config, make_draws)
    model_drew = has_drawn_since(config.seed)
    is_known = config.knows_initial_values
    if not _is_new(model, random):  # shared with somebody: an attribute of a module, a cached one
        random.late.make(list(parameters_of(model)))
        model, is_known = _copied(model), False
    modules = named_network(model).modules
    _refuse_unfillable(modules)
    if any(is_lazy(param) for param in named_params(modules).values()):
        _initialize_lazy_modules(model, config, random)
        modules = named_network(model).modules  # lazy modules have become others
        lazy = [name for name, param in named_params(modules).items() if is_lazy(param)]
        if lazy:
            raise NotMeasured(
                f"the forward never reaches {', '.join(lazy)}, which therefore have no shape to be filled"
            )
    params = named_params(modules)
    undrawn = {name: one for name, one in params.items() if not _is_drawn(one, random)}
    by_others = _drawn_by_others(undrawn, modules, model_drew, build, config, make_draws) if is_known else []
    undrawn = {name: one for name, one in undrawn.items() if name not in by_others}
    constant = {id(one) for one in undrawn.values() if (is_known or GIVEN in vars(one)) and not one.requires_grad}
    constant |= {id(one) for one in params.values() if _is_whole(one)}  # an order of channels, as buffers hold it, too
    initial_values = {  # of what is to be trained: a frozen constant is what it is in every pass, as a buffer is
        name: _initial_value(param, is_known and not random.is_foreign(param))
        for name, param in undrawn.items()
        if id(param) not in constant
    }
    may_be_state = {name for name, one in undrawn.items() if id(one) in constant and one.ndim and _has_one_value(one)}
    constants = _saved_constants(modules)
    placeholders = tuple(name for name, value in constants.items() if value in _NEUTRAL)
    may_be_state |= constants.keys() - set(placeholders)
    spectral = list(find_spectral_vectors(modules, random.is_drawn))
    settings = {id(one.weight): one.setting for one in spectral}
    initial_values |= {name: settings[id(one)] for name, one in params.items() if id(one) in settings}
    drawn = [
        name
        for name, one in named_buffers(modules).items()
        if name in by_others or (one.is_floating_point() and random.is_drawn(one))
    ]
    unwritten = {name for name in drawn if random.is_unwritten(named_buffers(modules)[name])}
    _convert(modules, config.dtype, config.device, constant)
    filled = {name: param for name, param in params.items() if id(param) not in constant}
    buffers = named_buffers(modules)
    return PreparedNetwork(
        model,
        modules,
        params,
        filled,
        [buffers[name] for name in drawn if name in buffers and name not in unwritten],
        [buffers[name] for name in drawn if name in buffers and name in unwritten],
        spectral,
        initial_values,
        placeholders,
        frozenset(may_be_state),
        seeds=random.seeds,
    )


def _built(
    build: NetworkFactory, config: FingerprintConfig, make_draws: Callable[[], DrawSequence]
) -> tuple[nn.Module, DeterministicRandom]:
    """Build in the precision of the run; as it is where the constructor doesn't bear that."""
    try:
        built = _built_with(config.dtype, build, config, make_draws)
        empty_function_caches(all_modules(built[0]))
        return built
    except Exception as error:
        empty_function_caches(error=error)
        return _built_with(None, build, config, make_draws)


def _built_with(
    dtype: torch.dtype | None,
    build: NetworkFactory,
    config: FingerprintConfig,
    make_draws: Callable[[], DrawSequence],
) -> tuple[nn.Module, DeterministicRandom]:
    precision = nullcontext() if dtype is None else built_in(dtype)
    with (
        DeterministicRandom(make_draws(), traces_draws=True) as random,
        precision,
        ValuesBeforeExposing(random.late),
    ):
        return build_on_cpu(build, config.seed), random


def _drawn_by_others(
    undrawn: Mapping[str, Tensor],
    modules: Mapping[str, nn.Module],
    others_drew: bool,
    build: NetworkFactory,
    config: FingerprintConfig,
    make_draws: Callable[[], DrawSequence],
) -> list[str]:
    """Return the parameters and buffers that NumPy or Python has drawn: those that differ under another seed.

    others_drew: whether these have drawn anything in the build; if not, only what is to be trained is looked at.
    """
    unsure = {name: one for name, one in undrawn.items() if others_drew or one.requires_grad}
    if others_drew:
        unsure |= {name: one for name, one in named_buffers(modules).items() if _may_be_weight(one)}
    unsure = {name: one for name, one in unsure.items() if _has_several_values(one)}
    if not unsure:
        return []
    again, _ = _built(build, replace(config, seed=config.seed + 1), make_draws)
    there = named_network(again).modules
    others = {**named_params(there), **named_buffers(there)}
    return [name for name, one in unsure.items() if name in others and not _are_equal(one, others[name])]


def _may_be_weight(buffer: Tensor) -> bool:
    """Return whether a buffer may be a weight that isn't trained; one that is never negative may be a mask."""
    is_dense = buffer.is_floating_point() and buffer.layout is torch.strided and not buffer.is_meta
    return is_dense and not buffer.is_nested and buffer.ndim > 1 and bool((buffer < 0).any())


def _has_several_values(param: Tensor) -> bool:
    return not param.is_meta and param.numel() > 0 and _constant_of(param) is None


def _are_equal(a: Tensor, b: Tensor) -> bool:
    return (
        not is_lazy(b)
        and a.shape == b.shape
        and a.dtype == b.dtype
        and not b.is_meta
        and torch.equal(a.detach(), b.detach())
    )


def _is_new(model: nn.Module, random: DeterministicRandom) -> bool:
    """Return whether all parameters of a network were made while it was built."""
    return all(random.has_made(one) or storage_key(one) is None for one in parameters_of(model))


def _copied(model: nn.Module) -> nn.Module:
    """Copy a network with the statistics of an untrained one: somebody may have run it in train mode."""
    try:
        copied = copy_to_cpu(model)
    except UsageError as error:
        raise NotMeasured(str(error)) from None
    for module in all_modules(copied):
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()
    return copied


def _is_whole(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex())


def _refuse_unfillable(modules: Mapping[str, nn.Module]) -> None:
    for name, module in modules.items():
        packed = [key for key, value in vars(module).items() if isinstance(value, torch.ScriptObject)]
        if packed and not isinstance(module, torch.jit.ScriptModule):
            raise NotMeasured(
                f"{name or type(module).__name__} keeps its weights in {packed[0]}, which can't be filled"
            )
    for name, tensor in {**named_params(modules), **named_buffers(modules)}.items():
        is_param = isinstance(tensor, nn.Parameter)
        plain = type(tensor.data) is Tensor and not tensor.is_quantized
        plain = plain and (tensor.layout is torch.strided or not is_param)  # a sparse buffer keeps its values
        quantized_weight = is_param and tensor.dtype in (torch.int8, torch.uint8)
        if not is_lazy(tensor) and (not plain or quantized_weight):
            kind = type(tensor.data).__name__ if type(tensor.data) is not Tensor else str(tensor.dtype)
            raise NotMeasured(f"{name} is a {kind.removeprefix('torch.')}, which can't be filled with fixed weights")


def _initialize_lazy_modules(model: nn.Module, config: FingerprintConfig, random: DeterministicRandom) -> None:
    """Run a first forward pass, in which lazy modules get their shapes."""
    args, kwargs = make_fixed_inputs(config.inputs, config.dtype, CPU)
    training = {module: module.training for module in all_modules(model)}
    with torch.no_grad(), random, AcceleratorsOnCpu(), built_in(config.dtype):
        set_training(model, False)
        model(*args, **kwargs)
    for module in all_modules(model):
        module.training = training.get(module, module.training)


def _is_drawn(param: Tensor, random: DeterministicRandom) -> bool:
    return random.late.waiting(param) is not None or (random.is_drawn(param) and not _has_one_value(param))


def _has_one_value(param: Tensor) -> bool:
    """Return whether a parameter has one value everywhere, however it was given to it: then it isn't a drawn one."""
    return param.numel() > 1 and _constant_of(param) is not None


def _initial_value(param: Tensor, is_known: bool) -> float | None:
    """Return a number for a parameter's values: the constant, or a check where it's known that none is drawn."""
    constant = _constant_of(param)
    if constant is not None or not is_known or param.is_meta or not param.is_floating_point():
        return constant
    found = digest(param)
    return None if found is None else found.check


def _constant_of(param: Tensor) -> float | None:
    """Return the one value that a parameter has everywhere; None where it has several, or none that can be read."""
    if not param.numel() or param.is_meta or not param.is_floating_point():
        return None
    values = param.detach().reshape(-1)
    if float(values[0]) != float(values[-1]):  # as of nearly all: the cheapest question comes first
        return None
    low, high = (float(one) for one in torch.aminmax(values.double()))
    return low if low == high else None


def _convert(modules: Mapping[str, nn.Module], dtype: torch.dtype, device: torch.device, constant: set[int]) -> None:
    """Replace weights by empty memory to be filled, and convert all other floating-point tensors to `dtype`."""
    for param in named_params(modules).values():
        wanted = param.dtype if _is_whole(param) else torch.complex128 if param.is_complex() else dtype
        made = (
            param.data.to(device, wanted)
            if id(param) in constant
            else torch.empty_like(param, dtype=wanted, device=device)
        )
        param.data, param.grad = made.contiguous(), None
    conversion = _Conversion(dtype, device)
    for module in modules.values():
        if not isinstance(module, torch.jit.ScriptModule):
            for name in vars(module).keys() - STANDARD_ATTRIBUTES:
                vars(module)[name] = conversion.of(vars(module)[name])
            # Buffers are copied: a module-level instance, or a table that is shared, keeps its own.
            module._buffers |= {n: conversion.of_buffer(b) for n, b in module._buffers.items() if b is not None}


class _Conversion:
    """Converts what modules hold to one precision and one device; what they share they share afterwards."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self._dtype, self._device = dtype, device
        self._done: dict[int, tuple[Any, Any]] = {}  # by identity, what was there, which keeps it alive, and what is

    def of(self, value: Any) -> Any:
        """Convert a tensor, or those in lists, tuples and dicts; whatever needs no conversion stays the same object."""
        if isinstance(value, Tensor):
            return value if isinstance(value, nn.Parameter) or value.is_meta else self._once(value, self._tensor)
        if type(value) in (list, tuple, dict):
            return self._once(value, self._container)
        return value

    def of_buffer(self, value: Tensor) -> Tensor:
        """Convert a buffer to one of its own, which modules that share it share."""
        made: Tensor = self._once(value, lambda one: self._tensor(one).clone())
        return made

    def _once(self, value: Any, convert: Callable[[Any], Any]) -> Any:
        if id(value) not in self._done:
            self._done[id(value)] = (value, value)  # a list may contain itself
            self._done[id(value)] = (value, convert(value))
        return self._done[id(value)][1]

    def _tensor(self, tensor: Tensor) -> Tensor:
        wanted = tensor.dtype
        if tensor.is_complex():
            wanted = torch.complex128 if self._dtype is torch.float64 else torch.complex64
        elif tensor.is_floating_point():
            wanted = self._dtype
        if tensor.dtype is wanted and tensor.device == self._device:
            return tensor
        return tensor.detach().to(self._device, wanted).requires_grad_(tensor.requires_grad)

    def _container(self, held: Any) -> Any:
        items = list(held.values()) if isinstance(held, dict) else list(held)
        made = [self.of(item) for item in items]
        if all(new is old for new, old in zip(made, items, strict=True)):
            return held
        return dict(zip(held, made, strict=True)) if isinstance(held, dict) else type(held)(made)
