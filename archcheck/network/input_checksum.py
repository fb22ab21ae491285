"""Whether a user's callable makes the same inputs in every process: called once more in one of its own.

python -m archcheck.network.input_checksum REQUEST
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from archcheck.errors import BuildError
from archcheck.network.input_source import KEY, all_tensors, call_source
from archcheck.spec.inputs import InputSource
from archcheck.spec.tree import iter_leaves

_MAX_SEC: Final = 120


def differs_elsewhere(source: InputSource, sizes: Mapping[str, int]) -> bool:
    """Return whether a source makes other values in another process, where hashes and the order of sets are others.

    It is called once more in this one, too: a generator that it goes on with gives the same in a first call only.

    Raises:
        BuildError: it fails there.
    """
    request = {
        "target": source.target,
        "base_dir": str(source.base_dir.resolve()),
        "rootdir": str(source.rootdir.resolve()) if source.rootdir is not None else None,
        "sizes": dict(sizes),
    }
    hash_seed = os.environ.get("PYTHONHASHSEED")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "archcheck.network.input_checksum", json.dumps(request)]
    try:
        done = subprocess.run(
            command, env={**environment, "PYTHONHASHSEED": "2" if hash_seed == "1" else "1"}, text=True,
            capture_output=True, timeout=_MAX_SEC, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _failed(source, f"it takes more than {_MAX_SEC} s") from None
    if done.returncode != 0:
        raise _failed(source, (done.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    here = checksum(call_source(source, sizes)), checksum(call_source(replace(source, made={}), sizes))
    return any(done.stdout.split()[-1:] != [one] for one in here)


def _failed(source: InputSource, why: str) -> BuildError:
    error = BuildError(f"calling {source.target} in another process: {why}")
    error.key = KEY
    return error


def checksum(made: Any) -> str:
    """Return a checksum of what a source made: its tensors, and the plain values beside them."""
    plain = [leaf for _, leaf in iter_leaves(made) if leaf is None or isinstance(leaf, str | int | float)]
    found = hashlib.sha256(repr(plain).encode())
    for tensor in all_tensors(made):
        dense = tensor if tensor.layout is torch.strided else tensor.to_dense()
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        if tensor.numel():
            found.update(dense.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _main(text: str) -> None:
    request = json.loads(text)
    rootdir = Path(request["rootdir"]) if request["rootdir"] else None
    source = InputSource(request["target"], Path(request["base_dir"]), rootdir)
    sys.stdout.write(f"\n{checksum(call_source(source, request['sizes']))}\n")  # behind what it prints itself


if __name__ == "__main__":
    _main(sys.argv[1])
