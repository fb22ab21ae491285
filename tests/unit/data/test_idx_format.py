"""Files in the idx format: what they hold, and what is wrong with them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
import torch

from archcheck.data.idx_format import read_idx
from archcheck.errors import DataError


def idx(values: list[int], *shape: int) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + bytes(values)


def test_an_array_has_the_shape_and_values_of_its_file(tmp_path: Path) -> None:
    for name, compress in (("plain", bytes), ("packed.gz", gzip.compress)):
        (tmp_path / name).write_bytes(compress(idx([1, 2, 3, 4, 5, 255], 2, 3)))
        array = read_idx(tmp_path / name)
        assert (array.dtype, array.tolist()) == (torch.uint8, [[1, 2, 3], [4, 5, 255]])


def test_an_array_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(idx([], 0, 28))
    assert read_idx(tmp_path / "empty").shape == (0, 28)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/none can't be read: FileNotFoundError: "):
        read_idx(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x0d\1\0\0\0\0", r"expected an idx file of unsigned bytes \(beginning 00 00 08 and .*found 00 00 0d 01"),
        (b"\0\0\x08\3\0\0\0\1", r"its header of 3 dimensions is cut off after 8 bytes"),
        (idx([1, 2, 3], 2, 2), r"its header says 2 x 2 = 4 bytes, 3 follow it"),
        (idx([1, 2, 3], 2), r"its header says 2 = 2 bytes, 3 follow it"),
    ],
)
def test_idx_files_are_what_they_say(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=f"{tmp_path}/file: {message}"):
        read_idx(tmp_path / "file")
