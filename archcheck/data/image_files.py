"""Image files: decoded into memory where they fit, else decoded on demand."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from archcheck.data.context import DataContext
from archcheck.data.splits import ArraySplit, Split
from archcheck.errors import DataError
from archcheck.network.exceptions import one_line

_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image file with its class; `name` is what messages call it: the file, or its line in a table."""

    path: str
    target: int
    name: str


class ImageFiles(Dataset[tuple[Tensor, int]]):
    """A map-style data set that decodes files on demand: items are (C, H, W) uint8 pixels and an int class."""

    def __init__(self, entries: Sequence[ImageEntry], channels: int, size: tuple[int, int], resize: bool) -> None:
        self.entries = entries
        self.channels = channels
        self.size = size
        self.resize = resize

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        entry = self.entries[index]
        with _opened(entry) as image:
            if image.size != self.size[::-1] and not self.resize:
                raise DataError(
                    f"{entry.name}: the image has {image.height}x{image.width} pixels, the first one "
                    f"{self.size[0]}x{self.size[1]}: `resize` brings all to one size",
                    arg="path",
                )
            try:
                return image_to_tensor(_sized(image, self.channels, self.size), self.channels), entry.target
            except Exception as error:
                raise _undecodable(entry, error) from error

    @property
    def num_bytes(self) -> int:
        """The size of all decoded images, in bytes."""
        return len(self) * self.channels * self.size[0] * self.size[1]

    def decode_all(self) -> ArraySplit:
        """Decode every file: inputs (N, C, H, W) uint8, targets (N,) int64."""
        inputs = torch.empty((len(self), self.channels, *self.size), dtype=torch.uint8)

        def decode(index: int) -> None:
            inputs[index] = self[index][0]

        # Decoding releases the GIL. The first error is raised; files that are still waiting are dropped.
        pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
        try:
            for _ in pool.map(decode, range(len(self))):
                pass
        finally:
            pool.shutdown(cancel_futures=True)
        return ArraySplit(inputs, torch.tensor([entry.target for entry in self.entries]))


def load_images(
    train: Sequence[ImageEntry], test: Sequence[ImageEntry], channels: int, context: DataContext
) -> tuple[Split, Split]:
    """Load both splits at the context's image size: in memory where both fit its budget, else decoded on demand.

    Raises:
        DataError: a file is no image, or the images differ in size and no size was given.
    """
    size = context.image_size or _size_of(train[0])
    splits = [ImageFiles(entries, channels, size, context.image_size is not None) for entries in (train, test)]
    needed = sum(split.num_bytes for split in splits)
    if context.budget_bytes is not None and needed > context.budget_bytes:
        return splits[0], splits[1]
    return splits[0].decode_all(), splits[1].decode_all()


def is_pil_image(value: object) -> bool:
    """Whether `value` is an image of PIL; doesn't import PIL."""
    return any(base.__module__.startswith("PIL.") for base in type(value).__mro__)


def image_to_tensor(image: Any, channels: int | None = None) -> Tensor:
    """Convert a PIL image to a (C, H, W) uint8 tensor; without `channels`, C is 1 for a grey image and 3 for others."""
    mode = _MODES[channels] if channels else "L" if image.mode in ("1", "L", "LA") else "RGB"
    image = image.convert(mode)
    raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return raw.view(image.height, image.width, len(mode) if mode == "RGB" else 1).permute(2, 0, 1).contiguous()


def _sized(image: Any, channels: int, size: tuple[int, int]) -> Any:
    from PIL import Image

    if image.mode[0] in "IF":  # PIL would clip values above 255: most of the image would be white
        raise DataError(f"its pixels have more than 8 bits (mode {image.mode})")
    image = image.convert(_MODES[channels])
    return image if image.size == size[::-1] else image.resize(size[::-1], Image.Resampling.BILINEAR)


@contextmanager
def _opened(entry: ImageEntry) -> Iterator[Any]:
    """Open an image file and read its header.

    Raises:
        DataError: it is no image that can be read.
    """
    from PIL import Image

    try:
        image = Image.open(entry.path)
    except Exception as error:
        raise _undecodable(entry, error) from error
    with image:
        yield image


def _size_of(entry: ImageEntry) -> tuple[int, int]:
    with _opened(entry) as image:
        return image.height, image.width


def _undecodable(entry: ImageEntry, error: Exception) -> DataError:
    reason = str(error) if isinstance(error, DataError) else one_line(error)
    return DataError(f"{entry.name}: not an image that can be read: {reason}", arg="path")


def sorted_files(folder: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below a folder whose names end in one of `suffixes`, in torchvision's order."""
    for parent, _, names in sorted(os.walk(folder, followlinks=True)):
        for name in sorted(names):
            if name.lower().endswith(suffixes):
                yield os.path.join(parent, name)
