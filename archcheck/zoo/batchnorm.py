"""Batch normalisation written from its definition."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BatchNorm(nn.Module):
    """Batch normalisation, numerically equivalent to `nn.BatchNorm1d` (num_dims=2) and `nn.BatchNorm2d` (num_dims=4).

    Forward: (B, num_features) or (B, num_features, H, W) -> the same shape.
    Size: 2 * num_features parameters (the scale gamma and the shift beta).

    y = gamma * (x - mean) / sqrt(var + eps) + beta, per feature or per channel. In training `var` is the biased
    variance of the batch (divided by n, the number of values per feature), in evaluation it is `moving_var`. The
    moving average takes in the *unbiased* variance (divided by n - 1), the convention of the paper's algorithm 2 and
    of torch; averaging the biased one, as d2l does, gives a different network in evaluation.

    Raises:
        ValueError: num_features < 1, num_dims not 2 or 4, an input of another shape, or training on one value per
            feature, whose variance says nothing.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2; the interface is that of d2l section 8.5.
    """

    moving_mean: Tensor
    moving_var: Tensor

    def __init__(self, num_features: int, num_dims: int, *, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        if num_features < 1:
            raise ValueError(f"num_features must be positive, got {num_features}")
        if num_dims not in (2, 4):
            raise ValueError(f"num_dims must be 2 (fully connected) or 4 (convolution), got {num_dims}")
        self.num_features, self.num_dims = num_features, num_dims
        self.eps, self.momentum = eps, momentum
        self.gamma = nn.Parameter(torch.ones(num_features))
        self.beta = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("moving_mean", torch.zeros(num_features))
        self.register_buffer("moving_var", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` by its batch's statistics in training, by the moving ones in evaluation."""
        if x.dim() != self.num_dims or x.shape[1] != self.num_features:
            expected = f"{self.num_dims} dimensions with {self.num_features} features"
            raise ValueError(f"BatchNorm expects {expected}, got an input of shape {tuple(x.shape)}")
        mean, var = self._measure_batch(x) if self.training else (self.moving_mean, self.moving_var)  # (C,), (C,)
        shape = (1, -1) + (1,) * (self.num_dims - 2)  # lines the features up with dimension 1
        normalised = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)  # (B, C) or (B, C, H, W)
        return self.gamma.view(shape) * normalised + self.beta.view(shape)  # the same

    def _measure_batch(self, x: Tensor) -> tuple[Tensor, Tensor]:
        count = x.numel() // self.num_features  # values per feature
        if count < 2:
            raise ValueError(f"BatchNorm needs more than 1 value per feature in training, got {tuple(x.shape)}")
        dims = [dim for dim in range(self.num_dims) if dim != 1]
        var, mean = torch.var_mean(x, dim=dims, correction=0)  # (C,), (C,)
        with torch.no_grad():
            unbiased_var = var * (count / (count - 1))  # (C,)
            self.moving_mean.mul_(1 - self.momentum).add_(mean, alpha=self.momentum)
            self.moving_var.mul_(1 - self.momentum).add_(unbiased_var, alpha=self.momentum)
        return mean, var

    def extra_repr(self) -> str:
        """Show the arguments in `print(network)`."""
        return f"{self.num_features}, num_dims={self.num_dims}, eps={self.eps}, momentum={self.momentum}"
