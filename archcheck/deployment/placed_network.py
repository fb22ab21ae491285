"""A network on the device that is pretended: its weights and buffers as `.to(device)` moves them, all else as built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from archcheck.deployment.shadow_values import ShadowValues
from archcheck.spec.inputs import ForwardInput
from archcheck.structure.meta.building import build_seeded
from archcheck.structure.meta.inputs import make_inputs
from archcheck.structure.meta.module_tree import all_modules, buffers_of, parameters_of

_FILLING: Final = ("uniform_", "normal_", "erfinv_", "mul_", "add_", "clamp_", "bernoulli_", "exponential_")
_INITIALISING: Final = ("uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_")
_COMPARISONS: Final = frozenset({Tensor.lt, Tensor.gt})


class _Undrawn(TorchFunctionMode):
    """Leaves weights as they are allocated, where nobody reads them: drawing them is most of the time of a build."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped = {getattr(Tensor, name) for name in _FILLING} | {getattr(nn.init, n) for n in _INITIALISING}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func in _COMPARISONS and isinstance(args[0], nn.Parameter) and isinstance(args[1], int | float):
            # As trunc_normal_ asks of what it has drawn, and draws again what is beyond a bound.
            return torch.zeros((), dtype=torch.bool).expand(args[0].shape)
        tensor = (args[0] if args else named.get("tensor")) if func in self._skipped else None
        return tensor if isinstance(tensor, nn.Parameter) else func(*args, **named)


def build_with_values(make: Callable[[], nn.Module], *, drawn: bool) -> nn.Module:
    """Build a network on the CPU, with its weights drawn or not."""
    if drawn:
        return build_seeded(make)
    with _Undrawn():
        return build_seeded(make)


def place(network: nn.Module, values: ShadowValues | None) -> None:
    """Move what `.to(device)` moves of a network to meta: parameters stay the same objects, buffers become others.

    Raises:
        Exception: whatever a network raises that can't be moved.
    """
    before = {} if values is None else {key: one.detach() for key, one in _tensors(network).items() if not is_lazy(one)}
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(not any(map(is_lazy, parameters_of(network))))
    try:
        network.to("meta")
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swaps)
    for key, tensor in _tensors(network).items():
        if values is not None and key in before and tensor.is_meta:
            values.write(tensor.detach(), before[key])


def _tensors(network: nn.Module) -> dict[tuple[int, str], Tensor]:
    """Return parameters and buffers by the number of their module, and their names in it."""
    return {
        (number, name): tensor
        for number, module in enumerate(all_modules(network))
        for held in (module._parameters, module._buffers)
        for name, tensor in held.items()
        if tensor is not None
    }


def placed_inputs(item: ForwardInput, values: ShadowValues | None) -> tuple[list[Any], dict[str, Any]]:
    """Make the arguments of a forward pass on meta, with values beside them if asked for."""
    if values is None:
        return make_inputs(item, "meta")
    made: tuple[list[Any], dict[str, Any]] = tree_map_only(Tensor, values.place, make_inputs(item, "cpu"))
    return made


def is_on_cpu(network: nn.Module) -> bool:
    """Return whether all weights and buffers are on the CPU, from which alone they can be moved as a user would."""
    return all(one.device.type == "cpu" for one in (*parameters_of(network), *buffers_of(network)))
