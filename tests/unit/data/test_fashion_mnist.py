"""Fashion-MNIST, whole and in part: where it is looked for, and what becomes of broken files."""

from __future__ import annotations

import gzip
import hashlib
import struct
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import datasets

from archcheck.data import fashion_mnist
from archcheck.data.context import DataContext
from archcheck.data.registry import load_dataset
from archcheck.data.splits import ArraySplit
from archcheck.errors import DataError, NotMeasured
from archcheck.spec.models import Named

NAMES = [
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]  # as on the data set's own page
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
MakeContext = Callable[..., DataContext]


def idx(values: list[int], *shape: int) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(values)


CONTENTS = {
    "train-images-idx3-ubyte": idx(list(range(12)), 3, 2, 2),
    "train-labels-idx1-ubyte": idx([0, 1, 9], 3),
    "t10k-images-idx3-ubyte": idx(list(range(8)), 2, 2, 2),
    "t10k-labels-idx1-ubyte": idx([5, 4], 2),
}


def write_set(folder: Path, compressed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fashion-MNIST is CONTENTS, and Debian's package isn't installed."""
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in CONTENTS.items()}
    monkeypatch.setattr(fashion_mnist, "_FULL_MD5", md5)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")


@pytest.mark.parametrize("place", ["data", "data/FashionMNIST/raw", "data/fashion-mnist", "debian"])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.usefixtures("tiny")
def test_found_wherever_it_may_lie(place: str, compressed: bool, context: MakeContext, tmp_path: Path) -> None:
    write_set(tmp_path / place, compressed)
    pair = load_dataset(Named(name="fashion-mnist"), context(data_dir=tmp_path / "data"))
    assert isinstance(pair.train, ArraySplit)
    assert isinstance(pair.test, ArraySplit)
    assert torch.equal(pair.train.inputs, torch.arange(12, dtype=torch.uint8).view(3, 1, 2, 2))
    assert pair.train.targets.tolist() == [0, 1, 9]
    assert pair.test.targets.tolist() == [5, 4]
    assert pair.train.targets.dtype == torch.int64
    assert (pair.name, pair.num_classes) == ("fashion-mnist", 10)


@pytest.mark.usefixtures("tiny")
def test_head_takes_the_first_training_examples(context: MakeContext, tmp_path: Path) -> None:
    write_set(tmp_path / "debian")
    pair = load_dataset(Named.model_validate({"name": "fashion-mnist", "head": 2}), context())
    assert isinstance(pair.train, ArraySplit)
    assert isinstance(pair.test, ArraySplit)
    assert (pair.train.targets.tolist(), len(pair.test)) == ([0, 1], 2)


@pytest.mark.usefixtures("tiny")
def test_missing_says_where_it_was_looked_for_and_how_to_get_it(context: MakeContext, tmp_path: Path) -> None:
    message = (
        rf"fashion-mnist is not on this machine \(looked in {tmp_path}/data; .*raw; .*fashion-mnist; .*debian\): "
        r"`apt-get install dataset-fashion-mnist`, --archcheck-data DIR with the four \.gz files or torchvision's "
        r"FashionMNIST/raw, or --archcheck-download"
    )
    with pytest.raises(NotMeasured, match=message):
        load_dataset(Named(name="fashion-mnist"), context(data_dir=tmp_path / "data"))


@pytest.mark.usefixtures("tiny")
def test_a_folder_without_one_file_is_named_and_passed_over(context: MakeContext, tmp_path: Path) -> None:
    write_set(tmp_path / "data")
    (tmp_path / "data" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(NotMeasured, match=r"/data, which lacks t10k-labels-idx1-ubyte\.gz; "):
        load_dataset(Named(name="fashion-mnist"), context(data_dir=tmp_path / "data"))
    write_set(tmp_path / "debian")
    assert load_dataset(Named(name="fashion-mnist"), context(data_dir=tmp_path / "data")).num_classes == 10


@pytest.mark.usefixtures("tiny")
def test_a_changed_byte_is_corrupt(context: MakeContext, tmp_path: Path) -> None:
    write_set(tmp_path / "debian")
    path = tmp_path / "debian" / "t10k-labels-idx1-ubyte.gz"
    changed = idx([5, 3], 2)
    path.write_bytes(gzip.compress(changed))
    expected, found = (hashlib.md5(content).hexdigest() for content in (CONTENTS[path.stem], changed))
    message = f"{path} is corrupt: expected the md5 {expected} of its content uncompressed, found {found}$"
    with pytest.raises(DataError, match=message):
        load_dataset(Named(name="fashion-mnist"), context())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: raw[:-12], r"is corrupt: it can't be unpacked: EOFError"),
        (lambda raw: b"<html>not found</html>", r"is corrupt: it can't be unpacked: BadGzipFile"),
        (lambda raw: raw[:14] + b"\xff\xff\xff" + raw[17:], r"is corrupt: it can't be unpacked: error: Error -3"),
        (lambda raw: b"", r"is corrupt: expected the md5 \w+ .*, found \w+ \(expected an idx file"),
    ],
    ids=["truncated", "html", "garbage", "empty"],
)
@pytest.mark.usefixtures("tiny")
def test_a_broken_archive_is_corrupt(
    spoil: Callable[[bytes], bytes], message: str, context: MakeContext, tmp_path: Path
) -> None:
    write_set(tmp_path / "debian")
    path = tmp_path / "debian" / "train-images-idx3-ubyte.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=f"{path} {message}"):
        load_dataset(Named(name="fashion-mnist"), context())


@pytest.mark.usefixtures("tiny")
def test_downloaded_into_the_cache_by_torchvision(
    context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(root: Path, download: bool) -> None:
        assert download
        write_set(root / "FashionMNIST" / "raw", compressed=False)

    monkeypatch.setattr(datasets, "FashionMNIST", download)
    assert load_dataset(Named(name="fashion-mnist"), context(download=True)).num_classes == 10
    assert (tmp_path / "cache" / "archcheck" / "FashionMNIST" / "raw" / NAMES[0]).is_file()
    assert load_dataset(Named(name="fashion-mnist"), context()).num_classes == 10


@pytest.mark.usefixtures("tiny")
def test_a_failed_download_is_one_line(context: MakeContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(root: Path, download: bool) -> Any:
        raise urllib.error.URLError("no route\nto host")

    monkeypatch.setattr(datasets, "FashionMNIST", download)
    message = f"^downloading FashionMNIST to {tmp_path}/d failed: URLError: <urlopen error no route to host>$"
    with pytest.raises(DataError, match=message):
        load_dataset(Named(name="fashion-mnist"), context(data_dir=tmp_path / "d", download=True))


def test_the_mini_set_comes_with_archcheck(context: MakeContext) -> None:
    pair = load_dataset(Named(name="fashion-mnist-mini"), context())
    assert isinstance(pair.train, ArraySplit)
    assert isinstance(pair.test, ArraySplit)
    assert pair.train.inputs.shape == (6000, 1, 28, 28)
    assert torch.bincount(pair.train.targets).tolist() == [600] * 10
    assert torch.bincount(pair.test.targets).tolist() == [100] * 10


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="apt-get install dataset-fashion-mnist")
def test_the_mini_set_is_the_beginning_of_each_class(context: MakeContext) -> None:
    mini = load_dataset(Named(name="fashion-mnist-mini"), context())
    full = load_dataset(Named(name="fashion-mnist"), context())
    for part, whole, num_per_class in ((mini.train, full.train, 600), (mini.test, full.test, 100)):
        assert isinstance(part, ArraySplit)
        assert isinstance(whole, ArraySplit)
        firsts = [torch.nonzero(whole.targets == target).flatten()[:num_per_class] for target in range(10)]
        kept = torch.cat(firsts).sort().values
        assert torch.equal(part.inputs, whole.inputs[kept])
        assert torch.equal(part.targets, whole.targets[kept])


# When the authors compressed the files: with that and the name in their headers, Debian's are the authors' to the byte.
COMPRESSED_AT = {
    "train-images-idx3-ubyte": 1504176606,
    "train-labels-idx1-ubyte": 1504176606,
    "t10k-images-idx3-ubyte": 1504176627,
    "t10k-labels-idx1-ubyte": 1504176627,
}


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="apt-get install dataset-fashion-mnist")
@pytest.mark.parametrize("name", COMPRESSED_AT)
def test_debians_files_hold_what_torchvision_downloads(name: str) -> None:
    published = {file.removesuffix(".gz"): md5 for file, md5 in datasets.FashionMNIST.resources}
    header = b"\x1f\x8b\x08\x08" + struct.pack("<I", COMPRESSED_AT[name]) + b"\x00\x03" + name.encode() + b"\0"
    compressed = (DEBIAN / f"{name}.gz").read_bytes()
    assert hashlib.md5(header + compressed[10:]).hexdigest() == published[name]
    assert hashlib.md5(gzip.decompress(compressed)).hexdigest() == fashion_mnist._FULL_MD5[name]
