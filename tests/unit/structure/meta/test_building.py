"""Networks built without weights."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archcheck.errors import BuildError
from archcheck.structure.meta.building import build_on_meta, build_seeded
from archcheck.structure.trace import trace_model, trace_structure
from tests.unit.structure.traced_networks import (
    TWO,
    traced,
)


def test_constructor_that_reads_values() -> None:
    def make() -> nn.Module:
        widths = [int(width) for width in torch.linspace(4, 8, 3)]
        return nn.Sequential(nn.Linear(4, widths[1]), nn.Linear(6, int(torch.ones(5).sum().item())))

    trace = trace_structure(make, TWO)

    assert (trace.device, trace.root.num_params) == ("meta", 30 + 35)


def test_constructor_with_weights_made_the_old_way() -> None:
    trace = traced(lambda m, x: x @ m.weight, weight=lambda: nn.Parameter(torch.Tensor(4, 6)))

    assert (trace.device, trace.root.num_params, trace.macs) == ("meta", 24, 24)


def test_build_leaves_nothing_with_the_layers() -> None:
    encoder = build_on_meta(lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3))

    assert not [name for name, module in encoder.named_modules() if "reset_parameters" in vars(module)]
    assert all(param.is_meta for param in encoder.parameters())


def test_layer_with_an_initialisation_of_its_own_runs_it() -> None:
    class Scaled(nn.Linear):
        def reset_parameters(self) -> None:
            super().reset_parameters()
            self.scale = nn.Parameter(torch.ones(self.out_features))

    assert trace_structure(lambda: Scaled(4, 4), TWO).root.num_params == 24


def test_network_with_a_random_generator_of_its_own() -> None:
    class Seeded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(3)
            self.weight = nn.Parameter(torch.randn(4, 4, generator=self.generator))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight * torch.randn(4, generator=self.generator) * x.sum().item()

    net = Seeded()
    state = net.generator.get_state()

    assert trace_structure(Seeded, TWO).macs == trace_model(net, TWO).macs == 16
    assert torch.equal(net.generator.get_state(), state)


def test_errors_of_the_constructor_pass_through() -> None:
    def make() -> nn.Module:
        raise BuildError("no such width")

    with pytest.raises(BuildError, match="no such width"):
        trace_structure(make, TWO)
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        trace_structure(lambda: nn.Linear(4, 4, width=3), TWO)  # type: ignore[call-arg]


def test_wrapped_error_of_meta_is_tried_for_real() -> None:
    def make() -> nn.Module:
        try:
            return nn.Linear(4, int(torch.ones(5).sum()))
        except RuntimeError as error:
            raise BuildError("building failed") from error

    assert trace_structure(make, TWO).root.num_params == 25


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(BuildError, match=r"the build returned int, expected torch\.nn\.Module"):
        trace_structure(lambda: 3, TWO)  # type: ignore[arg-type, return-value]


def test_numpys_numbers_are_the_same_where_the_build_imports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = np.random
    monkeypatch.delitem(sys.modules, "numpy.random")

    def make() -> nn.Module:
        monkeypatch.setitem(sys.modules, "numpy.random", numpy)
        return nn.Dropout(np.random.rand())

    np.random.seed(7)  # as if by the clock
    first, again = build_seeded(make), build_seeded(make)
    assert first.p == again.p
