"""The same weights for two networks: by name, or by the order in which the forward first uses them."""

from __future__ import annotations

import linecache
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .values import Inputs, are_equal, flatten

SIGNED: Final = "signed"
NEGATIVE: Final = "negative"
SMALL: Final = "small"
VARIANTS: Final = (
    "",
    "other",
    "third",
    SIGNED,
    NEGATIVE,
    SMALL,
)  # of weights; of some, vectors have both signs, are negative, or are small with both signs
_LOOKS: Final = (
    "dtype",
    "device",
    "shape",
    "requires_grad",
    "is_cuda",
    "is_nested",
    "ndim",
)  # at a tensor: no use of it

Fill = Callable[[nn.Module, str, Inputs, str], None]


def load(source: str, seed: int = 0) -> nn.Module:
    """The network that a source text builds."""
    module = ModuleType("net")
    linecache.cache["net.py"] = (len(source), None, source.splitlines(keepends=True), "net.py")  # torch.jit reads it
    sys.modules["net"] = module  # and so do dataclasses
    exec(compile(source, "net.py", "exec", dont_inherit=True), module.__dict__)
    torch.manual_seed(seed)
    built: nn.Module = module.__dict__["build"]()
    return built


def fill_by_name(model: nn.Module, source: str, _inputs: Inputs, variant: str) -> None:
    """The same values for the same name and shape."""
    for name, value in _filled(model, source):
        _fill(value, f"{variant} {name}", _factors(value, variant))


def fill_by_use(model: nn.Module, source: str, inputs: Inputs, variant: str) -> None:
    """The same values for the same place among those of its shape, by first use in eval and then in train mode.

    Another copy of the network is run to find the order: a forward may leave its traces.
    """
    scratch = load(source).double()
    with torch.compiler.set_stance("force_eager"), _FirstUse(dict(_filled(scratch, source))) as uses:
        for mode in (False, True):
            scratch.train(mode)
            try:
                inputs.run(scratch)
            except Exception:  # a train mode that can't run is observed as such elsewhere
                if not mode:
                    raise
    values, places = dict(_filled(model, source)), Counter[str]()
    for name in dict.fromkeys([*uses.found, *values]):  # TorchScript shows no uses
        if name in values:
            core = values[name].detach().squeeze()  # a 1x1 convolution's is a linear layer's
            kind = f"{list(core.shape)} {values[name].requires_grad}"
            _fill(core, f"{kind} {places[kind]}", _factors(values[name], variant))
            places[kind] += 1
    _settle_singular(model)


def _settle_singular(model: nn.Module) -> None:
    """Put in what spectral norm's power iteration would end at, which is the same for every way to iterate."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name in [name for name in tensors if name.endswith("_u")]:
        owners = (name.removesuffix("0._u") + "original", name.removesuffix("_u") + "_orig", name.removesuffix("_u"))
        weight = next(tensors[owner] for owner in owners if owner in tensors).detach()
        left, _, right = torch.linalg.svd(weight.flatten(1), full_matrices=False)
        sign = right[0].sum().sign()
        tensors[name].copy_(left[:, 0] * sign)
        tensors[name[:-1] + "v"].copy_(right[0] * sign)


def _filled(model: nn.Module, source: str) -> Iterator[tuple[str, Tensor]]:
    """What gets a pattern: parameters, running statistics and what is drawn; tables and masks are what they are."""
    given = find_given(source)
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if name not in given and value.is_floating_point():
            yield name, value


@lru_cache(maxsize=4)
def find_given(source: str) -> frozenset[str]:
    """Tables and masks: buffers, and frozen parameters, that start with the same values under every seed."""
    first, second = (load(source, seed) for seed in (0, 1))
    others = {**dict(second.named_parameters()), **dict(second.named_buffers())}
    fixed = [
        *(one for one in first.named_parameters() if not one[1].requires_grad),
        *(one for one in first.named_buffers() if "running" not in one[0]),
    ]
    return frozenset(name for name, value in fixed if are_equal(value, others[name]))


def _factors(value: Tensor, variant: str) -> tuple[float, float]:
    """What a vector's even and odd elements are multiplied by; statistics stay positive."""
    if not isinstance(value, nn.Parameter):
        return 1, 1
    return {SIGNED: (-1, 1), NEGATIVE: (-1, -1), SMALL: (-1e-3, 1e-3)}.get(variant, (1, 1))


def _fill(value: Tensor, key: str, factors: tuple[float, float]) -> None:
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    if value.dim() > 1:
        filled = torch.randn(value.shape, generator=generator, dtype=torch.float64) * (2 / value[0].numel()) ** 0.5
    else:
        filled = torch.rand(value.shape, generator=generator, dtype=torch.float64) + 0.5
        if value.dim():
            filled[::2] *= factors[0]
            filled[1::2] *= factors[1]
    value.data.copy_(filled)


class _FirstUse(TorchFunctionMode):
    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.names = {id(value): name for name, value in tensors.items()}
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(getattr(func, "__self__", None), "__name__", "") not in _LOOKS:
            for tensor in flatten([*args, *(kwargs or {}).values()]):
                if id(tensor) in self.names:
                    self.found.append(self.names.pop(id(tensor)))
        return func(*args, **(kwargs or {}))
