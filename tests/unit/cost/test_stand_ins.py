"""Operations on stand-ins give the sizes, strides and dtypes that they give on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.cost.meter import CostMeter
from archcheck.cost.operations import tensors_in
from archcheck.cost.places import Places
from archcheck.cost.stand_ins import CPU, StandInKernels, put_stand_ins, stand_in_for

aten = torch.ops.aten
IMAGE = torch.randn(2, 8, 4, 4)
LAST = IMAGE.to(memory_format=torch.channels_last)
HALF = IMAGE.bfloat16()
ONE = torch.randn(2, 8, 1, 1)
WEIGHT, BIAS = torch.ones(8), torch.zeros(8)
ROWS = torch.randn(2, 4, 8)

OPERATIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "batch norm in train mode": (partial(nn.functional.batch_norm, training=True), (IMAGE, BIAS, WEIGHT, WEIGHT, BIAS)),
    "batch norm in eval mode": (aten.native_batch_norm, (IMAGE, WEIGHT, BIAS, BIAS, WEIGHT, False, 0.1, 1e-5)),
    "batch norm's statistics": (
        aten._native_batch_norm_legit_no_training, (IMAGE, WEIGHT, BIAS, BIAS, WEIGHT, 0.1, 1e-5)),
    "batch norm in the last channels": (nn.functional.batch_norm, (LAST, BIAS, WEIGHT, WEIGHT, BIAS)),
    "layer norm across strides": (nn.functional.layer_norm, (IMAGE.permute(0, 2, 3, 1), (8,), WEIGHT, BIAS)),
    "layer norm of one": (nn.functional.layer_norm, (ONE.permute(0, 2, 3, 1), (8,), WEIGHT, BIAS)),
    "group norm": (aten.native_group_norm, (IMAGE, WEIGHT, BIAS, 2, 8, 16, 2, 1e-5)),
    "group norm in half precision": (aten.native_group_norm, (HALF, WEIGHT, BIAS, 2, 8, 16, 2, 1e-5)),
    "convolution in the last channels": (nn.functional.conv2d, (LAST, torch.randn(4, 8, 3, 3))),
    "convolution with weights in the last channels": (
        nn.functional.conv2d, (IMAGE, torch.randn(4, 8, 3, 3).to(memory_format=torch.channels_last))),
    "gradients of a convolution in the last channels": (aten.convolution_backward, (
        torch.randn(2, 4, 2, 2), LAST, torch.randn(4, 8, 3, 3), [4], [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
        [True] * 3)),
    "pooling to one": (nn.functional.adaptive_avg_pool2d, (LAST, 1)),
    "attention": (nn.functional.scaled_dot_product_attention, (IMAGE, IMAGE, IMAGE)),
    "attention with a mask": (
        nn.functional.scaled_dot_product_attention, (IMAGE, IMAGE, IMAGE, torch.ones(4, 4, dtype=torch.bool))),
    "linear of rows": (nn.functional.linear, (ROWS, torch.randn(16, 8), torch.randn(16))),
    "a number and a tensor": (torch.add, (ROWS, 1.5)),
    "integers and a number": (torch.mul, (torch.ones(3, dtype=torch.int64), 1.5)),
    "a view": (lambda x: x.view(2, 32), (ROWS,)),
    "in place": (lambda x: x.clone().mul_(2), (ROWS,)),
    "in place with other sizes": (lambda x: x.clone().unsqueeze_(0).transpose_(0, 1), (ROWS,)),
    "several results": (lambda x: x.chunk(3, dim=2), (ROWS,)),
    "an index": (lambda x: x[:, torch.tensor([0, 2])], (ROWS,)),
    "softmax": (lambda x: x.softmax(1), (IMAGE.transpose(1, 3),)),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_result_has_the_form_that_it_has_on_a_cpu(name: str) -> None:
    function, args = OPERATIONS[name]
    expected = [_form(one) for one in tensors_in(_listed(function(*args)))]
    given = [stand_in_for(one) if isinstance(one, Tensor) else one for one in args]
    with torch.no_grad(), CostMeter(Places({}), StandInKernels()):
        for _ in range(2):  # the second time from what was kept of the first
            found = [_form(one) for one in tensors_in(_listed(function(*given)))]
            assert found == expected


def _listed(out: Any) -> Any:
    return list(out) if isinstance(out, tuple) else out


def _form(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device


def test_parameters_that_are_shared_stay_so() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    put_stand_ins(network.modules())
    assert network[1].weight is network[0].weight
    assert isinstance(network[0].weight, nn.Parameter)
    assert network[0].weight.device == CPU
    assert len(list(network.parameters())) == 3


def test_what_has_values_keeps_them() -> None:
    with CostMeter(Places({}), StandInKernels()):
        assert torch.arange(4).sum().item() == 6
        assert torch.tensor([1.0, 2.0]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "ask", [lambda x: x.item(), bool, lambda x: x.tolist(), lambda x: x.numpy(), lambda x: x.nonzero(), float]
)
def test_a_value_that_is_not_there_is_refused(ask: Callable[[Tensor], Any]) -> None:
    value = stand_in_for(torch.ones(()))
    with CostMeter(Places({}), StandInKernels()), pytest.raises((RuntimeError, NotImplementedError)):
        ask(value)


def test_a_constant_is_not_written_to_by_what_has_no_values() -> None:
    value = stand_in_for(torch.ones(3))
    with (
        CostMeter(Places({}), StandInKernels()),
        pytest.raises(NotImplementedError, match="writes to a tensor that has values"),
    ):
        torch.arange(3.0).add_(value)
