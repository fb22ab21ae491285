"""VGG networks: blocks of 3x3 convolutions, each halving the image."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

DEPTHS: dict[int, tuple[int, ...]] = {  # convolutions in each of the five blocks
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_CHANNELS = (64, 128, 256, 512, 512)


def vgg(
    depth: int = 16,
    in_channels: int = 3,
    num_classes: int = 1000,
    *,
    image_size: int = 224,
    width_divisor: int = 1,
    hidden_size: int = 4096,
    dropout: float = 0.5,
    softmax: bool = False,
) -> nn.Sequential:
    """VGG of 11, 13, 16 or 19 weight layers, its convolutions `width_divisor` times narrower than the paper's.

    `hidden_size` is the width of the first two fully connected layers.

    Forward: (B, in_channels, image_size, image_size) -> (B, num_classes) logits, or probabilities with `softmax`.
    Size: 138,357,544 parameters at the defaults; 43,093,322 at depth=11, in_channels=1, num_classes=10,
        width_divisor=4, and 22,121,802 there with image_size=96.

    Parameters come in torchvision's order. `softmax` is for showing predictions: cross-entropy wants logits.

    Raises:
        ValueError: an unknown depth, in_channels or num_classes < 1, image_size < 32, a width_divisor that does not
            divide 64, hidden_size < 1, or dropout outside [0, 1].

    Source: Simonyan and Zisserman 2014, arXiv:1409.1556, table 1, columns A, B, D, E; d2l section 8.2.
    """
    _check_arguments(depth, image_size, width_divisor)
    if min(in_channels, num_classes, hidden_size) < 1:
        sizes = f"{in_channels}, {num_classes} and {hidden_size}"
        raise ValueError(f"in_channels, num_classes and hidden_size must be positive, got {sizes}")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index, (num_convs, width) in enumerate(zip(DEPTHS[depth], _CHANNELS, strict=True), start=1):
        out_channels = width // width_divisor
        layers[f"block{index}"] = vgg_block(num_convs, in_channels, out_channels)  # (B, out_channels, H/2^i, W/2^i)
        in_channels = out_channels
    layers["flatten"] = nn.Flatten()  # (B, 512 / width_divisor * (image_size // 32)^2)
    in_features = in_channels * (image_size // 32) ** 2
    layers.update(_classifier(in_features, hidden_size, num_classes, dropout))  # (B, num_classes)
    if softmax:
        layers["softmax"] = nn.Softmax(dim=1)
    return nn.Sequential(layers)


def vgg_block(num_convs: int, in_channels: int, out_channels: int) -> nn.Sequential:
    """`num_convs` 3x3 convolutions that keep the size, each with a ReLU, then a 2x2 max pooling.

    Forward: (B, in_channels, H, W) -> (B, out_channels, H // 2, W // 2).
    Size: 9 * out_channels * (in_channels + (num_convs - 1) * out_channels) + num_convs * out_channels parameters.

    Raises:
        ValueError: num_convs < 1.
    """
    if num_convs < 1:
        raise ValueError(f"num_convs must be positive, got {num_convs}")
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(1, num_convs + 1):
        layers[f"conv{index}"] = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)  # (B, out, H, W)
        layers[f"relu{index}"] = nn.ReLU()
        in_channels = out_channels
    layers["pool"] = nn.MaxPool2d(kernel_size=2)  # (B, out, H // 2, W // 2)
    return nn.Sequential(layers)


def _check_arguments(depth: int, image_size: int, width_divisor: int) -> None:
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth}")
    if image_size < 32:
        raise ValueError(f"image_size must be at least 32, as five blocks halve it, got {image_size}")
    if width_divisor < 1 or 64 % width_divisor:
        raise ValueError(f"width_divisor must divide 64, got {width_divisor}")


def _classifier(in_features: int, hidden_size: int, num_classes: int, dropout: float) -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        fc1=nn.Linear(in_features, hidden_size),  # (B, hidden_size)
        relu1=nn.ReLU(),
        drop1=nn.Dropout(dropout),
        fc2=nn.Linear(hidden_size, hidden_size),  # (B, hidden_size)
        relu2=nn.ReLU(),
        drop2=nn.Dropout(dropout),
        fc3=nn.Linear(hidden_size, num_classes),  # (B, num_classes)
    )
