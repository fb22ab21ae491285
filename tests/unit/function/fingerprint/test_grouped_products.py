"""Products of groups of rows in double precision, held against torch's own, which knows single precision only."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from archcheck.function.fingerprint.grouped_products import grouped_mm
from tests.unit.function.running import difference, recorded


@pytest.mark.parametrize("ends", [[3, 5, 12], [0, 7, 7], [12, 12, 12]])
def test_it_is_torchs_own_and_its_gradient(ends: list[int]) -> None:
    rows, matrices = torch.randn(12, 8, dtype=torch.float64), torch.randn(3, 8, 4, dtype=torch.float64)
    offs = torch.tensor(ends, dtype=torch.int32)
    rows.requires_grad_()
    matrices.requires_grad_()
    ours = grouped_mm(rows, matrices, offs=offs)
    single = [one.detach().float().requires_grad_() for one in (rows, matrices)]
    theirs = functional.grouped_mm(*single, offs=offs)
    assert ours.dtype is torch.float64
    number = ends[-1]
    torch.testing.assert_close(ours[:number].float(), theirs[:number], atol=1e-5, rtol=1e-5)
    weights = torch.randn(number, 4, dtype=torch.float64)
    found = torch.autograd.grad((ours[:number] * weights).sum(), (rows, matrices))
    wanted = torch.autograd.grad((theirs[:number] * weights.float()).sum(), single)
    torch.testing.assert_close(found[0][:number].float(), wanted[0][:number], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found[1].float(), wanted[1], atol=1e-5, rtol=1e-5)


def test_what_it_does_not_compute_torch_does() -> None:
    rows, matrices = torch.randn(8, 8), torch.randn(2, 8, 4)
    offs = torch.tensor([4, 8], dtype=torch.int32)
    torch.testing.assert_close(grouped_mm(rows, matrices, offs=offs), functional.grouped_mm(rows, matrices, offs=offs))


class Experts(nn.Module):
    """Four experts of which each row takes one, as libraries have them: a weight with one matrix for each."""

    def __init__(self, scale: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)) -> None:
        super().__init__()
        self.router = nn.Linear(8, 4)
        self.weight = nn.Parameter(torch.randn(4, 16, 8))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.router(x).argmax(-1)
        order = chosen.argsort(stable=True)
        offs = torch.bincount(chosen, minlength=4).cumsum(0).int()
        out = functional.grouped_mm(x[order], self.weight.transpose(1, 2), offs=offs)
        scales = torch.tensor(self.scale)[chosen[order]]
        return (out * scales[:, None].to(out.dtype))[order.argsort()]


def test_a_layer_of_experts_is_recorded_in_double_precision_and_signals_reach_what_is_behind() -> None:
    record = recorded(Experts, [32, 8])
    assert record.crash is None
    assert record.root.numbers["rms"] > 0.3


@pytest.mark.parametrize("expert", range(4))
def test_a_mistake_in_one_expert_is_noticed(expert: int) -> None:
    scale = tuple(1.001 if expert == number else 1.0 for number in range(4))
    found = difference(Experts, lambda: Experts(scale), [32, 8])
    assert found == ("output", "the output differs")
