"""Files in the idx format of MNIST and its successors: magic number, sizes, bytes; gzip-compressed or not."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from archcheck.errors import DataError
from archcheck.network.exceptions import one_line

_UNSIGNED_BYTE = 8
_MAX_BYTES = 1 << 30  # no data set has a larger file; one that unpacks to more would fill the memory


def read_idx(path: Path, md5: str | None = None) -> Tensor:
    """Read a file of unsigned bytes: a uint8 tensor of the shape that the file gives.

    md5: the expected checksum of the uncompressed content (compression differs between distributors); None: unchecked.

    Raises:
        DataError: the file can't be unpacked, has another checksum, or isn't in the format.
    """
    raw = _content(path)
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest() if md5 else None
    try:
        if found == md5:
            return parse_idx(raw)
        reason = ""
        parse_idx(raw)
    except DataError as error:
        reason = str(error)
    if found == md5:
        raise DataError(f"{path}: {reason}")
    message = f"{path} is corrupt: expected the md5 {md5} of its content uncompressed, found {found}"
    raise DataError(f"{message} ({reason})" if reason else message)


def parse_idx(raw: bytearray) -> Tensor:
    """Return the array that the content of an idx file holds; it shares the memory of `raw`.

    Raises:
        DataError: the content isn't in the format, or its length isn't what its header says.
    """
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] != _UNSIGNED_BYTE or not raw[3]:
        expected = "00 00 08 and a number of dimensions"
        raise DataError(f"expected an idx file of unsigned bytes (beginning {expected}), found {raw[:4].hex(' ')}")
    num_dims = raw[3]
    start = 4 + 4 * num_dims
    if len(raw) < start:
        raise DataError(f"its header of {num_dims} dimensions is cut off after {len(raw)} bytes")
    shape = struct.unpack(f">{num_dims}I", raw[4:start])
    if len(raw) - start != math.prod(shape):
        text = " x ".join(map(str, shape))
        raise DataError(f"its header says {text} = {math.prod(shape)} bytes, {len(raw) - start} follow it")
    if not math.prod(shape):
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(raw, dtype=torch.uint8, offset=start).view(shape)


def _content(path: Path) -> bytearray:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = bytearray(file.read(_MAX_BYTES + 1))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is corrupt: it can't be unpacked: {one_line(error)}") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {one_line(error)}") from error
    if len(raw) > _MAX_BYTES:
        raise DataError(f"{path} is corrupt: it unpacks to more than {_MAX_BYTES} bytes")
    return raw
