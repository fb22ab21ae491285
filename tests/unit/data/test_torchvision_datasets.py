"""CIFAR-10 as torchvision has it: read, missing, corrupt, and downloaded in vain."""

from __future__ import annotations

import hashlib
import pickle
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import ArraySplit
from archcheck.errors import DataError, NotMeasured
from archcheck.spec.models import Named

MakeContext = Callable[..., DataContext]


@pytest.fixture
def cifar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A CIFAR-10 of three training images and a test image in tmp_path/data, its md5s known to torchvision."""
    folder = tmp_path / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)

    def write(name: str, content: object) -> str:
        raw = pickle.dumps(content)
        (folder / name).write_bytes(raw)
        return hashlib.md5(raw).hexdigest()

    train = {"data": np.arange(3 * 3072, dtype=np.uint32).astype(np.uint8).reshape(3, 3072), "labels": [1, 0, 9]}
    test = {"data": np.full((1, 3072), 7, dtype=np.uint8), "labels": [4]}
    meta = {"filename": "batches.meta", "key": "label_names", "md5": write("batches.meta", {"label_names": ["a"]})}
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", write("data_batch_1", train)]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", write("test_batch", test)]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", meta)
    return folder


def test_cifar10_as_torchvision_reads_it(cifar: Path, context: MakeContext) -> None:
    pair = load_dataset(Named(name="cifar10"), context(data_dir=cifar.parent))
    assert isinstance(pair.train, ArraySplit)
    assert isinstance(pair.test, ArraySplit)
    assert (pair.train.inputs.shape, pair.test.inputs.shape) == ((3, 3, 32, 32), (1, 3, 32, 32))
    assert pair.train.targets.tolist() == [1, 0, 9]
    image, _ = datasets.CIFAR10(cifar.parent)[1]  # PIL, (height, width, channel)
    assert torch.equal(pair.train.inputs[1].permute(1, 2, 0), torch.from_numpy(np.array(image)))


def test_cifar10_missing(cifar: Path, context: MakeContext, tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match=rf"cifar10 is not on this machine \(looked for {tmp_path}/no/cifar-10-bat"):
        load_dataset(Named(name="cifar10"), context(data_dir=tmp_path / "no"))
    (cifar / "test_batch").unlink()
    with pytest.raises(NotMeasured, match=r"cifar-10-batches-py lacks test_batch\): --archcheck-data DIR with torch"):
        load_dataset(Named(name="cifar10"), context(data_dir=cifar.parent))


def test_cifar10_corrupt(cifar: Path, context: MakeContext) -> None:
    (cifar / "data_batch_1").write_bytes(b"x")
    expected, found = datasets.CIFAR10.train_list[0][1], hashlib.md5(b"x").hexdigest()
    with pytest.raises(DataError, match=f"data_batch_1 is corrupt: expected the md5 {expected}, found {found}"):
        load_dataset(Named(name="cifar10"), context(data_dir=cifar.parent))


def test_cifar10_download_fails(cifar: Path, context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise urllib.error.URLError("timed out")

    monkeypatch.setattr(datasets.CIFAR10, "__init__", fail)
    (cifar / "test_batch").unlink()
    with pytest.raises(DataError, match=r"downloading CIFAR10 to .*/data failed: URLError: <urlopen error timed out>$"):
        load_dataset(Named(name="cifar10"), context(data_dir=cifar.parent, download=True))
