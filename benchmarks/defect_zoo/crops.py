"""Self-distillation over a list of crops: a teacher that follows sees the large ones; its outputs are centred."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT = ['[["B",2,8,8],["B",2,8,8],["B",2,6,6],["B",2,6,6]]']
GLOBAL, DIM, OUT = 2, 10, 12


class Backbone(nn.Module):
    """An embedding for an image of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 6, kernel_size=3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(6, DIM, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2, H, W) -> (B, DIM)."""
        x = functional.gelu(self.conv1(x))
        return functional.gelu(self.conv2(x)).mean(dim=(2, 3))


class Head(nn.Module):
    """An MLP with a narrow normalised end, and prototypes of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(DIM, 14)
        self.fc2 = nn.Linear(14, 8)
        self.prototypes = nn.Parameter(torch.randn(OUT, 8))

    def forward(self, x: Tensor) -> Tensor:
        """(B, DIM) -> (B, OUT)."""
        x = functional.normalize(self.fc2(functional.gelu(self.fc1(x))), dim=-1)
        return functional.linear(x, functional.normalize(self.prototypes, dim=-1))


class Distilled(nn.Module):
    """Student, teacher and centre."""

    centre: Tensor

    def __init__(self, momentum: float = 0.9, teacher_temperature: float = 0.07) -> None:
        super().__init__()
        self.momentum, self.teacher_temperature = momentum, teacher_temperature
        self.student = nn.Sequential(Backbone(), Head())
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(1, OUT))

    def forward(self, crops: list[Tensor]) -> dict[str, Tensor]:
        """How far the student is from the teacher's view of the other crops, for each example; both outputs."""
        student = [self.student(crop) for crop in crops]
        if self.training:
            self.follow()
        with torch.no_grad():
            teacher = [self.teacher(crop) for crop in crops[:GLOBAL]]
        targets = [((one - self.centre) / self.teacher_temperature).softmax(dim=-1) for one in teacher]
        losses = [
            -(target * (one / 0.1).log_softmax(dim=-1)).sum(dim=-1)
            for index, target in enumerate(targets)
            for other, one in enumerate(student)
            if index != other
        ]
        if self.training:
            self.move_centre(torch.cat(teacher))
        return {"loss": torch.stack(losses).mean(dim=0), "student": student[0], "teacher": teacher[0]}

    @torch.no_grad()
    def follow(self) -> None:
        """Move the teacher towards the student."""
        for one, other in zip(self.student.parameters(), self.teacher.parameters(), strict=True):
            other.mul_(self.momentum).add_(one, alpha=1 - self.momentum)

    @torch.no_grad()
    def move_centre(self, outputs: Tensor) -> None:
        """Move the centre towards the mean of the teacher's outputs."""
        self.centre = self.centre * 0.8 + outputs.mean(dim=0, keepdim=True) * 0.2


def build() -> nn.Module:
    """The network."""
    return Distilled()
