"""Imports that a run inside this process must not do first, as it forgets what it has imported."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session", autouse=True)
def captured_once() -> None:
    """Have torch capture something, in every way that a test does."""
    network, given = nn.Linear(2, 2), (torch.ones(2, 2),)
    torch.compile(network, backend="eager")(*given).sum().backward()
    torch.export.export(network, given)
    torch.distributions.Distribution.set_default_validate_args(True)  # switched off by torch.compile, for all tests
    if importlib.util.find_spec("onnxscript") is not None:
        torch.onnx.export(network, given, dynamo=True, verbose=False)
