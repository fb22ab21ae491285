"""A convolutional network with batch normalisation written by hand."""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,3,8,8"]


class BatchNorm(nn.Module):
    """Batch normalisation over (B, C, H, W)."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.gamma = nn.Parameter(torch.ones(num_features))
        self.beta = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the batch in train mode, by the running statistics in eval mode."""
        if self.training:
            mean = x.mean(dim=(0, 2, 3))
            var = x.var(dim=(0, 2, 3), unbiased=False)
            self.update(mean, var, x.numel() // x.shape[1])
        else:
            mean, var = self.running_mean, self.running_var
        shape = (1, -1, 1, 1)
        normalised = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
        return self.gamma.view(shape) * normalised + self.beta.view(shape)

    @torch.no_grad()
    def update(self, mean: Tensor, var: Tensor, count: int) -> None:
        """Move the running statistics."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * count / (count - 1), self.momentum)


class Net(nn.Module):
    """Two convolutions with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, kernel_size=3, padding=1, bias=False)
        self.norm1 = BatchNorm(8)
        self.conv2 = nn.Conv2d(8, 12, kernel_size=3, padding=1, bias=False)
        self.norm2 = BatchNorm(12)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = functional.relu(self.norm1(self.conv1(x)))
        x = functional.max_pool2d(x, 2)
        x = functional.relu(self.norm2(self.conv2(x)))
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def build() -> nn.Module:
    """The network."""
    return Net()
