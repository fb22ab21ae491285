"""A detector that is built, rebuilt for other classes, and whose norms are converted for several processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INPUT = ["B,3,16,16"]


class NormAct(nn.BatchNorm2d):
    """A batch norm with the activation behind it."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        activated: Tensor = self.act(super().forward(x))
        return activated


class SharedNormAct(NormAct):
    """The same; between processes it would share its statistics."""


class Detector(nn.Module):
    """A depthwise backbone, and heads for boxes and classes."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.stem_bn = NormAct(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)
        self.depthwise_bn = NormAct(8)
        self.boxes = nn.Conv2d(8, 4, 1)
        self.classes = nn.Conv2d(8, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Boxes and classes, one beside the other."""
        x = self.stem_bn(self.stem(x))
        x = self.depthwise_bn(self.depthwise(x))
        return torch.cat([self.boxes(x), self.classes(x)], dim=1)


def set_norms(model: nn.Module) -> None:
    """The settings that the published weights were trained with."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = 1e-3, 0.03


def share(model: nn.Module) -> None:
    """Put a norm for several processes in the place of each norm."""
    for name, child in model.named_children():
        if isinstance(child, NormAct):
            shared = SharedNormAct(child.num_features, eps=child.eps, momentum=child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(model, name, shared)


def build() -> nn.Module:
    """A network of 80 classes, and then one for the five of the data at hand."""
    model = Detector(num_classes=80)
    set_norms(model)
    model = Detector(num_classes=5)
    set_norms(model)
    share(model)
    return model
