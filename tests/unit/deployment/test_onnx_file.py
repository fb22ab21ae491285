"""An ONNX file is run as the network is: what it makes has the form of the network's output."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archcheck.deployment.agreement import difference, outputs_of
from archcheck.deployment.onnx_file import OnnxFile, absent_packages

pytestmark = pytest.mark.skipif(bool(absent_packages()), reason="the extra onnx isn't installed")


class Net(nn.Module):
    """A network with several tensors in its output, all of one shape."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.fc, self.form = nn.Linear(4, 4), form

    def forward(self, x: Tensor) -> Any:
        y = self.fc(x)
        if self.form == "keys that aren't sorted":
            return {"text": y, "image": y + 1}
        if self.form == "maps in a list":
            return [{"b": y, "a": y + 1}, {"d": y + 2, "c": (y + 3, y + 4)}]
        if self.form == "nothing between tensors":
            return {"b": y, "none": None, "a": y + 1}
        return y, x, y


@pytest.mark.parametrize(
    "form", ["keys that aren't sorted", "maps in a list", "nothing between tensors", "an input and a tensor twice"]
)
def test_tensors_are_compared_with_those_in_the_same_place(form: str) -> None:
    network, x = Net(form).eval(), torch.randn(3, 4)
    with torch.no_grad(), OnnxFile(network, [torch.randn(2, 4)], {}, {"x": {0: torch.export.Dim.DYNAMIC}}) as file:
        assert difference(outputs_of(network(x)), outputs_of(file.run(x)), 1e-3) is None
