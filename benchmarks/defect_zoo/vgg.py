"""A VGG in miniature, built from a list as torchvision does, without batch norm."""

from torch import Tensor, nn

INPUT = ["B,3,24,24"]
PLAN: list[int | str] = [8, 8, "pool", 16, 16, "pool", 16, "pool"]


def make_features(plan: list[int | str]) -> nn.Sequential:
    """Convolutions with ReLUs, and pools between them."""
    layers: list[nn.Module] = []
    in_channels = 3
    for width in plan:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        else:
            layers += [nn.Conv2d(in_channels, width, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            in_channels = width
    return nn.Sequential(*layers)


class Vgg(nn.Module):
    """Features, average pool, classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = make_features(PLAN)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(64, 32),
            nn.ReLU(True),
            nn.Dropout(0.5),
            nn.Linear(32, 24),
            nn.ReLU(True),
            nn.Dropout(0.4),
            nn.Linear(24, 10),
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.constant_(module.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.features(x)
        x = self.avgpool(x)
        x = x.flatten(1)
        logits: Tensor = self.classifier(x)
        return logits


def build() -> nn.Module:
    """The network."""
    return Vgg()
