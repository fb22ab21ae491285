"""Forward passes that stop with an error."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from archcheck.spec.target import parse_target
from tests.unit.structure.traced_networks import (
    Forward,
    Net,
    batch,
    linear,
    shown,
    traced,
)


def test_crash_keeps_what_came_before_and_says_where() -> None:
    trace = traced(lambda m, x: m.tail(m.head(x)), head=linear, tail=lambda: nn.Sequential(nn.ReLU(), nn.Linear(6, 2)))

    forward = trace.forwards[0]
    assert [(call.name, call.output is None) for call in forward.calls] == [
        ("", True),
        ("head", False),
        ("tail", True),
        ("tail.0", False),
        ("tail.1", True),
    ]
    assert forward.crash is not None
    assert forward.crash.module == "tail.1"
    assert "mat1 and mat2 shapes cannot be multiplied (2x4 and 6x2)" in forward.crash.error
    assert forward.crash.error.startswith("RuntimeError: ")
    assert (forward.crash.where or "").rpartition(":")[0].endswith("test_trace_crashes.py")
    assert trace.macs is None
    assert trace.device == "meta"


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (lambda m, x: F.conv2d(x, torch.ones(2, 3, 1, 1)), (1, 1, 4)),
        (lambda m, x: F.conv2d(x, torch.ones(2, 1, 3, 3)), (1, 1, 4)),
        (lambda m, x: F.linear(x, torch.ones(2, 6), torch.ones(2)), (4,)),
        (lambda m, x: F.linear(x, torch.ones(2, 4).double()), (4,)),
        (lambda m, x: F.linear(x.long(), torch.ones(2, 4)), (4,)),
        (lambda m, x: F.conv_transpose2d(x, torch.ones(3, 1, 2, 2)), (1, 1, 4)),
        (lambda m, x: F.conv2d(x, torch.ones(2, 1, 1, 1), torch.ones(3)), (1, 1, 4)),
        (lambda m, x: x @ torch.ones(3, 4), (4,)),
        (lambda m, x: x.view(3, 5), (4,)),
        (lambda m, x: x.transpose(1, 2).view(-1), (3, 4)),
        (lambda m, x: x + torch.ones(3), (4,)),
        (lambda m, x: F.batch_norm(x, torch.ones(3), torch.ones(3)), (4,)),
        (lambda m, x: F.layer_norm(x, (5,)), (4,)),
        (lambda m, x: torch.cat([x, x[0]]), (4,)),
        (lambda m, x: torch.stack([x, x[:, :2]]), (4,)),
        (lambda m, x: F.max_pool2d(x, 2), (1, 1, 4)),
        (lambda m, x: F.softmax(x, 3), (4,)),
    ],
)
def test_crash_message_is_what_torch_says_of_real_tensors(function: Forward, shape: tuple[int, ...]) -> None:
    try:
        function(None, torch.zeros(2, *shape))
    except (RuntimeError, IndexError) as error:
        expected = f"{type(error).__name__}: {str(error).splitlines()[0]}"

    crash = traced(function, [batch(2, *shape)]).forwards[0].crash

    assert crash is not None
    assert crash.error == expected


def test_error_that_the_network_handles_is_no_crash() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        try:
            return m.wrong(x)
        except RuntimeError:
            return m.right(x)

    trace = traced(forward, wrong=lambda: nn.Linear(5, 5), right=linear)

    assert trace.forwards[0].crash is None
    assert trace.macs == 16


def test_crash_after_a_handled_error_names_the_module_at_fault() -> None:
    def forward(m: Any, x: Tensor) -> Any:
        try:
            m.wrong(x)
        except RuntimeError:
            raise ValueError("in the parent") from None

    crash = traced(forward, wrong=lambda: nn.Linear(5, 5)).forwards[0].crash

    assert crash is not None
    assert (crash.module, crash.error) == ("", "ValueError: in the parent")


def test_crash_at_one_size_leaves_the_others() -> None:
    trace = traced(lambda m, x: m.body(x).view(2, 2, 2), body=linear)

    assert [forward.crash is None for forward in trace.forwards] == [True, False]
    assert trace.macs == 16


def test_endless_recursion_is_a_crash_and_harms_nothing_after_it() -> None:
    crash = traced(lambda m, x: m(x)).forwards[0].crash

    assert crash is not None
    assert crash.error.startswith("RecursionError: maximum recursion depth exceeded")
    assert traced(lambda m, x: m.body(x), body=linear).device == "meta"
    assert torch.zeros(2).relu().device.type == "cpu"


def test_exit_is_a_crash_and_ctrl_c_is_not() -> None:
    crash = traced(lambda m, x: sys.exit("no such size")).forwards[0].crash

    assert crash is not None
    assert crash.error == "SystemExit: no such size"
    with pytest.raises(KeyboardInterrupt, match="stop"):
        traced(lambda m, x: interrupt())


def interrupt() -> None:
    raise KeyboardInterrupt("stop")


def test_crash_within_our_own_files_is_at_the_users_line() -> None:
    def forward(m: Net, x: Tensor) -> Any:
        return parse_target("")

    crash = traced(forward).forwards[0].crash

    assert crash is not None
    assert crash.where == f"{shown(__file__)}:{forward.__code__.co_firstlineno + 1}"
