"""The caller's settings, random state and threads stay as they were."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from archcheck.structure.records import TensorRecord
from archcheck.structure.trace import trace_structure
from tests.unit.structure.traced_networks import (
    Forward,
    Net,
    batch,
    linear,
    traced,
)


def world() -> list[Any]:
    return [
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
        random.getstate(),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
    ]


def spoiling() -> nn.Module:
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    return Net(lambda m, x: m.body(x) * (torch.randperm(4)[0].item() + x.sum().item()), body=linear())


def test_global_state_is_restored() -> None:
    before = world()

    trace_structure(spoiling, [batch(2, 4, dtype="float64")])

    assert world() == before


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "context",
    [torch.no_grad, torch.inference_mode, lambda: torch.device("meta"), lambda: default_dtype(torch.float64)],
    ids=["no_grad", "inference_mode", "default_device", "default_dtype"],
)
@pytest.mark.parametrize("name", ["meta", "cpu", "grad"])
def test_works_within_the_callers_settings(name: str, context: Callable[[], Any]) -> None:
    functions: dict[str, Forward] = {
        "meta": lambda m, x: m.body(x),
        "cpu": lambda m, x: m.body(x) if x.sum().item() < 1e9 else x,
        "grad": lambda m, x: torch.autograd.grad(m.body(x.requires_grad_()).sum(), x)[0],
    }
    with ExitStack() as stack:
        stack.enter_context(context())
        before = world()
        dtype = str(torch.get_default_dtype()).removeprefix("torch.")
        trace = traced(functions[name], [batch(2, 4, dtype=dtype)], body=linear)
        after = world()

    assert trace.forwards[0].crash is None
    assert trace.forwards[0].output == TensorRecord((2, 4), dtype)
    assert trace.device == ("cpu" if name == "cpu" else "meta")
    assert after == before


def test_the_callers_default_precision_plays_no_part_where_the_usual_one_goes_in() -> None:
    with default_dtype(torch.float64):
        trace = trace_structure(linear, [batch(2, 4)])

    assert trace.forwards[0].crash is None
    assert trace.forwards[0].output == TensorRecord((2, 4), "float32")


def test_threads_trace_at_the_same_time() -> None:
    def trace_width(width: int) -> tuple[int, int | None]:
        trace = trace_structure(lambda: nn.Sequential(*(nn.Linear(width, width) for _ in range(20))), [batch(2, width)])
        return trace.root.num_params, trace.macs

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(trace_width, range(1, 40)))

    assert results == [(20 * (width * width + width), 20 * width * width) for width in range(1, 40)]


def test_common_networks_import_nothing_more() -> None:
    code = """
        import sys
        import torch
        from torch import nn
        before = set(sys.modules)
        from archcheck.spec.inputs import ForwardInput, TensorInput
        from archcheck.structure.trace import trace_structure
        def lenet():
            return nn.Sequential(
                nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                nn.BatchNorm2d(16), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Dropout(),
                nn.Linear(120, 10))
        trace = trace_structure(lenet, [ForwardInput((TensorInput((2, 1, 28, 28)),), sizes={"B": 2})])
        new = {name.partition(".")[0] for name in set(sys.modules) - before}
        print(trace.root.num_params, sorted(new & {"archcheck", "numpy", "sympy", "torch", "torchvision", "triton"}))
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )

    assert result.stderr == ""
    # 156 + 2,416 + 32 + 48,120 + 1,210
    assert result.stdout == "51934 ['archcheck']\n"
