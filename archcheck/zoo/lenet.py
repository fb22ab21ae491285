"""LeNet-5 and its batch-normalised form."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from archcheck.zoo.batchnorm import BatchNorm


def lenet5(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """LeNet-5 with sigmoid activations and average pooling.

    Forward: (B, in_channels, 28, 28) float in [0, 1] -> (B, num_classes) logits.
    Size: 61,706 parameters at num_classes=10, in_channels=1.

    Raises:
        ValueError: num_classes < 2 or in_channels < 1.

    Source: LeCun et al. 1998, fig. 2; C3 fully connected, unlike its table I; d2l section 7.6.
    """
    return _lenet(in_channels, num_classes, padding=2, norm=_no_norm)


def lenet_bn(num_classes: int = 10, in_channels: int = 1, hand_written: bool = False) -> nn.Sequential:
    """LeNet without padding, with batch normalisation before every sigmoid.

    Forward: (B, in_channels, 28, 28) float in [0, 1] -> (B, num_classes) logits.
    Size: 44,878 parameters at num_classes=10, in_channels=1, in both forms.

    With `hand_written` the layers are `archcheck.zoo.batchnorm.BatchNorm`, which computes the same; children and their
    order stay.

    Raises:
        ValueError: num_classes < 2 or in_channels < 1.

    Source: d2l section 8.5.
    """
    return _lenet(in_channels, num_classes, padding=0, norm=BatchNorm if hand_written else _torch_batch_norm)


def _torch_batch_norm(num_features: int, num_dims: int) -> nn.Module:
    return nn.BatchNorm1d(num_features) if num_dims == 2 else nn.BatchNorm2d(num_features)


def _no_norm(num_features: int, num_dims: int) -> None:  # noqa: ARG001
    return None


def _lenet(
    in_channels: int, num_classes: int, padding: int, norm: Callable[[int, int], nn.Module | None]
) -> nn.Sequential:
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    if in_channels < 1:
        raise ValueError(f"in_channels must be positive, got {in_channels}")
    side = 4 + padding // 2  # of the second pooling's output, for no padding or 2
    layers = {
        "conv1": nn.Conv2d(in_channels, 6, kernel_size=5, padding=padding),  # (B, 6, 24 + 2p, 24 + 2p)
        "norm1": norm(6, 4),
        "sigmoid1": nn.Sigmoid(),
        "pool1": nn.AvgPool2d(kernel_size=2),  # (B, 6, 12 + p, 12 + p)
        "conv2": nn.Conv2d(6, 16, kernel_size=5),  # (B, 16, 8 + p, 8 + p)
        "norm2": norm(16, 4),
        "sigmoid2": nn.Sigmoid(),
        "pool2": nn.AvgPool2d(kernel_size=2),  # (B, 16, side, side)
        "flatten": nn.Flatten(),  # (B, 16 * side * side)
        "fc1": nn.Linear(16 * side * side, 120),  # (B, 120)
        "norm3": norm(120, 2),
        "sigmoid3": nn.Sigmoid(),
        "fc2": nn.Linear(120, 84),  # (B, 84)
        "norm4": norm(84, 2),
        "sigmoid4": nn.Sigmoid(),
        "fc3": nn.Linear(84, num_classes),  # (B, num_classes)
    }
    return nn.Sequential(OrderedDict((name, layer) for name, layer in layers.items() if layer is not None))
