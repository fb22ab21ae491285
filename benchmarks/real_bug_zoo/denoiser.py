"""A U-Net for denoising without a skip at the top, as in N2V2."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,1,8,8"]
TOP_SKIP = False


class Net(nn.Module):
    """Two levels down and up."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, 6, 3, padding=1)
        self.down2 = nn.Conv2d(6, 8, 3, padding=1)
        self.bottom = nn.Conv2d(8, 8, 3, padding=1)
        self.up2 = nn.Conv2d(16, 6, 3, padding=1)
        self.has_top_skip = TOP_SKIP
        self.up1 = nn.Conv2d(12 if self.has_top_skip else 6, 6, 3, padding=1)
        self.head = nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The image without its noise."""
        top = functional.relu(self.down1(x))
        middle = functional.relu(self.down2(functional.avg_pool2d(top, 2)))
        x = functional.relu(self.bottom(functional.avg_pool2d(middle, 2)))
        x = functional.interpolate(x, scale_factor=2)
        x = functional.relu(self.up2(torch.cat([x, middle], dim=1)))
        x = functional.interpolate(x, scale_factor=2)
        if self.has_top_skip:
            x = torch.cat([x, top], dim=1)
        clean: Tensor = self.head(functional.relu(self.up1(x)))
        return clean


def build() -> nn.Module:
    """The network."""
    return Net()
