"""Brute force, without archcheck: whether a case differs from the original, and where first.

Both networks get the same weights, by name for defects and by order of first use for rewrites, and the same input in
float64. What every module returns in eval and in train mode, gradients, buffers and constant initial values are
compared in full.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

TOLERANCE: Final = 1e-10
OUTPUT: Final = "output"
NUM_EXAMPLES: Final = 4
_LOOKS: Final = (
    "dtype",
    "device",
    "shape",
    "requires_grad",
    "is_cuda",
    "is_nested",
    "ndim",
)  # at a tensor: no use of it

Call = tuple[str, list[Tensor]]
Fill = Callable[[nn.Module, list[Tensor]], None]


@dataclass(slots=True)
class Observation:
    """Everything that a network did: calls in the order in which they finished, then values by owner's name.

    `moved` are the buffers that a training step writes, without the count of batches, which has no influence.
    """

    eval_calls: list[Call] = field(default_factory=list)
    train_calls: list[Call] = field(default_factory=list)
    gradients: list[Call] = field(default_factory=list)
    buffers: list[Call] = field(default_factory=list)
    moved: list[Call] = field(default_factory=list)
    initial: list[Call] = field(default_factory=list)

    def stages(self) -> list[list[Call]]:
        """In the order in which they are compared."""
        return [self.eval_calls, self.train_calls, self.gradients, self.buffers, self.initial]


def find_first_differences(original: str, changed: str, inputs: tuple[str, ...]) -> list[str]:
    """The names that the first module to differ may be called by, with the same weights by name in both.

    Where one network calls a module that the other doesn't call, that one and the first common one that differs are
    both right, unless it stands in another's place. Where only gradients differ, so are the first in the order of
    execution and the first on the way back.
    """
    one, other = (observe(source, inputs, fill_by_name) for source in (original, changed))
    for ours, theirs in ((one.eval_calls, other.eval_calls), (one.train_calls, other.train_calls)):
        if found := _first_calls(ours, theirs):
            return found
    names = [name for (name, ours), (_, theirs) in _in_pairs(one.gradients, other.gradients) if not _same(ours, theirs)]
    inner = [name for name in names if name != OUTPUT] or names
    if inner:
        return [inner[0], inner[-1]]
    for ours, theirs in ((one.buffers, other.buffers), (one.initial, other.initial)):
        names = [name for (name, a), (_, b) in _in_pairs(ours, theirs) if not _same(a, b)]
        if names or len(ours) != len(theirs):
            return names[:1] or ["a number"]
    return []


def _in_pairs(ours: list[Call], theirs: list[Call]) -> list[tuple[Call, Call]]:
    """Calls of one name and the same number among those of that name."""
    mine, others = _numbered(ours), _numbered(theirs)
    return [(mine[key], others[key]) for key in mine if key in others]


def _numbered(calls: list[Call]) -> dict[tuple[str, int], Call]:
    numbered: dict[tuple[str, int], Call] = {}
    for call in calls:
        index = sum(name == call[0] for name, _ in numbered)
        numbered[call[0], index] = call
    return numbered


def _first_calls(ours: list[Call], theirs: list[Call]) -> list[str]:
    mine, others = _numbered(ours), _numbered(theirs)
    agreeing = {key for key in mine.keys() & others.keys() if _same(mine[key][1], others[key][1])}
    common = next((key for key in others if key in mine and key not in agreeing), None)
    names = [common[0]] if common else []
    for before, after in zip(mine, others, strict=False):
        if after == common == before:
            return names
        if before != after:  # a call that the other doesn't make, or not here
            lone = [key[0] for key in (before, after) if key not in agreeing]
            if len(mine) == len(others):
                return lone or names
            return [
                key[0] for key in (before, after) if key not in agreeing and not (key in mine and key in others)
            ] + names
    return names or [key[0] for key in (*mine, *others) if not (key in mine and key in others)][:1]


def is_equivalent(original: str, changed: str, inputs: tuple[str, ...]) -> bool:
    """True when outputs, gradients and buffers agree, with the same weights by order of first use."""
    one, other = (observe(source, inputs, fill_by_use) for source in (original, changed))
    if not all(_same(one.stages()[mode][-1][1], other.stages()[mode][-1][1]) for mode in (0, 1)):
        return False
    pairs = ((one.gradients, other.gradients), (one.moved, other.moved), (one.initial, other.initial))
    return all(
        _same_in_any_order(*([value for _, found in calls for value in found] for calls in pair)) for pair in pairs
    )


def _same(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    return len(ours) == len(theirs) and all(_close(a, b) for a, b in zip(ours, theirs, strict=True))


def _same_in_any_order(ours: list[Tensor], theirs: list[Tensor]) -> bool:
    left = list(theirs)
    for tensor in ours:
        match = next((index for index, other in enumerate(left) if _close(tensor, other)), None)
        if match is None:
            return False
        left.pop(match)
    return not left


def _close(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape:
        return False
    a, b = a.detach().double(), b.detach().double()
    largest = max((float(x[x.isfinite()].abs().max()) for x in (a, b) if x.isfinite().any()), default=0.0)
    return torch.allclose(a, b, rtol=0, atol=TOLERANCE * max(largest, 0.01), equal_nan=True)


# ---------------------------------------------------------------------------------------------- one network


def load(source: str) -> nn.Module:
    """The network that a source text builds."""
    module = ModuleType("net")
    exec(compile(source, "net.py", "exec", dont_inherit=True), module.__dict__)
    built: nn.Module = module.__dict__["build"]()
    return built


def _load_double(source: str) -> nn.Module:
    """The network in float64, layers included that it hides from `named_parameters`."""
    torch.set_default_dtype(torch.float64)
    try:
        return load(source).double()
    finally:
        torch.set_default_dtype(torch.float32)


def observe(source: str, inputs: tuple[str, ...], fill: Fill) -> Observation:
    """Run the network that a source text builds, in eval and in train mode."""
    model, seen = _load_double(source), Observation(initial=_constants(source))
    tensors = make_inputs(inputs)
    fill(model, tensors)
    before = {name: value.clone() for name, value in model.named_buffers()}
    with torch.no_grad():
        seen.eval_calls = _run(model.eval(), tensors)
    torch.manual_seed(1)
    order: list[str] = []
    calls = _run(model.train(), tensors, order)
    seen.train_calls = calls
    _backward(calls[-1][1])
    owners = sorted(_gradients(model), key=lambda one: order.index(one[0]) if one[0] in order else len(order))
    seen.gradients = owners
    seen.buffers = [(_owner(name), [value.detach().clone()]) for name, value in model.named_buffers()]
    seen.moved = [(_owner(name), [value.detach().clone()]) for name, value in _moved_buffers(model, before)]
    return seen


def _moved_buffers(model: nn.Module, before: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, value in model.named_buffers():
        if not name.endswith("num_batches_tracked") and not _same([before[name]], [value]):
            yield name, value


def _constants(source: str) -> list[Call]:
    """The parameters that start with the same values under every seed; of the others, that they don't."""
    builds = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        builds.append(dict(load(source).named_parameters()))
    first, second = builds
    return [(_owner(name), [first[name].detach()] if torch.equal(first[name], second[name]) else []) for name in first]


def _owner(name: str) -> str:
    return name.rpartition(".")[0] or OUTPUT


def _gradients(model: nn.Module) -> list[Call]:
    return [
        (_owner(name), [torch.zeros(()) if value.grad is None else value.grad.clone()])
        for name, value in model.named_parameters()
    ]


def _run(model: nn.Module, tensors: list[Tensor], order: list[str] | None = None) -> list[Call]:
    calls: list[Call] = []

    def remember(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            calls.append((name, [tensor.clone() for tensor in flatten(output)]))

        return hook

    named = [(name or OUTPUT, module) for name, module in model.named_modules()]
    handles = [module.register_forward_hook(remember(name)) for name, module in named]
    model(*[tensor.clone() for tensor in tensors])
    for handle in handles:
        handle.remove()
    if order is not None:
        order += [name for name, _ in calls]
    return calls


def _backward(outputs: list[Tensor]) -> None:
    total = sum((out * torch.cos(torch.arange(out.numel(), dtype=out.dtype)).view_as(out)).sum() for out in outputs
                if out.is_floating_point())  # fmt: skip
    assert isinstance(total, Tensor)
    total.backward()  # type: ignore[no-untyped-call]


def flatten(output: Any) -> list[Tensor]:
    """The tensors of a nested output, in order, those of a dict by key."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        return [tensor for key in sorted(output) for tensor in flatten(output[key])]
    return [tensor for value in output for tensor in flatten(value)] if isinstance(output, list | tuple) else []


def make_inputs(
    inputs: tuple[str, ...], num_examples: int = NUM_EXAMPLES, dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Fixed tensors for inputs as on the command line: `B,3,8,8` or `B,12:int64<50`."""
    return [
        _make_input(text, torch.Generator().manual_seed(index), num_examples, dtype)
        for index, text in enumerate(inputs)
    ]


def _make_input(text: str, generator: torch.Generator, num_examples: int, dtype: torch.dtype) -> Tensor:
    dims, _, integers = text.partition(":")
    shape = [num_examples if dim == "B" else int(dim) for dim in dims.split(",")]
    if integers:
        return torch.randint(int(integers.partition("<")[2]), shape, generator=generator)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


# ---------------------------------------------------------------------------------------------- weights


def fill_by_name(model: nn.Module, _tensors: list[Tensor]) -> None:
    """The same values for the same name and shape."""
    for name, value in _filled(model):
        _fill(value, zlib.crc32(name.encode()))


def fill_by_use(model: nn.Module, tensors: list[Tensor]) -> None:
    """The same values for the same place in the order of first use, in eval and then in train mode."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with _FirstUse(model) as uses, torch.no_grad():
        model.eval()(*[tensor.clone() for tensor in tensors])
        model.train()(*[tensor.clone() for tensor in tensors])
    model.load_state_dict(before)
    for name, value in _filled(model):
        if name in uses.found:  # by name: a network may have put another tensor in a buffer's place
            _fill(value, uses.found.index(name))


def _filled(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What gets a pattern: parameters and running statistics; tables and masks are what they are."""
    yield from model.named_parameters()
    yield from ((name, value) for name, value in model.named_buffers() if "running" in name)


def _fill(value: Tensor, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    if value.dim() > 1:
        filled = torch.randn(value.shape, generator=generator, dtype=torch.float64) * (2 / value[0].numel()) ** 0.5
    else:
        filled = torch.rand(value.shape, generator=generator, dtype=torch.float64) + 0.5
    value.data.copy_(filled)


class _FirstUse(TorchFunctionMode):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {id(value): name for name, value in _filled(model)}
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(getattr(func, "__self__", None), "__name__", "") not in _LOOKS:
            for tensor in flatten([*args, *(kwargs or {}).values()]):
                if id(tensor) in self.names:
                    self.found.append(self.names.pop(id(tensor)))
        return func(*args, **(kwargs or {}))
