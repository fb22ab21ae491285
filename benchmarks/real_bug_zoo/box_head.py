"""The head of a box detector, with an initialisation of its own, as in Mask R-CNN."""

from torch import Tensor, nn

INPUT = ["B,24"]


class Net(nn.Module):
    """A hidden layer, scores and boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(24, 16)
        self.score = nn.Linear(16, 5)
        self.boxes = nn.Linear(16, 20)
        nn.init.normal_(self.score.weight, std=0.01)
        nn.init.constant_(self.score.bias, 0.0)
        nn.init.normal_(self.boxes.weight, std=0.001)
        nn.init.constant_(self.boxes.bias, 0.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and boxes of each class."""
        x = self.hidden(x).relu()
        return self.score(x), self.boxes(x)


def build() -> nn.Module:
    """The network."""
    return Net()
