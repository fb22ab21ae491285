"""A feature pyramid with one head for all levels, as in RetinaNet."""

from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,16,16"]


class Net(nn.Module):
    """Three levels down, two up."""

    def __init__(self) -> None:
        super().__init__()
        self.level1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.level2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.level3 = nn.Conv2d(8, 10, 3, stride=2, padding=1)
        self.lateral1 = nn.Conv2d(6, 6, 1)
        self.lateral2 = nn.Conv2d(8, 6, 1)
        self.lateral3 = nn.Conv2d(10, 6, 1)
        self.head = nn.Conv2d(6, 4, 3, padding=1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """What the head says of each level."""
        one = functional.relu(self.level1(x))
        two = functional.relu(self.level2(one))
        three = functional.relu(self.level3(two))
        top = self.lateral3(three)
        middle = self.lateral2(two) + functional.interpolate(top, scale_factor=2, mode="nearest")
        bottom = self.lateral1(one) + functional.interpolate(middle, scale_factor=2, mode="nearest")
        return [self.head(level) for level in (bottom, middle, top)]


def build() -> nn.Module:
    """The network."""
    return Net()
