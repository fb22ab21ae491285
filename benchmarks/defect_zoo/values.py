"""What goes into a network and what comes out of it: inputs as on the command line, tensors in any kind of output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    elif isinstance(output, Distribution):
        names = [*sorted(output.arg_constraints), *(name for name in ("base_dist",) if hasattr(output, name))]
        for name in names:
            yield from _tensors(getattr(output, name))
    elif isinstance(output, Mapping):
        for key in sorted(output):
            yield from _tensors(output[key])
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)
    elif hasattr(output, "__dict__") and not isinstance(output, type | nn.Module):
        yield from _tensors({name: value for name, value in vars(output).items() if not name.startswith("_")})
