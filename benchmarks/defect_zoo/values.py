"""What goes into a network and what comes out of it: inputs as on the command line, tensors in any kind of output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

NUM_EXAMPLES: Final = 4


@dataclass(frozen=True, slots=True)
class Inputs:
    """Tensors by position, or by keyword."""

    args: list[Tensor]
    kwargs: dict[str, Tensor]

    def run(self, model: nn.Module) -> Any:
        """What the network makes of copies of them."""
        kwargs = {name: tensor.clone() for name, tensor in self.kwargs.items()}
        return model(*[tensor.clone() for tensor in self.args], **kwargs)


def make_inputs(
    inputs: tuple[str, ...], num_examples: int = NUM_EXAMPLES, dtype: torch.dtype = torch.float64
) -> Inputs:
    """Fixed tensors for inputs as on the command line: `B,3,8,8`, `B,12:int64<50`, `mask=B,7:bool`."""
    made = Inputs([], {})
    for index, text in enumerate(inputs):
        name, _, shape = text.rpartition("=")
        tensor = _make_input(shape, torch.Generator().manual_seed(index), num_examples, dtype)
        if name:
            made.kwargs[name] = tensor
        else:
            made.args.append(tensor)
    return made


def _make_input(text: str, generator: torch.Generator, num_examples: int, dtype: torch.dtype) -> Tensor:
    dims, _, kind = text.partition(":")
    shape = [num_examples if dim == "B" else int(dim) for dim in dims.split(",")]
    if kind == "bool":
        return torch.rand(shape, generator=generator) < 0.7
    if kind:
        return torch.randint(int(kind.partition("<")[2]), shape, generator=generator)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def flatten(output: Any) -> list[Tensor]:
    """The tensors of a nested output, in order, those of a map or an object by name."""
    return list(_tensors(output))


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
        return
    parts = _parts(output)
    for part in [parts[key] for key in sorted(parts)] if isinstance(parts, Mapping) else parts:
        yield from _tensors(part)


def _parts(output: Any) -> Mapping[str, Any] | Sequence[Any]:
    """What an output is made of, by name where it has names."""
    if isinstance(output, Mapping):
        return output
    if isinstance(output, Distribution):
        names = [*output.arg_constraints, *(name for name in ("base_dist",) if hasattr(output, name))]
        return {name: getattr(output, name) for name in names}
    if isinstance(output, tuple) and hasattr(output, "_asdict"):
        return dict(output._asdict())
    if isinstance(output, list | tuple):
        return output
    if is_dataclass(output):
        return {one.name: getattr(output, one.name) for one in fields(output)}
    attributes = {} if isinstance(output, type | nn.Module) else getattr(output, "__dict__", {})
    return {name: value for name, value in attributes.items() if not name.startswith("_")}


def are_equal(a: Tensor, b: Tensor) -> bool:
    """True when every element agrees, of sparse tensors, too."""
    return torch.equal(to_strided(a), to_strided(b))


def to_strided(tensor: Tensor) -> Tensor:
    """A tensor with all its elements."""
    return tensor if tensor.layout == torch.strided else tensor.to_dense()
