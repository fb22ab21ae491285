"""A molecular potential: energies from atoms within a cutoff, forces as the energy's own gradient."""

import math

import torch
from torch import Tensor, nn

INPUT = ["B,5:int64<6", "B,5,3"]
DIM, CUTOFF, NUM_RBF = 12, 3.0, 8


class Smearing(nn.Module):
    """A distance as Gaussians around a row of centres."""

    offsets: Tensor

    def __init__(self) -> None:
        super().__init__()
        offsets = torch.linspace(0.0, CUTOFF, NUM_RBF)
        self.coefficient = -0.5 / (CUTOFF / (NUM_RBF - 1)) ** 2
        self.register_buffer("offsets", offsets)

    def forward(self, distance: Tensor) -> Tensor:
        """(...) -> (..., NUM_RBF)."""
        return torch.exp(self.coefficient * (distance[..., None] - self.offsets) ** 2)


def shifted_softplus(x: Tensor) -> Tensor:
    """Softplus that is 0 at 0."""
    return nn.functional.softplus(x) - math.log(2.0)


class Interaction(nn.Module):
    """Atoms gather what their neighbours have, filtered by distance."""

    def __init__(self) -> None:
        super().__init__()
        self.filter1 = nn.Linear(NUM_RBF, DIM)
        self.filter2 = nn.Linear(DIM, DIM)
        self.gather = nn.Linear(DIM, DIM, bias=False)
        self.update1 = nn.Linear(DIM, DIM)
        self.update2 = nn.Linear(DIM, DIM)

    def forward(self, x: Tensor, smeared: Tensor, weight: Tensor) -> Tensor:
        """(B, N, DIM), (B, N, N, NUM_RBF), (B, N, N) -> (B, N, DIM)."""
        filters = self.filter2(shifted_softplus(self.filter1(smeared))) * weight[..., None]
        gathered = (filters * self.gather(x)[:, None]).sum(dim=2)
        out: Tensor = self.update2(shifted_softplus(self.update1(gathered)))
        return out


class Potential(nn.Module):
    """Energy and forces."""

    def __init__(self) -> None:
        super().__init__()
        self.atoms = nn.Embedding(6, DIM, padding_idx=0)
        self.smearing = Smearing()
        self.interactions = nn.ModuleList([Interaction(), Interaction()])
        self.readout1 = nn.Linear(DIM, 6)
        self.readout2 = nn.Linear(6, 1)
        self.register_buffer("scale", torch.tensor(2.0))
        self.register_buffer("shift", torch.tensor(-0.5))

    def forward(self, numbers: Tensor, positions: Tensor) -> dict[str, Tensor]:
        """Energies (B,) and forces (B, N, 3); atoms of number 0 are padding."""
        positions.requires_grad_(True)
        energy = self.energy(numbers, positions)
        (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=self.training)
        return {"energy": energy, "forces": -gradient}

    def energy(self, numbers: Tensor, positions: Tensor) -> Tensor:
        """The sum of the atoms' energies."""
        is_atom = numbers != 0
        between = positions[:, None] - positions[:, :, None]  # (B, N, N, 3)
        distance = (between.square().sum(dim=-1) + 1e-8).sqrt()
        pairs = is_atom[:, None] & is_atom[:, :, None] & ~torch.eye(5, dtype=torch.bool, device=numbers.device)
        cutoff = 0.5 * (torch.cos(distance * math.pi / CUTOFF) + 1.0) * (distance < CUTOFF)
        smeared, weight = self.smearing(distance), cutoff * pairs
        x = self.atoms(numbers)
        for interaction in self.interactions:
            x = x + interaction(x, smeared, weight)
        energies = self.readout2(shifted_softplus(self.readout1(x))).squeeze(-1) * self.scale + self.shift
        total: Tensor = (energies * is_atom).sum(dim=1)
        return total


def build() -> nn.Module:
    """The network."""
    return Potential()
