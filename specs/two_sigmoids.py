"""A regression that two sigmoid neurons and a ReLU neuron can learn: what `mlp-2-2-1.arch.yaml` is trained on."""

import torch
from torch import Tensor
from torch.utils.data import TensorDataset


def make(num_train: int = 1_000, num_test: int = 500) -> tuple[TensorDataset, TensorDataset]:
    """Points in the square from -1 to 1, (N, 2), and y = 1 + 2 σ(4a - 2b) + σ(2a + 4b) at them, (N, 1).

    The targets lie between 1 and 4, so that the ReLU neuron has no reason to be off anywhere.
    """
    generator = torch.Generator().manual_seed(0)
    return _points(num_train, generator), _points(num_test, generator)


def _points(count: int, generator: torch.Generator) -> TensorDataset:
    points = torch.rand(count, 2, generator=generator) * 2 - 1  # (N, 2)
    a, b = points[:, 0], points[:, 1]
    targets: Tensor = 1 + 2 * torch.sigmoid(4 * a - 2 * b) + torch.sigmoid(2 * a + 4 * b)  # (N,)
    return TensorDataset(points, targets[:, None])
