"""The handwritten digits of scikit-learn."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import torch

from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import ArraySplit
from archcheck.errors import NotMeasured
from archcheck.spec.models import Named

MakeContext = Callable[..., DataContext]


def test_digits(context: MakeContext) -> None:
    sklearn = pytest.importorskip("sklearn.datasets")
    pair = load_dataset(Named(name="digits"), context())
    values, labels = sklearn.load_digits(return_X_y=True)
    assert isinstance(pair.train, ArraySplit)
    assert isinstance(pair.test, ArraySplit)
    assert (len(pair.train), len(pair.test)) == (1438, 359)
    assert torch.equal(pair.test.inputs[0].flatten().double(), torch.from_numpy(values[4] * 255 / 16).round())
    assert pair.train.targets[4] == labels[5]
    assert pair.train.inputs.shape[1:] == (1, 8, 8)
    assert pair.train.inputs.max() == 255


def test_digits_without_scikit_learn(context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(NotMeasured, match=r"scikit-learn, which is not installed: `pip install pytest-archcheck\[dig"):
        load_dataset(Named(name="digits"), context())
