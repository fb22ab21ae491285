"""Which networks there are, by the name of their library as pip knows it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from public_zoo.entry import Entry

Places = Mapping[str, Sequence[str]]  # library -> lists of entries, as module:name below `public_zoo`

PUBLIC: Final[Places] = {
    "torchvision": ("vision:TORCHVISION",),
    "timm": ("vision:TIMM",),
    "transformers": ("language:ENTRIES",),
    "diffusers": ("diffusion:ENTRIES",),
    "torch_geometric": ("assorted:GEOMETRIC",),
    "x-transformers": ("assorted:X_TRANSFORMERS",),
    "monai": ("assorted:MONAI",),
    "segmentation_models_pytorch": ("assorted:SEGMENTATION",),
}
CHANGES: Final = {
    "torchvision": "TORCHVISION",
    "timm": "TIMM",
    "transformers": "TRANSFORMERS",
    "diffusers": "DIFFUSERS",
    "torch_geometric": "GEOMETRIC",
    "x-transformers": "X_TRANSFORMERS",
    "monai": "MONAI",
    "segmentation_models_pytorch": "SEGMENTATION",
}
ECOSYSTEM: Final[Places] = {
    **PUBLIC,
    "torchvision": (*PUBLIC["torchvision"], "training:DETECTORS"),
    "torch_geometric": (*PUBLIC["torch_geometric"], "training:GRAPHS"),
    "vit-pytorch": ("images:VIT_PYTORCH",),
    "kornia": ("images:KORNIA",),
    "open_clip_torch": ("images:OPEN_CLIP",),
    "efficientnet-pytorch": ("images:EFFICIENTNET",),
    "geffnet": ("images:GEFFNET",),
    "pretrainedmodels": ("images:PRETRAINEDMODELS",),
    "ultralytics": ("images:ULTRALYTICS",),
    "facenet-pytorch": ("images:FACENET",),
    "lpips": ("images:LPIPS",),
    "lightly": ("images:LIGHTLY",),
    "pytorchvideo": ("training:VIDEO",),
    "peft": ("training:PEFT",),
    "sentence-transformers": ("training:SENTENCES",),
    "lightning": ("training:LIGHTNING",),
    "torchaudio": ("sound:TORCHAUDIO",),
    "speechbrain": ("sound:SPEECHBRAIN",),
    "asteroid": ("sound:ASTEROID",),
    "encodec": ("sound:ENCODEC",),
    "conformer": ("sound:CONFORMER",),
    "rotary-embedding-torch": ("attention:ROTARY",),
    "einops": ("attention:EINOPS",),
    "denoising-diffusion-pytorch": ("attention:DIFFUSION",),
    "nystrom-attention": ("attention:NYSTROM",),
    "performer-pytorch": ("attention:PERFORMER",),
    "local-attention": ("attention:LOCAL",),
    "linformer": ("attention:LINFORMER",),
    "reformer-pytorch": ("attention:REFORMER",),
    "perceiver-pytorch": ("attention:PERCEIVER",),
    "vector-quantize-pytorch": ("attention:CODEBOOKS",),
    "mambapy": ("attention:MAMBAPY",),
    "pytorch-crf": ("attention:CRF",),
    "ncps": ("attention:NCPS",),
    "snntorch": ("attention:SNNTORCH",),
    "pytorch-tabnet": ("tables:TABNET",),
    "tab-transformer-pytorch": ("tables:TABLES",),
    "rtdl_revisiting_models": ("tables:RTDL",),
    "deepctr-torch": ("tables:DEEPCTR",),
    "neuralforecast": ("tables:NEURALFORECAST",),
    "pytorch-forecasting": ("tables:FORECASTING",),
    "e3nn": ("science:E3NN",),
    "neuraloperator": ("science:NEURALOP",),
    "zuko": ("science:ZUKO",),
    "nflows": ("science:NFLOWS",),
    "torchdyn": ("science:TORCHDYN",),
    "torchdiffeq": ("science:TORCHDIFFEQ",),
    "gpytorch": ("science:GPYTORCH",),
    "botorch": ("science:BOTORCH",),
    "pyro-ppl": ("science:PYRO",),
    "torchrl": ("science:TORCHRL",),
    "tensordict": ("science:TENSORDICT",),
}


def public_entries(library: str) -> list[Entry]:
    """Return the networks of one of the eight libraries that `public_networks.py` sweeps over.

    Raises:
        ModuleNotFoundError: the library isn't installed.
    """
    return _entries(PUBLIC[library])


def ecosystem_entries(library: str) -> list[Entry]:
    """Return the networks of a library that `ecosystem.py` sweeps over: those whose configuration is changed.

    Raises:
        ModuleNotFoundError: the library isn't installed, and its module of entries imports it.
    """
    entries = _entries(ECOSYSTEM[library])
    changed = {entry.name: entry.changes for entry in entries if entry.changes} | _changes(library)
    return [replace(entry, changes=changed[entry.name]) for entry in entries if entry.name in changed]


def _entries(places: Sequence[str]) -> list[Entry]:
    lists = (place.split(":") for place in places)
    return [entry for module, name in lists for entry in getattr(importlib.import_module(f"public_zoo.{module}"), name)]


def _changes(library: str) -> dict[str, Any]:
    """Return the changes of networks that stand apart from them; they are of the argument `config`, if there is one."""
    if library not in CHANGES:
        return {}
    from public_zoo import changes

    table: changes.Changes = getattr(changes, CHANGES[library])
    known = {entry.name: entry for entry in _entries(ECOSYSTEM[library])}
    unknown = table.keys() - known.keys()
    assert not unknown, f"{library} has no networks {sorted(unknown)}"
    return {
        name: [{"config": change} if "config" in known[name].args else change for change in made]
        for name, made in table.items()
    }
