"""AlexNet in the two forms found today."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

_D2L_CHANNELS = (96, 256, 384, 384, 256)  # the paper's, with its two halves merged
_ONE_WEIRD_TRICK_CHANNELS = (64, 192, 384, 256, 256)


def alexnet(in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """AlexNet in its single-column form, the one that torchvision has; parameters come in torchvision's order.

    Forward: (B, in_channels, H, W), H and W from 63, made for 224 -> (B, num_classes) logits.
    Size: 61,100,840 parameters at in_channels=3, num_classes=1000.

    Raises:
        ValueError: in_channels or num_classes < 1, or dropout outside [0, 1].

    Source: Krizhevsky 2014, arXiv:1404.5997; adaptive pooling and the place of dropout after torchvision.
    """
    features = _features(in_channels, _ONE_WEIRD_TRICK_CHANNELS, num_classes, stem_padding=2)
    return nn.Sequential(
        OrderedDict(
            features=features,  # (B, 256, 6, 6) at 224
            pool=nn.AdaptiveAvgPool2d(6),  # (B, 256, 6, 6)
            flatten=nn.Flatten(),  # (B, 9216)
            drop1=nn.Dropout(dropout),
            fc1=nn.Linear(256 * 6 * 6, 4096),  # (B, 4096)
            relu1=nn.ReLU(),
            drop2=nn.Dropout(dropout),
            fc2=nn.Linear(4096, 4096),  # (B, 4096)
            relu2=nn.ReLU(),
            fc3=nn.Linear(4096, num_classes),  # (B, num_classes)
        )
    )


def alexnet_d2l(
    in_channels: int = 1, num_classes: int = 10, image_size: int = 224, dropout: float = 0.5, hidden_size: int = 4096
) -> nn.Sequential:
    """AlexNet with the paper's channel numbers in one column, dropout after each hidden activation.

    Forward: (B, in_channels, image_size, image_size) -> (B, num_classes) logits.
    Size: 46,764,746 parameters at the defaults; 3,820,682 at image_size=65, hidden_size=128.

    Raises:
        ValueError: in_channels, num_classes or hidden_size < 1, image_size < 65, or dropout outside [0, 1].

    Source: Krizhevsky, Sutskever and Hinton 2012; d2l section 8.1.
    """
    if image_size < 65:
        raise ValueError(f"image_size must be at least 65, or the last pooling has nothing left, got {image_size}")
    if hidden_size < 1:
        raise ValueError(f"hidden_size must be positive, got {hidden_size}")
    side = (image_size + 2 - 11) // 4 + 1  # after the stem
    for _ in range(3):
        side = (side - 3) // 2 + 1  # after each pooling; the other convolutions keep it
    return nn.Sequential(
        OrderedDict(
            features=_features(in_channels, _D2L_CHANNELS, num_classes, stem_padding=1),  # (B, 256, side, side)
            flatten=nn.Flatten(),  # (B, 256 * side * side), 6400 at 224
            fc1=nn.Linear(256 * side * side, hidden_size),  # (B, hidden_size)
            relu1=nn.ReLU(),
            drop1=nn.Dropout(dropout),
            fc2=nn.Linear(hidden_size, hidden_size),  # (B, hidden_size)
            relu2=nn.ReLU(),
            drop2=nn.Dropout(dropout),
            fc3=nn.Linear(hidden_size, num_classes),  # (B, num_classes)
        )
    )


def _features(in_channels: int, channels: Sequence[int], num_classes: int, stem_padding: int) -> nn.Sequential:
    if in_channels < 1 or num_classes < 1:
        raise ValueError(f"in_channels and num_classes must be positive, got {in_channels} and {num_classes}")
    c1, c2, c3, c4, c5 = channels
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, c1, kernel_size=11, stride=4, padding=stem_padding),  # (B, c1, 55, 55); d2l 54
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(kernel_size=3, stride=2),  # (B, c1, 27, 27); d2l 26
            conv2=nn.Conv2d(c1, c2, kernel_size=5, padding=2),  # (B, c2, 27, 27)
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(kernel_size=3, stride=2),  # (B, c2, 13, 13); d2l 12
            conv3=nn.Conv2d(c2, c3, kernel_size=3, padding=1),  # (B, c3, 13, 13)
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(c3, c4, kernel_size=3, padding=1),  # (B, c4, 13, 13)
            relu4=nn.ReLU(),
            conv5=nn.Conv2d(c4, c5, kernel_size=3, padding=1),  # (B, c5, 13, 13)
            relu5=nn.ReLU(),
            pool5=nn.MaxPool2d(kernel_size=3, stride=2),  # (B, c5, 6, 6); d2l 5
        )
    )
