"""What only torch can tell of a training recipe: whether optimizers and schedulers exist and take what they get."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import ModuleType

import torch

from archcheck.build import check_arguments, did_you_mean
from archcheck.checks import Mismatch
from archcheck.errors import BuildError
from archcheck.spec import Named, Spec
from archcheck.values import Keys


def check_recipe(spec: Spec) -> list[Mismatch]:
    """The optimizers and schedulers of `training` and `training.quick`, by name and by their own arguments."""
    return [
        mismatch
        for keys, module, base, named in _named_classes(spec)
        for mismatch in _check_class(keys, module, base, named)
    ]


def _named_classes(spec: Spec) -> Iterator[tuple[Keys, ModuleType, type, Named]]:
    quick = spec.training.quick if spec.training is not None else None
    for keys, section in ((("training",), spec.training), (("training", "quick"), quick)):
        if section is None:
            continue
        if section.optimizer is not None:
            yield (*keys, "optimizer"), torch.optim, torch.optim.Optimizer, section.optimizer
        if section.scheduler is not None:
            scheduler = torch.optim.lr_scheduler
            yield (*keys, "scheduler"), scheduler, scheduler.LRScheduler, section.scheduler


def _check_class(keys: Keys, module: ModuleType, base: type, named: Named) -> Iterator[Mismatch]:
    found = getattr(module, named.name, None)
    if not (isinstance(found, type) and issubclass(found, base)):
        known = [name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, base)]
        hint = did_you_mean(named.name, known)
        yield Mismatch((*keys, "name"), str(keys[-1]), f"{module.__name__} has no {named.name!r}{hint}")
        return
    make: Callable[..., object] = found
    try:
        # The first argument, parameters or optimizer, is not the spec's to give.
        check_arguments(functools.partial(make, None), named.model_extra or {}, f"{module.__name__}.{named.name}")
    except BuildError as error:
        yield Mismatch((*keys, error.arg) if error.arg else keys, str(keys[-1]), str(error))
