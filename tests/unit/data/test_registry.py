"""Names of data sets, their arguments, and the sets that other libraries bring."""

from __future__ import annotations

import hashlib
import pickle
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from archcheck.data.context import DataContext
from archcheck.data.registry import check_dataset, load_dataset
from archcheck.data.splits import ArraySplit
from archcheck.errors import DataError, NotMeasured
from archcheck.spec.models import Named

MakeContext = Callable[..., DataContext]


@pytest.mark.parametrize(
    ("dataset", "arg", "message"),
    [
        (
            {"name": "fashion-mnits"},
            None,
            r"no data set 'fashion-mnits': did you mean 'fashion-mnist'\? \(known are fas",
        ),
        ({"name": "coco"}, None, r"no data set 'coco' \(known are fashion-mnist, .*, and module:callable for"),
        ({"name": "digits", "heads": 3}, "heads", r"data set digits accepts no argument 'heads': did you mean 'head'"),
        ({"name": "image-folder"}, "path", r"data set image-folder is missing its argument 'path'"),
        ({"name": "digits", "head": "3"}, "head", r"digits: expected a whole number as head, found '3'"),
        ({"name": "digits", "head": True}, "head", r"digits: expected a whole number as head, found true"),
        ({"name": "digits", "head": 0}, "head", r"expected a number of examples, at least 1 as head, found 0"),
        ({"name": "digits", "context": 1}, "context", r"data set digits accepts no argument 'context'"),
        ({"name": "table", "path": 3}, "path", r"data set table: expected a text as path, found 3"),
        ({"name": "table", "path": "x", "test": 1.5}, "test", r"expected a share between 0 and 1 as test, found 1.5"),
        ({"name": "table", "path": "x", "channels": 4}, "channels", r"expected 1 or 3 as channels, found 4"),
        ({"name": "torchvision:resnet18"}, None, r"expected module:callable or path/to/file.py:callable"),
        ({"name": "no_such_module:data"}, None, r"no module named 'no_such_module'"),
        ({"name": "data.py:data"}, None, r"no file data.py in "),
    ],
)
def test_what_is_asked_for_wrongly(
    dataset: dict[str, Any], arg: str | None, message: str, context: MakeContext
) -> None:
    with pytest.raises(DataError, match=message) as raised:
        check_dataset(Named(**dataset), context())
    assert raised.value.arg == arg
    with pytest.raises(DataError, match=message):
        load_dataset(Named(**dataset), context())


@pytest.mark.parametrize(
    "dataset",
    [
        {"name": "cifar10", "head": 10},
        {"name": "table", "path": "no.csv", "test": "no.csv", "channels": 1},
        {"name": "table", "path": "no.csv", "test": 0.5, "root": None},
        {"name": "image-folder", "path": "nowhere"},
    ],
)
def test_checking_loads_nothing(dataset: dict[str, Any], context: MakeContext) -> None:
    check_dataset(Named(**dataset), context())


# ------------------------------------------------------------------------------------------- CIFAR-10


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


# ------------------------------------------------------------------------------------------- digits


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
