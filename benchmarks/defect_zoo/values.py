"""What goes into a network and what comes out of it: inputs as on the command line, tensors in any kind of output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

NUM_EXAMPLES: Final = 4


@dataclass(frozen=True, slots=True)
class Inputs:
    """Tensors, or lists of them, by position or by keyword."""

    args: list[Tensor | list[Tensor]]
    kwargs: dict[str, Tensor | list[Tensor]]

    def run(self, model: nn.Module) -> Any:
        """What the network makes of copies of them."""
        kwargs = {name: _copy(value) for name, value in self.kwargs.items()}
        return model(*[_copy(value) for value in self.args], **kwargs)


def _copy(value: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    return value.clone() if isinstance(value, Tensor) else [tensor.clone() for tensor in value]


def make_inputs(
    inputs: tuple[str, ...], num_examples: int = NUM_EXAMPLES, dtype: torch.dtype = torch.float64
) -> Inputs:
    """Fixed tensors for inputs as on the command line: `B,3`, `B,12:int64<50`, `mask=B,7:bool`, `[["B",3],["B",5]]`."""
    made = Inputs([], {})
    for index, text in enumerate(inputs):
        name, _, shape = text.rpartition("=")
        generator = torch.Generator().manual_seed(index)
        parts = [",".join(map(str, part)) for part in json.loads(shape)] if shape.startswith("[") else [shape]
        tensors = [_make_input(part, generator, num_examples, dtype) for part in parts]
        value = tensors if shape.startswith("[") else tensors[0]
        if name:
            made.kwargs[name] = value
        else:
            made.args.append(value)
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
