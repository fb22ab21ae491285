"""Residual networks: d2l's ResNet-18 in two forms, and the papers' 18 to 152 layers with every kind of shortcut."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

_STAGE_WIDTHS = (64, 128, 256, 512)
DEPTHS: dict[int, tuple[int, int, int, int]] = {  # blocks in each of the four stages
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
SHORTCUTS = ("projection", "parameter_free", "none")

# ------------------------------------------------------------------------------------------- d2l and course notes


class Residual(nn.Module):
    """d2l's residual block: two 3x3 convolutions with biases beside the input, or beside a 1x1 convolution of it.

    Forward: (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).
    Size: 74,112 parameters at 64 -> 64 channels; 230,272 at 64 -> 128 with the 1x1 convolution.

    Raises:
        ValueError: the input can't be added as it is (other channels or size) and use_1x1conv is False.

    Source: He et al. 2015, arXiv:1512.03385, fig. 2; d2l section 8.6, which has no batch norm behind the 1x1.
    """

    def __init__(self, in_channels: int, out_channels: int, use_1x1conv: bool = False, stride: int = 1) -> None:
        super().__init__()
        if not use_1x1conv and (in_channels != out_channels or stride != 1):
            change = f"{in_channels} -> {out_channels} channels at stride {stride}"
            raise ValueError(f"Residual({change}) can't add its input as it is: set use_1x1conv=True")
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, stride=stride)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv3 = nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride) if use_1x1conv else None

    def forward(self, x: Tensor) -> Tensor:
        """Add the two convolutions' result to the shortcut."""
        out = torch.relu(self.bn1(self.conv1(x)))  # (B, out_channels, H/s, W/s)
        out = self.bn2(self.conv2(out))  # the same
        shortcut = x if self.conv3 is None else self.conv3(x)  # the same
        return torch.relu(out + shortcut)


class ResBlk(nn.Module):
    """The course notes' residual block: its shortcut `extra` is empty or a 1x1 convolution; no ReLU after the sum.

    Forward: (B, in_channels, H, W) -> (B, out_channels, H, W).
    Size: 74,112 parameters at 64 -> 64 channels; 230,528 at 64 -> 128.

    Source: course notes on ResNet; after He et al. 2015, arXiv:1512.03385.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.extra = nn.Sequential()
        if in_channels != out_channels:
            self.extra.extend([nn.Conv2d(in_channels, out_channels, kernel_size=1), nn.BatchNorm2d(out_channels)])

    def forward(self, x: Tensor) -> Tensor:
        """Add the two convolutions' result to `extra` of the input."""
        out = torch.relu(self.bn1(self.conv1(x)))  # (B, out_channels, H, W)
        out = self.bn2(self.conv2(out))  # (B, out_channels, H, W)
        summed: Tensor = self.extra(x) + out  # (B, out_channels, H, W)
        return summed


class GlobalAvgPool2d(nn.Module):
    """Average pooling with a kernel of the input's height and width.

    Forward: (B, C, H, W) -> (B, C, 1, 1).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Average over height and width."""
        return functional.avg_pool2d(x, kernel_size=x.shape[2:])  # (B, C, 1, 1)


class FlattenLayer(nn.Module):
    """All dimensions but the first as one.

    Forward: (B, ...) -> (B, the product of the others).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Flatten every example."""
        return x.flatten(1)  # (B, C * H * W)


def resnet18_d2l(in_channels: int = 1, num_classes: int = 10, *, width_divisor: int = 1) -> nn.Sequential:
    """ResNet-18 as in d2l: convolutions with biases, shortcuts without batch norm.

    Forward: (B, in_channels, H, W), H and W from 1, made for 224 or 96 -> (B, num_classes) logits.
    Size: 11,178,378 parameters at in_channels=1, num_classes=10; all layers are `width_divisor` times narrower.

    Children: `b1` (stem), `b2` to `b5` (two `Residual` each), `pool`, `flatten`, `fc`.

    Raises:
        ValueError: in_channels or num_classes < 1, or a width_divisor that does not divide 64.

    Source: He et al. 2015, arXiv:1512.03385, table 1; d2l section 8.6.
    """
    _require_positive(in_channels=in_channels, num_classes=num_classes)
    w1, w2, w3, w4 = _stage_widths(width_divisor)
    return nn.Sequential(
        OrderedDict(
            b1=nn.Sequential(*_d2l_stem(in_channels, w1)),  # (B, w1, H/4, W/4)
            b2=_d2l_stage(w1, w1),  # (B, w1, H/4, W/4)
            b3=_d2l_stage(w1, w2),  # (B, w2, H/8, W/8)
            b4=_d2l_stage(w2, w3),  # (B, w3, H/16, W/16)
            b5=_d2l_stage(w3, w4),  # (B, w4, H/32, W/32)
            pool=nn.AdaptiveAvgPool2d(1),  # (B, w4, 1, 1)
            flatten=nn.Flatten(),  # (B, w4)
            fc=nn.Linear(w4, num_classes),  # (B, num_classes)
        )
    )


def resnet18_add_module(in_channels: int = 1, num_classes: int = 10, *, width_divisor: int = 1) -> nn.Sequential:
    """`resnet18_d2l` assembled child by child: the same function under other names.

    Forward: (B, in_channels, H, W), H and W from 1, made for 224 or 96 -> (B, num_classes) logits.
    Size: 11,178,378 parameters at in_channels=1, num_classes=10; all layers are `width_divisor` times narrower.

    Children: `0` to `3` (stem), `resnet_block1` to `resnet_block4`, `global_avg_pool`, `fc` (flatten and linear).

    Raises:
        ValueError: in_channels or num_classes < 1, or a width_divisor that does not divide 64.

    Source: course notes on ResNet; after d2l section 8.6.
    """
    _require_positive(in_channels=in_channels, num_classes=num_classes)
    w1, w2, w3, w4 = _stage_widths(width_divisor)
    net = nn.Sequential(*_d2l_stem(in_channels, w1))  # (B, w1, H/4, W/4)
    net.add_module("resnet_block1", _d2l_stage(w1, w1))  # (B, w1, H/4, W/4)
    net.add_module("resnet_block2", _d2l_stage(w1, w2))  # (B, w2, H/8, W/8)
    net.add_module("resnet_block3", _d2l_stage(w2, w3))  # (B, w3, H/16, W/16)
    net.add_module("resnet_block4", _d2l_stage(w3, w4))  # (B, w4, H/32, W/32)
    net.add_module("global_avg_pool", GlobalAvgPool2d())  # (B, w4, 1, 1)
    net.add_module("fc", nn.Sequential(FlattenLayer(), nn.Linear(w4, num_classes)))  # (B, num_classes)
    return net


def _d2l_stem(in_channels: int, width: int) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3),  # (B, width, H/2, W/2)
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # (B, width, H/4, W/4)
    ]


def _d2l_stage(in_channels: int, out_channels: int) -> nn.Sequential:
    widens = in_channels != out_channels  # the stem has halved the image before the first stage
    first = Residual(in_channels, out_channels, use_1x1conv=widens, stride=2 if widens else 1)
    return nn.Sequential(first, Residual(out_channels, out_channels))


# ------------------------------------------------------------------------------------------- the papers' networks


class ZeroPadShortcut(nn.Module):
    """The parameter-free shortcut: every `stride`-th pixel, and channels of zeros behind the input's own.

    Forward: (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).
    Size: 0 parameters.

    Source: He et al. 2015, arXiv:1512.03385, option A; pooling with a kernel of 1, as the authors' own code.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.num_extra_channels = out_channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Subsample the image and append the channels it lacks."""
        pooled = functional.avg_pool2d(x, kernel_size=1, stride=self.stride)  # (B, in_channels, H/s, W/s)
        return functional.pad(pooled, (0, 0, 0, 0, 0, self.num_extra_channels))  # (B, out_channels, H/s, W/s)

    def extra_repr(self) -> str:
        """Show the arguments in `print(network)`."""
        return f"num_extra_channels={self.num_extra_channels}, stride={self.stride}"


class ResidualBlock(nn.Module):
    """Convolutions each followed by batch norm, added to the shortcut, then a ReLU.

    Forward: (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)), where out_channels is
        `width`, or 4 * width for a bottleneck.
    Size: 73,984 parameters at 64 -> 64 channels; 70,400 as bottleneck at 256 -> 256.

    Source: He et al. 2015, arXiv:1512.03385, fig. 5; a bottleneck's stride is at its 3x3, as in torchvision.
    """

    def __init__(self, in_channels: int, width: int, stride: int, *, bottleneck: bool, shortcut: str) -> None:
        super().__init__()
        convs = _build_convs(in_channels, width, stride, bottleneck)
        out_channels = convs[-1].out_channels
        self.residual = _interleave(convs)  # ends in a convolution
        self.residual.add_module(f"bn{len(convs)}", nn.BatchNorm2d(out_channels))
        self.shortcut = _build_shortcut(shortcut, in_channels, out_channels, stride)
        if isinstance(self.shortcut, nn.Conv2d):
            self.shortcut = nn.Sequential(self.shortcut, nn.BatchNorm2d(out_channels))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the shortcut, where there is one."""
        out: Tensor = self.residual(x)  # (B, out_channels, H/s, W/s)
        if self.shortcut is not None:
            out = out + self.shortcut(x)  # the same
        activated: Tensor = self.relu(out)  # the same
        return activated


class PreActivationBlock(nn.Module):
    """Convolutions each behind batch norm and ReLU, added to the shortcut, nothing after the sum.

    Forward: (B, in_channels, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)), where out_channels is
        `width`, or 4 * width for a bottleneck.
    Size: 73,984 parameters at 64 -> 64 channels; 70,400 as bottleneck at 256 -> 256.

    The network's `first` block finds its input activated by the stem. A projection takes the activated input, an
    identity the raw one.

    Source: He et al. 2016, arXiv:1603.05027, fig. 1b and appendix.
    """

    def __init__(
        self, in_channels: int, width: int, stride: int, *, bottleneck: bool, shortcut: str, first: bool
    ) -> None:
        super().__init__()
        convs = _build_convs(in_channels, width, stride, bottleneck)
        self.preactivation = nn.Identity() if first else nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())
        self.residual = _interleave(convs)  # ends in a convolution
        self.shortcut = _build_shortcut(shortcut, in_channels, convs[-1].out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual of the activated input to the shortcut, where there is one."""
        activated = self.preactivation(x)  # (B, in_channels, H, W)
        out: Tensor = self.residual(activated)  # (B, out_channels, H/s, W/s)
        if self.shortcut is not None:
            out = out + self.shortcut(activated if isinstance(self.shortcut, nn.Conv2d) else x)  # the same
        return out


def resnet(
    depth: int = 18,
    in_channels: int = 3,
    num_classes: int = 1000,
    *,
    shortcut: str = "projection",
    preactivation: bool = False,
    width_divisor: int = 1,
) -> nn.Sequential:
    """Residual network of 18, 34 (two 3x3 convolutions a block), 50, 101 or 152 layers (bottleneck blocks).

    Forward: (B, in_channels, H, W), H and W from 1, made for 224 -> (B, num_classes) logits.
    Size: 11,689,512 parameters at depth=18, in_channels=3, num_classes=1000; there 21,797,672 at depth=34,
        25,557,032 at 50, 44,549,160 at 101, 60,192,808 at 152. `preactivation` saves the shortcuts' batch norms.

    Where a block changes the shape, `shortcut` is a 1x1 convolution ("projection"), subsampling with channels of zeros
    ("parameter_free"), or nothing, there and everywhere ("none", the plain network). In the "projection" form without
    preactivation, parameters come in torchvision's order. Layers are `width_divisor` times narrower than the paper's.

    Raises:
        ValueError: an unknown depth or shortcut; in_channels or num_classes < 1; or a width_divisor that
            does not divide 64.

    Source: He et al. 2015, arXiv:1512.03385, table 1; preactivation after He et al. 2016, arXiv:1603.05027.
    """
    _check_form(depth, shortcut)
    _require_positive(in_channels=in_channels, num_classes=num_classes)
    widths = _stage_widths(width_divisor)
    layers = _build_stem(in_channels, widths[0])  # (B, 64, H/4, W/4)
    layers.update(_build_stages(depth, widths, shortcut, preactivation))  # (B, 512 or 2048, H/32, W/32)
    num_features = widths[-1] * (4 if depth >= 50 else 1)
    if preactivation:
        layers["last_bn"], layers["last_relu"] = nn.BatchNorm2d(num_features), nn.ReLU()
    layers["avgpool"], layers["flatten"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()  # (B, num_features)
    layers["fc"] = nn.Linear(num_features, num_classes)  # (B, num_classes)
    net = nn.Sequential(layers)
    for conv in (module for module in net.modules() if isinstance(module, nn.Conv2d)):
        # torch's own initialisation lets the signal fade in deep plain networks
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return net


def plain(depth: int = 18, in_channels: int = 3, num_classes: int = 1000, *, width_divisor: int = 1) -> nn.Sequential:
    """`resnet` without shortcuts, the paper's plain network.

    Forward: (B, in_channels, H, W), H and W from 1, made for 224 -> (B, num_classes) logits.
    Size: 11,515,688 parameters at depth=18, 21,623,848 at depth=34 (in_channels=3, num_classes=1000).

    Raises:
        ValueError: an unknown depth; in_channels or num_classes < 1; a width_divisor that does not divide 64.

    Source: He et al. 2015, arXiv:1512.03385, fig. 3.
    """
    return resnet(depth, in_channels, num_classes, shortcut="none", width_divisor=width_divisor)


def _check_form(depth: int, shortcut: str) -> None:
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth}")
    if shortcut not in SHORTCUTS:
        raise ValueError(f"shortcut must be one of {', '.join(SHORTCUTS)}, got {shortcut!r}")


def _build_stem(in_channels: int, width: int) -> OrderedDict[str, nn.Module]:
    return OrderedDict(
        conv1=nn.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=False),  # (B, width, H/2, W/2)
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(),
        maxpool=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),  # (B, width, H/4, W/4)
    )


def _build_stages(
    depth: int, widths: tuple[int, ...], shortcut: str, preactivation: bool
) -> OrderedDict[str, nn.Module]:
    bottleneck = depth >= 50
    in_channels = widths[0]
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, (num_blocks, width) in enumerate(zip(DEPTHS[depth], widths, strict=True), start=1):
        blocks = nn.Sequential()
        for index in range(num_blocks):
            stride = 2 if stage > 1 and index == 0 else 1
            if preactivation:
                first = stage == 1 and index == 0
                block: nn.Module = PreActivationBlock(
                    in_channels, width, stride, bottleneck=bottleneck, shortcut=shortcut, first=first
                )
            else:
                block = ResidualBlock(in_channels, width, stride, bottleneck=bottleneck, shortcut=shortcut)
            blocks.append(block)
            in_channels = width * (4 if bottleneck else 1)
        stages[f"layer{stage}"] = blocks
    return stages


def _build_convs(in_channels: int, width: int, stride: int, bottleneck: bool) -> list[nn.Conv2d]:
    shapes = [(in_channels, width, 3, stride), (width, width, 3, 1)]  # in, out, kernel, stride
    if bottleneck:
        shapes = [(in_channels, width, 1, 1), (width, width, 3, stride), (width, 4 * width, 1, 1)]
    return [nn.Conv2d(i, o, kernel, step, padding=kernel // 2, bias=False) for i, o, kernel, step in shapes]


def _interleave(convs: list[nn.Conv2d]) -> nn.Sequential:
    """Put batch norm and ReLU between convolutions."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv1=convs[0])
    for index, conv in enumerate(convs[1:], start=1):
        layers[f"bn{index}"], layers[f"relu{index}"] = nn.BatchNorm2d(conv.in_channels), nn.ReLU()
        layers[f"conv{index + 1}"] = conv
    return nn.Sequential(layers)


def _build_shortcut(kind: str, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    if kind == "none":
        return None
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    if kind == "parameter_free":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    return nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)


def _stage_widths(width_divisor: int) -> tuple[int, ...]:
    if width_divisor < 1 or 64 % width_divisor:
        raise ValueError(f"width_divisor must divide 64, got {width_divisor}")
    return tuple(width // width_divisor for width in _STAGE_WIDTHS)


def _require_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be positive, got {value}")
