"""Networks given as functions, and traces of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archcheck.spec.domains import Domain
from archcheck.spec.inputs import ForwardInput, TensorInput
from archcheck.structure.records import StructureTrace
from archcheck.structure.trace import trace_structure

Forward = Callable[[Any, Tensor], Any]


def batch(size: int, *shape: int, dtype: str = "float32", below: int | None = None) -> ForwardInput:
    return ForwardInput((TensorInput((size, *shape), dtype, Domain(below=below)),), sizes={"B": size})


TWO = [batch(2, 4), batch(3, 4)]


class Net(nn.Module):
    """A forward given as a function, and named children."""

    body: Any

    def __init__(self, function: Forward, **children: Any) -> None:
        super().__init__()
        self.function = function
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def linear() -> nn.Linear:
    return nn.Linear(4, 4)


def traced(
    function: Forward, inputs: list[ForwardInput] | None = None, **children: Callable[[], Any]
) -> StructureTrace:
    def make() -> nn.Module:
        return Net(function, **{name: child() for name, child in children.items()})

    return trace_structure(make, inputs or TWO)


def shown(path: str) -> str:
    """A file as messages name it: from the working directory, if it is below."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


@torch.library.custom_op("archcheck_tests::doubled", mutates_args=())
def doubled(x: Tensor) -> Tensor:
    return x * 2


@torch.library.custom_op("archcheck_tests::refusing", mutates_args=())
def refusing(x: Tensor) -> Tensor:
    raise ValueError("not today")


@torch.library.custom_op("archcheck_tests::product", mutates_args=())
def product(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight


@product.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[1])


def lenet() -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(1, 6, 5, padding=2),
        "act1": nn.Sigmoid(),
        "pool1": nn.AvgPool2d(2),
        "conv2": nn.Conv2d(6, 16, 5),
        "pool2": nn.AvgPool2d(2),
        "flat": nn.Flatten(),
        "fc1": nn.Linear(400, 120),
        "fc2": nn.Linear(120, 84),
        "fc3": nn.Linear(84, 10),
    }
    return nn.Sequential(OrderedDict(layers))
