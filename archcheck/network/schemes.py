"""What a scheme's targets build: models by name, configuration files, and whatever an installed package offers.

`torchvision:resnet18` and `timm:resnet18` come without pretrained weights. Nothing is downloaded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from archcheck.errors import BuildError, UsageError
from archcheck.network.call_arguments import PRETRAINED
from archcheck.network.config_files import read_config_factory
from archcheck.network.imports import build_error, import_library
from archcheck.network.signatures import signature_of
from archcheck.spec.schemes import CONFIG_FILES, installed_schemes, no_such_scheme
from archcheck.spec.target import Target
from archcheck.text.words import did_you_mean, kind_of


def resolve_scheme(target: Target, base_dir: Path, rootdir: Path | None = None) -> Callable[..., Any]:
    """Return what a target with a scheme names: something to call with the spec's `args`.

    Files count from `base_dir`.

    Raises:
        BuildError: the library isn't installed, there is no such model or file, or an installed scheme refuses.
    """
    if target.kind == "config":
        return read_config_factory(target, base_dir)
    if target.source == "torchvision":
        return _torchvision_builder(target.attribute)
    if target.source == "timm":
        return _timm_builder(target.attribute)
    resolve = _installed_resolver(target.source, rootdir)
    try:
        found = resolve(target.attribute, base_dir)
    except BuildError:
        raise
    except (Exception, SystemExit) as error:
        raise build_error(f"resolving {target.text}", error, rootdir) from error
    if not callable(found):
        expected = "expected a callable that returns a torch.nn.Module"
        raise BuildError(f"{target.text}: the scheme {target.source!r} returned {kind_of(found)}, {expected}")
    factory: Callable[..., Any] = found
    return factory


def list_targets(scheme: str) -> list[str]:
    """Return the names that may stand behind a scheme's colon, in alphabetical order.

    Those of an installed scheme are what its resolver's `names()` gives, where it has that.

    Raises:
        BuildError: there is no such scheme, or its library isn't installed or can't be loaded.
        UsageError: its targets have no names: they are files, or only the scheme knows them.
    """
    if scheme == "torchvision":
        return sorted(import_library("torchvision", "torchvision.models").list_models())
    if scheme == "timm":
        return sorted(import_library("timm", "timm").list_models())
    if scheme in CONFIG_FILES:
        raise UsageError(f"{scheme}: its targets are configuration files: name them one by one")
    names = getattr(_installed_resolver(scheme, None), "names", None)
    if not callable(names):
        raise UsageError(f"{scheme}: this scheme lists no names: name its targets one by one")
    try:
        return sorted(map(str, names()))
    except Exception as error:
        raise build_error(f"listing {scheme}", error, None) from error


def _installed_resolver(scheme: str, rootdir: Path | None) -> Callable[[str, Path], Any]:
    point = installed_schemes().get(scheme)
    if point is None:
        raise BuildError(no_such_scheme(scheme))
    about = f"the scheme {scheme!r} ({point.value})"
    try:
        resolve = point.load()
    except (Exception, SystemExit) as error:
        raise build_error(f"loading {about}", error, rootdir) from error
    if not callable(resolve):
        expected = "expected a callable of the text behind the colon and the spec's folder"
        raise BuildError(f"{about} is {kind_of(resolve)}, {expected}")
    resolver: Callable[[str, Path], Any] = resolve
    return resolver


def _torchvision_builder(name: str) -> Callable[..., nn.Module]:
    models = import_library("torchvision", "torchvision.models")
    known = models.list_models()
    if name.lower() not in known:
        raise BuildError(f"torchvision has no model {name!r}{did_you_mean(name.lower(), known)}")
    builder = models.get_model_builder(name)
    # Left to themselves, detection and segmentation models download their backbone's weights.
    weights = [key for key in signature_of(builder).parameters if key in PRETRAINED]
    return functools.partial(builder, **dict.fromkeys(weights))


def _timm_builder(name: str) -> Callable[..., nn.Module]:
    timm = import_library("timm", "timm")
    if not timm.is_model(name):
        raise BuildError(f"timm has no model {name!r}{did_you_mean(name, timm.list_models())}")
    return functools.partial(timm.create_model, name, pretrained=False)
