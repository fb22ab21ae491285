"""Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747), and the balanced subset of it that comes with archcheck."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from archcheck.data.context import DataContext
from archcheck.data.idx_format import read_idx
from archcheck.data.splits import ArraySplit, LoadedDataset, first_examples
from archcheck.data.torchvision_datasets import download
from archcheck.errors import DataError, NotMeasured

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
MINI_FOLDER = Path(__file__).parent / "fashion-mnist-mini"

# md5 of the content, uncompressed: Debian's package compresses the files anew.
_FULL_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
_MINI_MD5 = {
    "train-images-idx3-ubyte": "cae7193a8e3dd75966f4b1f38d78ca94",
    "train-labels-idx1-ubyte": "1641b7f3205a263b146be7f1df295e66",
    "t10k-images-idx3-ubyte": "c5442ce2f064c32bf3ec2983a505322f",
    "t10k-labels-idx1-ubyte": "a00963b89d54a5ab6dc42b2b2c57c0e7",
}


def fashion_mnist(context: DataContext, /, *, head: int | None = None) -> LoadedDataset:
    """Load Fashion-MNIST: 60,000 training and 10,000 test images, (N, 1, 28, 28) uint8, of ten kinds of clothes.

    head: the number of training examples, the first ones; None: all.

    Raises:
        NotMeasured: the data set isn't on this machine, and downloading isn't allowed.
        DataError: a file is corrupt, or the download failed.
    """
    folders = _folders(context)
    files = _find(folders)
    if files is None and context.download:
        download("FashionMNIST", context.data_folder)
        files = _find(folders)
    if files is None:
        raise NotMeasured(_missing(folders))
    return _load("fashion-mnist", files, _FULL_MD5, head)


def fashion_mnist_mini(_context: DataContext, /, *, head: int | None = None) -> LoadedDataset:
    """Load the first 600 training and 100 test images of each class of Fashion-MNIST; comes with archcheck.

    head: the number of training examples, the first ones; None: all.

    Raises:
        DataError: a file is missing or corrupt, so the installation is broken.
    """
    files = {name: MINI_FOLDER / f"{name}.gz" for name in _MINI_MD5}
    return _load("fashion-mnist-mini", files, _MINI_MD5, head)


def _folders(context: DataContext) -> list[Path]:
    """Return the folders to look in, in order: the user's own, torchvision's layout in it, then Debian's package."""
    own = context.data_folder
    return [own, own / "FashionMNIST" / "raw", own / "fashion-mnist", DEBIAN_FOLDER]


def _find(folders: list[Path]) -> dict[str, Path] | None:
    """Return the four files of the first folder that has them all, by name; None where no folder does."""
    for folder in folders:
        files = _present(folder)
        if len(files) == len(_FULL_MD5):
            return files
    return None


def _present(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in _FULL_MD5:
        for path in (folder / name, folder / f"{name}.gz"):  # where both are there, there is nothing to unpack
            if path.is_file():
                found.setdefault(name, path)
    return found


def _missing(folders: list[Path]) -> str:
    looked = "; ".join(f"{folder}{_gaps(folder)}" for folder in folders)
    return (
        f"fashion-mnist is not on this machine (looked in {looked}): `apt-get install dataset-fashion-mnist`, "
        "--archcheck-data DIR with the four .gz files or torchvision's FashionMNIST/raw, or --archcheck-download"
    )


def _gaps(folder: Path) -> str:
    present = _present(folder)
    gaps = [f"{name}.gz" for name in _FULL_MD5 if name not in present]
    return f", which lacks {', '.join(gaps)}" if present else ""


def _load(name: str, files: Mapping[str, Path], md5: Mapping[str, str], head: int | None) -> LoadedDataset:
    arrays = {stem: read_idx(path, md5[stem]) for stem, path in files.items()}
    train, test = (
        # (N, 28, 28) -> (N, 1, 28, 28); labels uint8 -> int64
        ArraySplit(arrays[f"{part}-images-idx3-ubyte"].unsqueeze(1), arrays[f"{part}-labels-idx1-ubyte"].long())
        for part in ("train", "t10k")
    )
    for split in (train, test):
        if len(split.inputs) != len(split.targets):
            raise DataError(f"{name} has {len(split.inputs)} images and {len(split.targets)} labels")
    return LoadedDataset(name, first_examples(train, head), test, num_classes=10)
