"""Momentum contrast: a key encoder that follows the query encoder in training, and a queue of negatives."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ["B,2,6,6", "B,2,6,6"]
DIM, QUEUE = 8, 16


class Encoder(nn.Module):
    """An image's embedding, of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 6, kernel_size=3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(6)
        self.fc1 = nn.Linear(6, 12)
        self.fc2 = nn.Linear(12, DIM)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, 6, 6) -> (B, DIM)."""
        x = functional.relu(self.bn(self.conv(x))).mean(dim=(2, 3))
        x = self.fc2(functional.relu(self.fc1(x)))
        return functional.normalize(x, dim=1)


class Momentum(nn.Module):
    """Queries against their keys and against the queue."""

    queue: Tensor
    pointer: Tensor

    def __init__(self, momentum: float = 0.9, temperature: float = 0.2) -> None:
        super().__init__()
        self.momentum, self.temperature = momentum, temperature
        self.query_encoder = Encoder()
        self.key_encoder = copy.deepcopy(self.query_encoder)
        for parameter in self.key_encoder.parameters():
            parameter.requires_grad = False
        self.predictor = nn.Linear(DIM, DIM)
        self.register_buffer("queue", functional.normalize(torch.randn(DIM, QUEUE), dim=0))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def update_keys(self) -> None:
        """Move the key encoder a little towards the query encoder."""
        for query, key in zip(self.query_encoder.parameters(), self.key_encoder.parameters(), strict=True):
            key.data = key.data * self.momentum + query.data * (1 - self.momentum)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put the batch's keys in the place of the oldest."""
        places = (int(self.pointer) + torch.arange(len(keys))) % QUEUE
        self.queue[:, places] = keys.T.to(self.queue.dtype)
        self.pointer[0] = (int(self.pointer) + len(keys)) % QUEUE

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, the right one first, and the query's embedding."""
        embedding = self.query_encoder(first)
        query = functional.normalize(self.predictor(embedding), dim=1)
        with torch.no_grad():
            if self.training:
                self.update_keys()
            key = self.key_encoder(second)
        positive = (query * key).sum(dim=1, keepdim=True)
        negative = query @ self.queue.clone().detach()
        logits = torch.cat([positive, negative], dim=1) / self.temperature
        if self.training:
            self.enqueue(key)
        return logits, embedding


def build() -> nn.Module:
    """The network."""
    return Momentum()
