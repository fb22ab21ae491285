"""An ensemble of physics-informed networks by torch.func: values, and what is left of the equation at each point."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacfwd, jacrev, vmap

INPUT = ["B,2"]
MEMBERS = 3


class Field(nn.Module):
    """Velocity and pressure at a time and place."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.tensor([[0.5, 1.0, 1.5, 2.0], [1.0, -1.0, 0.5, -0.5]]))
        self.fc1 = nn.Linear(8, 12)
        self.fc2 = nn.Linear(12, 10)
        self.fc3 = nn.Linear(10, 2)

    def forward(self, point: Tensor) -> Tensor:
        """(..., 2) -> (..., 2)."""
        angles = point @ self.frequencies
        x = torch.cat([angles.sin(), angles.cos()], dim=-1)
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        out: Tensor = self.fc3(x)
        return out


class Physics(nn.Module):
    """Several fields at once, and Burgers' equation with a pressure and a learnt viscosity."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList([Field() for _ in range(MEMBERS)])
        self.log_viscosity = nn.Parameter(torch.tensor(-1.0))

    def stacked(self) -> dict[str, Tensor]:
        """Every parameter of a field, for all members."""
        members = [dict(member.named_parameters()) for member in self.members]
        return {name: torch.stack([member[name] for member in members]) for name in members[0]}

    def field(self, params: dict[str, Tensor], point: Tensor) -> Tensor:
        """A member's values at one point."""
        out: Tensor = functional_call(self.members[0], params, (point,))
        return out

    def velocity(self, params: dict[str, Tensor], point: Tensor) -> Tensor:
        """The first of them."""
        return self.field(params, point)[0]

    def equation(self, params: dict[str, Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
        """A member's values at one point, and what is left of the equation there."""
        value = self.field(params, point)
        jacobian = jacrev(self.field, argnums=1)(params, point)  # of velocity and pressure, by time and place
        curvature = jacfwd(grad(self.velocity, argnums=1), argnums=1)(params, point)
        transport = jacobian[0, 0] + value[0] * jacobian[0, 1] + jacobian[1, 1]
        return value, transport - self.log_viscosity.exp() * curvature[1, 1]

    def forward(self, points: Tensor) -> dict[str, Tensor]:
        """Means and spreads over the members, (B, 2), and residuals, (B, members)."""
        params = self.stacked()
        over_points = vmap(self.equation, in_dims=(None, 0))
        values, residuals = vmap(over_points, in_dims=(0, None))(params, points)
        return {"mean": values.mean(dim=0), "spread": values.std(dim=0), "residual": residuals.T}


def build() -> nn.Module:
    """The network."""
    return Physics()
