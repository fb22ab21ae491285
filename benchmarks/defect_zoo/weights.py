"""The same weights for two networks: by name, or by the order in which the forward first uses them."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .values import Inputs, flatten

_LOOKS: Final = (
    "dtype",
    "device",
    "shape",
    "requires_grad",
    "is_cuda",
    "is_nested",
    "ndim",
)  # at a tensor: no use of it

Fill = Callable[[nn.Module, str, Inputs, int], None]


def load(source: str, seed: int = 0) -> nn.Module:
    """The network that a source text builds."""
    module = ModuleType("net")
    exec(compile(source, "net.py", "exec", dont_inherit=True), module.__dict__)
    torch.manual_seed(seed)
    built: nn.Module = module.__dict__["build"]()
    return built


def fill_by_name(model: nn.Module, source: str, _inputs: Inputs, sign: int) -> None:
    """The same values for the same name and shape; vectors are of one sign."""
    for name, value in _filled(model, source):
        _fill(value, zlib.crc32(name.encode()), sign)


def fill_by_use(model: nn.Module, source: str, inputs: Inputs, sign: int) -> None:
    """The same values for the same place in the order of first use, in eval and then in train mode, of one shape.

    Another copy of the network is run to find the order: a forward may leave its traces.
    """
    scratch = load(source).double()
    with _FirstUse(dict(_filled(scratch, source))) as uses:
        for mode in (False, True):
            scratch.train(mode)
            try:
                inputs.run(scratch)
            except Exception:  # a train mode that can't run is observed as such elsewhere
                assert mode, "eval mode must run"
    places = uses.places()
    for name, value in _filled(model, source):
        if name in places:  # by name: a network may have put another tensor in a buffer's place
            _fill(value, places[name], sign)


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
    return frozenset(name for name, value in fixed if torch.equal(value, others[name]))


def _fill(value: Tensor, seed: int, sign: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    if value.dim() > 1:
        filled = torch.randn(value.shape, generator=generator, dtype=torch.float64) * (2 / value[0].numel()) ** 0.5
    else:
        filled = torch.rand(value.shape, generator=generator, dtype=torch.float64) + 0.5
        filled *= sign if isinstance(value, nn.Parameter) else 1  # statistics stay positive
    value.data.copy_(filled)


class _FirstUse(TorchFunctionMode):
    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.names = {id(value): name for name, value in tensors.items()}
        self.tensors = tensors
        self.found: list[str] = []

    def places(self) -> dict[str, int]:
        """How many of its shape, without the 1s, came before each; as archcheck promises to match them."""
        seen: Counter[tuple[int, ...]] = Counter()
        places = {}
        for name in self.found:
            shape = tuple(size for size in self.tensors[name].shape if size != 1)
            places[name] = seen[shape]
            seen[shape] += 1
        return places

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(getattr(func, "__self__", None), "__name__", "") not in _LOOKS:
            for tensor in flatten([*args, *(kwargs or {}).values()]):
                if id(tensor) in self.names:
                    self.found.append(self.names.pop(id(tensor)))
        return func(*args, **(kwargs or {}))
