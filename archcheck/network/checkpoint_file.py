"""Files of weights: `torch.save` and safetensors, read without running anything in them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from archcheck.errors import NotMeasured
from archcheck.text.words import clip, kind_of, listed

if TYPE_CHECKING:
    from torch import Tensor

_WRAPPERS = ("state_dict", "model_state_dict", "model")  # keys under which files keep it beside other things
_LFS_POINTER = b"version https://git-lfs"


def read_checkpoint(path: Path, key: str | None = None) -> Mapping[str, Tensor]:
    """Read the state_dict in a file of `torch.save` or of safetensors; nothing in the file is run.

    key: where in the file it is, with dots between the parts of a nested place; without, the file itself or what it
    has under `state_dict`, `model_state_dict` or `model`.

    Raises:
        ValueError: the file holds no state_dict, in one line.
        NotMeasured: safetensors isn't installed.
    """
    content = _read_file(path)
    if key is not None:
        return _state_at(content, key)
    for name in _WRAPPERS:
        inner = content.get(name) if isinstance(content, Mapping) else None
        if isinstance(inner, Mapping) and _is_state_dict(inner):
            return inner
    if not _is_state_dict(content):
        raise ValueError(f"holds no state_dict; it has {_names_in(content)}")
    return content


def _state_at(content: Any, key: str) -> Mapping[str, Tensor]:
    """Return the state_dict under a key of a file. Raises ValueError where there is none."""
    parts = [key] if isinstance(content, Mapping) and key in content else key.split(".")
    for part in parts:
        if not isinstance(content, Mapping) or part not in content:
            raise ValueError(f"has no {part!r}; it has {_names_in(content)}")
        content = content[part]
    if not _is_state_dict(content):
        raise ValueError(f"{key!r} is {kind_of(content)}, expected a state_dict: names and tensors")
    return content


def _is_state_dict(value: Any) -> TypeGuard[Mapping[str, Tensor]]:
    from torch import Tensor

    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        return False
    return not value or any(isinstance(item, Tensor) for item in value.values())


def _read_file(path: Path) -> Any:
    """Return what a file holds. Raises ValueError where it can't be read, NotMeasured without safetensors."""
    import torch

    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise ValueError("is a pointer of Git LFS; fetch the file itself: git lfs pull")
    is_safe = path.suffix.lower() == ".safetensors"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's words about files of other kinds are told in ours
            return _load_safetensors(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
    except NotMeasured:
        raise
    except Exception as error:  # of torch, pickle, zipfile or safetensors: whatever a broken file brings about
        if "GLOBAL" in str(error).upper():  # a name of Python's that unpickling would import
            raise ValueError("holds more than tensors, which is not loaded; save model.state_dict()") from None
        if "TorchScript" in str(error):
            raise ValueError("is a TorchScript archive, which holds code; save model.state_dict()") from None
        kind = "safetensors" if is_safe else "torch.save"
        raise ValueError(f"is not a file of {kind}, or broken") from None


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise NotMeasured(f"{path.name}: safetensors is not installed; pip install safetensors") from None
    return load_file(path)


def _names_in(content: Any) -> str:
    if isinstance(content, Mapping):
        return listed([clip(str(name)) for name in content], 6) or "nothing"
    return kind_of(content)
