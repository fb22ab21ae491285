"""The networks of `equivalent_pairs.py` that libraries have, each with what may be planted in it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import timm
import torchvision
import transformers
from torch import Tensor, nn


class Result(nn.Module):
    """A model of transformers that returns one of its outputs alone."""

    def __init__(self, model: nn.Module, output: str) -> None:
        super().__init__()
        self.model, self._output = model, output

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Any:
        """Return that output."""
        return self.model(*args, **kwargs)[self._output]


def torchvision_net(name: str, args: Mapping[str, Any] | None = None, plant: str = "") -> nn.Module:
    """Build a classifier of torchvision."""
    return planted(torchvision.models.get_model(name, weights=None, **(args or {})), plant)


def timm_net(name: str, args: Mapping[str, Any] | None = None, plant: str = "") -> nn.Module:
    """Build a network of timm."""
    return planted(timm.create_model(name, pretrained=False, **(args or {})), plant)


def zoo_net(module: str, name: str, args: Mapping[str, Any] | None = None, plant: str = "") -> nn.Module:
    """Build an architecture of archcheck's zoo."""
    return planted(getattr(importlib.import_module(f"archcheck.zoo.{module}"), name)(**(args or {})), plant)


def transformers_net(
    model: str, config: Mapping[str, Any], attention: str = "eager", output: str = "", plant: str = ""
) -> nn.Module:
    """Build a network of transformers, which returns all that it does or one `output`; nothing is downloaded."""
    model_class: Any = getattr(transformers, model)
    settings = model_class.config_class(**config)
    settings._attn_implementation = attention
    network: nn.Module = model_class(settings)
    return planted(Result(network, output) if output else network, plant)


# ------------------------------------------------------------------------------------------- defects


def planted(network: nn.Module, plant: str) -> nn.Module:
    """Return a network with one defect in it, in the last module that can have it.

    Raises:
        ValueError: none can.
    """
    if plant and not any(_DEFECTS[plant](module) for module in reversed(list(network.modules()))):
        raise ValueError(f"no module of {type(network).__name__} has a defect of the kind {plant}")
    return network


def _plant_eps(module: nn.Module) -> bool:
    """Give a norm ten times its epsilon, or a thousandth: beside a variance of 1 nobody tells 1e-12 from 1e-11."""
    name = next((name for name in ("eps", "variance_epsilon") if isinstance(getattr(module, name, None), float)), "")
    if name:
        setattr(module, name, max(10 * getattr(module, name), 1e-3))
    return bool(name)


def _plant_activation(module: nn.Module) -> bool:
    """Replace an activation by another."""
    for name, child in module.named_children():
        kind = type(child).__name__
        if kind in ("ReLU", "ReLU6", "GELU", "SiLU", "SiLUActivation", "GELUActivation", "NewGELUActivation", "Swish"):
            setattr(module, name, nn.GELU() if "ReLU" in kind or "iLU" in kind else nn.ReLU())
            return True
    return False


def _plant_scale(module: nn.Module) -> bool:
    """Make the scores of an attention larger."""
    for name in ("scale", "scaling", "attention_scale"):
        if isinstance(getattr(module, name, None), float):
            setattr(module, name, 1.1 * getattr(module, name))
            return True
    return False


def _plant_pooling(module: nn.Module) -> bool:
    """Replace a max pooling by an average, or the other way round."""
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
            return True
    return False


_DEFECTS: Final[Mapping[str, Callable[[nn.Module], bool]]] = {
    "eps": _plant_eps,
    "activation": _plant_activation,
    "scale": _plant_scale,
    "pooling": _plant_pooling,
}
