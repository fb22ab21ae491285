"""A detector on two levels of a pyramid: detections of each image in eval mode, losses in train mode, given targets."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import batched_nms

INPUT = ["B,3,16,16"]
CLASSES, RATIOS, DIM = 3, (0.5, 2.0), 8
STRIDES, SCALES = (4, 8), (6.0, 10.0)
BIGGEST = math.log(4.0)


class FrozenNorm(nn.Module):
    """Batch norm whose statistics and scales never change."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(width))
        self.register_buffer("bias", torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        weight, bias = self.weight.view(-1, 1, 1), self.bias.view(-1, 1, 1)
        variance, mean = self.running_var.view(-1, 1, 1), self.running_mean.view(-1, 1, 1)
        scale = weight * (variance + 1e-5).rsqrt()
        return x * scale + bias - mean * scale


class Pyramid(nn.Module):
    """Features at strides 4 and 8, the first with what the second knows."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, kernel_size=5, stride=4, padding=2, bias=False)
        self.norm1 = FrozenNorm(6)
        self.conv2 = nn.Conv2d(6, 10, kernel_size=3, stride=2, padding=1, bias=False)
        self.norm2 = FrozenNorm(10)
        self.lateral1 = nn.Conv2d(6, DIM, kernel_size=1)
        self.lateral2 = nn.Conv2d(10, DIM, kernel_size=1)
        self.smooth = nn.Conv2d(DIM, DIM, kernel_size=3, padding=1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, 16, 16) -> (B, DIM, 4, 4) and (B, DIM, 2, 2)."""
        x1 = functional.relu(self.norm1(self.conv1(images)))
        x2 = functional.relu(self.norm2(self.conv2(x1)))
        top = self.lateral2(x2)
        bottom = self.lateral1(x1) + functional.interpolate(top, scale_factor=2.0, mode="nearest")
        return [self.smooth(bottom), top]


class Head(nn.Module):
    """Numbers for every anchor of a level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.hidden = nn.Conv2d(DIM, DIM, kernel_size=3, padding=1)
        self.out = nn.Conv2d(DIM, len(RATIOS) * width, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, DIM, H, W) -> (B, H * W * ratios, width)."""
        x = self.out(functional.relu(self.hidden(x)))
        x = x.unflatten(1, (len(RATIOS), self.width))  # type: ignore[no-untyped-call]
        return x.permute(0, 3, 4, 1, 2).flatten(1, 3)


def make_anchors(size: int, stride: int, scale: float) -> Tensor:
    """Boxes around the middle of every cell, row by row: (size * size * ratios, 4)."""
    ratios = torch.tensor(RATIOS)
    heights, widths = scale * ratios.sqrt(), scale / ratios.sqrt()
    around = torch.stack([-widths, -heights, widths, heights], dim=1) / 2
    middle = (torch.arange(size) + 0.5) * stride
    y, x = torch.meshgrid(middle, middle, indexing="ij")
    return (torch.stack([x, y, x, y], dim=2)[:, :, None] + around).view(-1, 4)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Boxes by their corners, within the image."""
    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = anchors[:, :2] + sizes / 2 + deltas[..., :2] * sizes
    sizes = deltas[..., 2:].clamp(max=BIGGEST).exp() * sizes
    return torch.cat([centres - sizes / 2, centres + sizes / 2], dim=-1).clamp(0, 16)


class Detector(nn.Module):
    """Detections, or losses."""

    def __init__(self, min_score: float = 0.3, max_overlap: float = 0.5) -> None:
        super().__init__()
        self.min_score, self.max_overlap = min_score, max_overlap
        self.pyramid = Pyramid()
        self.classes = Head(CLASSES)
        self.boxes = Head(4)
        nn.init.constant_(self.classes.out.bias, -math.log(99.0))  # type: ignore[arg-type]

    def forward(
        self, images: Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses in train mode; in eval mode boxes, labels and scores of each image, the best first."""
        if self.training and targets is None:
            raise ValueError("targets can't be None in train mode")
        levels = self.pyramid(images)
        logits = torch.cat([self.classes(x) for x in levels], dim=1)
        deltas = torch.cat([self.boxes(x) for x in levels], dim=1)
        if self.training:
            return self.losses(logits, deltas, targets or [])
        anchors = torch.cat(
            [make_anchors(x.shape[-1], stride, scale) for x, stride, scale in zip(levels, STRIDES, SCALES, strict=True)]
        )
        boxes = decode(deltas, anchors.to(deltas))
        return [self.select(*one) for one in zip(logits.sigmoid(), boxes, strict=True)]

    def losses(self, logits: Tensor, deltas: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """How far classes and boxes of the anchors are from their targets."""
        wanted = torch.stack([target["classes"] for target in targets])
        offsets = torch.stack([target["deltas"] for target in targets])
        return {
            "classes": functional.binary_cross_entropy_with_logits(logits, wanted),
            "boxes": functional.smooth_l1_loss(deltas, offsets),
        }

    def select(self, scores: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        """The best detections of an image, without those that overlap a better one of their class."""
        best, places = scores.flatten().topk(20)
        places = places[best > self.min_score]
        scores, labels, boxes = scores.flatten()[places], places % CLASSES, boxes[places // CLASSES]
        kept = batched_nms(boxes, scores, labels, self.max_overlap)
        return {"boxes": boxes[kept], "labels": labels[kept] + 1, "scores": scores[kept]}


def build() -> nn.Module:
    """The network."""
    return Detector()
