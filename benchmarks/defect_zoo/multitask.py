"""Three tasks from one encoder: classes, maps at three depths, and a loss that weighs them by learnt uncertainties."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16", "B:int64<4", "B,1,16,16"]  # images, classes, depths


class Stage(nn.Module):
    """Halve the resolution; channels are gated, and how evenly is kept as a penalty."""

    penalty: Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1)
        self.norm = nn.GroupNorm(2, after)
        self.gate = nn.Linear(after, after)

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H / 2, W / 2)."""
        x = functional.silu(self.norm(self.conv(x)))
        gates: Tensor = self.gate(x.mean(dim=(2, 3))).softmax(dim=1)  # (B, C)
        self.penalty = gates.mean(dim=0).square().sum() * gates.shape[1]
        return x * (1 + gates[:, :, None, None])


class MultiTask(nn.Module):
    """Encoder, deeply supervised maps, classes, losses."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([Stage(3, 4), Stage(4, 6), Stage(6, 8)])
        self.maps = nn.ModuleList([nn.Conv2d(width, 1, kernel_size=1) for width in (4, 6, 8)])
        self.classify = nn.Linear(8, 4)
        self.log_variances = nn.Parameter(torch.zeros(2))

    def encode(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last features, and a map of depths for each stage at full size."""
        x, maps = image, []
        for stage, head in zip(self.stages, self.maps, strict=True):
            x = stage(x)
            maps.append(functional.interpolate(head(x), size=image.shape[2:], mode="bilinear", align_corners=False))
        return x, maps

    def losses(self, logits: Tensor, maps: list[Tensor], classes: Tensor, depths: Tensor) -> dict[str, Tensor]:
        """One number for each task."""
        loss = functional.cross_entropy(logits, classes, label_smoothing=0.1)
        weights = [0.25, 0.5, 1.0]
        errors = [weight * functional.smooth_l1_loss(one, depths) for weight, one in zip(weights, maps, strict=True)]
        penalties = [stage.penalty for stage in self.stages]
        return {
            "classes": loss,
            "depths": torch.stack(errors).sum(),
            "balance": 0.01 * torch.stack(penalties).sum(),  # type: ignore[arg-type]
        }

    def forward(self, image: Tensor, classes: Tensor, depths: Tensor) -> dict[str, object]:
        """What a trainer and a logger want to have."""
        x, maps = self.encode(image)
        logits = self.classify(x.amax(dim=(2, 3)))
        losses = self.losses(logits, maps, classes, depths)
        precision = torch.exp(-self.log_variances)
        weighed = precision[0] * losses["classes"] + precision[1] * losses["depths"] + self.log_variances.sum() / 2
        return {"loss": weighed + losses["balance"], "logits": logits, "maps": maps, "parts": losses}


def build() -> nn.Module:
    """The network."""
    return MultiTask()
