"""Networks built without drawing their weights, and converted to the precision and device that they run in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archcheck.errors import NotMeasured, UsageError
from archcheck.function.fingerprint.config import CPU, FingerprintConfig
from archcheck.function.fingerprint.deterministic_random import DeterministicRandom, DrawSequence
from archcheck.function.fingerprint.digests import digest
from archcheck.function.fingerprint.fixed_inputs import make_fixed_inputs
from archcheck.function.fingerprint.weight_filler import WeightFiller
from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta.building import build_seeded
from archcheck.structure.meta.model_copy import copy_to_cpu
from archcheck.structure.meta.module_tree import named_network
from archcheck.structure.meta.network_snapshot import STANDARD_ATTRIBUTES

NetworkFactory = Callable[[], nn.Module]

_OWN_REFERENCES: Final = 2  # to a network that nobody else holds: the variable, and the argument of getrefcount


@dataclass(slots=True)
class PreparedNetwork:
    """A network whose weights wait to be filled.

    Attributes:
        filled: the parameters that get fixed values: all but constants that aren't trained, such as a fixed filter.
        initial_values: by parameter name, a number for the values that a parameter starts from where they aren't
            drawn: the constant, or a check of the values; None for values that no number is known for.
    """

    model: nn.Module
    modules: dict[str, nn.Module]
    params: dict[str, Tensor]
    filled: dict[str, Tensor]
    initial_values: dict[str, float | None] = field(default_factory=dict)

    def make_filler(self, gains: Mapping[int, int] | None) -> WeightFiller:
        """Make the filler of all parameters that get fixed values, and of the statistics in buffers."""
        params = (param for param in self.filled.values() if param.numel())
        return WeightFiller(params, _statistics(self.model), gains or {})


def _statistics(model: nn.Module) -> Iterator[Tensor]:
    """Yield the buffers that a network keeps statistics in: those that start from a constant."""
    for buffer in model.buffers():
        if buffer.is_floating_point() and buffer.ndim and buffer.numel():
            low, high = torch.aminmax(buffer)
            if low == high and bool(torch.isfinite(low)):
                yield buffer


def prepare_for_filling(build: NetworkFactory, config: FingerprintConfig, salt: str = "") -> PreparedNetwork:
    """Build a network without drawing its weights, in the precision that it's run in.

    Draws of a network with another `salt` differ.

    Raises:
        NotMeasured: it has weights that can't be filled.
    """
    random, is_known = DeterministicRandom(DrawSequence(salt), traces_draws=True), config.knows_initial_values
    with random:
        model = build_seeded(build, config.seed)
        if sys.getrefcount(model) > _OWN_REFERENCES:  # shared with somebody: an attribute of a module, a cached one
            model, is_known = _copied(model), False
    _refuse_unfillable(model)
    if any(is_lazy(param) for param in model.parameters()):
        _initialize_lazy_modules(model, config.inputs, random)
        lazy = [name for name, param in model.named_parameters() if is_lazy(param)]
        if lazy:
            raise NotMeasured(
                f"the forward never reaches {', '.join(lazy)}, which therefore have no shape to be filled"
            )
    params: dict[str, Tensor] = dict(model.named_parameters())
    undrawn = {name: param for name, param in params.items() if not random.is_drawn(param)}
    initial_values = {name: _initial_value(param, is_known) for name, param in undrawn.items()}
    constant = {id(param) for param in undrawn.values() if is_known and not param.requires_grad}
    _convert(model, config.dtype, config.device, constant)
    filled = {name: param for name, param in params.items() if id(param) not in constant}
    return PreparedNetwork(model, named_network(model).modules, params, filled, initial_values)


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy_to_cpu(model)
    except UsageError as error:
        raise NotMeasured(str(error)) from None


def _refuse_unfillable(model: nn.Module) -> None:
    for name, module in model.named_modules():
        packed = [key for key, value in vars(module).items() if isinstance(value, torch.ScriptObject)]
        if packed and not isinstance(module, torch.jit.ScriptModule):
            raise NotMeasured(
                f"{name or type(module).__name__} keeps its weights in {packed[0]}, which can't be filled"
            )
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        plain = type(tensor.data) is Tensor and not tensor.is_quantized and tensor.layout is torch.strided
        integer_weight = isinstance(tensor, nn.Parameter) and not (tensor.is_floating_point() or tensor.is_complex())
        if not is_lazy(tensor) and (not plain or integer_weight):
            kind = type(tensor.data).__name__ if type(tensor.data) is not Tensor else str(tensor.dtype)
            raise NotMeasured(f"{name} is a {kind.removeprefix('torch.')}, which can't be filled with fixed weights")


def _initialize_lazy_modules(model: nn.Module, inputs: ForwardInput, random: DeterministicRandom) -> None:
    """Run a first forward pass, in which lazy modules get their shapes."""
    args, kwargs = make_fixed_inputs(inputs, torch.float32, CPU)
    training = {module: module.training for module in model.modules()}
    with torch.no_grad(), random:
        model.eval()
        model(*args, **kwargs)
    for module in model.modules():
        module.training = training.get(module, module.training)


def _initial_value(param: Tensor, is_known: bool) -> float | None:
    """Return a number for a parameter's values: the constant, or a check where it's known that none is drawn."""
    if not param.numel() or param.is_meta or not param.is_floating_point():
        return None
    low, high = (float(one) for one in torch.aminmax(param.detach()))
    if low == high:
        return low
    found = digest(param) if is_known else None
    return None if found is None else found.check


def _convert(model: nn.Module, dtype: torch.dtype, device: torch.device, constant: set[int]) -> None:
    """Replace weights by empty memory to be filled, and convert all other floating-point tensors to `dtype`."""

    def converted(value: Any) -> Any:
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter) and not value.is_meta:
            made = value.detach().to(device, dtype if value.is_floating_point() else value.dtype)
            return made.requires_grad_(value.requires_grad)
        if type(value) in (list, tuple):
            return type(value)(converted(item) for item in value)
        return {key: converted(item) for key, item in value.items()} if type(value) is dict else value

    for param in model.parameters():
        wanted = torch.complex128 if param.is_complex() else dtype
        made = (
            param.data.to(device, wanted)
            if id(param) in constant
            else torch.empty_like(param, dtype=wanted, device=device)
        )
        param.data, param.grad = made.contiguous(), None
    for module in model.modules():
        if not isinstance(module, torch.jit.ScriptModule):
            for name in vars(module).keys() - STANDARD_ATTRIBUTES:
                vars(module)[name] = converted(vars(module)[name])
            # Buffers are copied: a module-level instance, or a table that is shared, keeps its own.
            module._buffers |= {n: converted(b).clone() for n, b in module._buffers.items() if b is not None}
