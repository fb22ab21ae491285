"""An actor and critic whose output is an object: two distributions and a number for each example."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

INPUT = ["B,6", "B,4:bool"]


@dataclass
class Decision:
    """What to do, how far to steer, and what the state is worth."""

    action: Categorical
    steer: Distribution
    value: Tensor


class ActorCritic(nn.Module):
    """A shared trunk, two policies and a value."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(6, 16)
        self.fc2 = nn.Linear(16, 14)
        self.logits = nn.Linear(14, 4)
        self.mean = nn.Linear(14, 2)
        self.log_std = nn.Parameter(torch.full((2,), -0.5))
        self.hidden = nn.Linear(14, 8)
        self.critic = nn.Linear(8, 1)
        for layer in (self.fc1, self.fc2, self.hidden):
            nn.init.orthogonal_(layer.weight, gain=2**0.5)
            nn.init.zeros_(layer.bias)
        nn.init.orthogonal_(self.logits.weight, gain=0.01)

    def forward(self, observation: Tensor, is_legal: Tensor) -> Decision:
        """A decision for each example; illegal actions have no chance."""
        x = torch.tanh(self.fc1(observation))
        x = torch.tanh(self.fc2(x))
        logits = self.logits(x).masked_fill(~is_legal, -1e8)
        mean = torch.tanh(self.mean(x))
        std = self.log_std.clamp(-5.0, 2.0).exp().expand_as(mean)
        value = self.critic(torch.relu(self.hidden(x))).squeeze(-1)
        return Decision(Categorical(logits=logits), Independent(Normal(mean, std), 1), value)


def build() -> nn.Module:
    """The network."""
    return ActorCritic()
