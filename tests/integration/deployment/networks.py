"""Networks that torch captures as a whole, in parts, or not at all."""

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
    def forward(self, x):
        return self.norm(self.fc(x)).relu()

class Printing(Net):
    def forward(self, x):
        print("x")
        return super().forward(x)

class Branching(Net):
    def forward(self, x):
        x = self.fc(x)
        if x.sum() > 0:
            x = x * 2
        return x + 1

class Fixed(Net):
    def forward(self, x):
        if x.shape[0] == 2:
            x = x + 1
        return self.fc(x)

class Counting(Net):
    def __init__(self):
        super().__init__()
        self.calls = 0
    def forward(self, x):
        self.calls += 1
        return self.fc(x) * self.calls

class Lying(Net):
    def forward(self, x):
        x = self.fc(x)
        return x * 2 if torch.compiler.is_compiling() else x

class Detached(Net):
    def forward(self, x):
        x = self.fc(x)
        return x.detach() + 0 * x if torch.compiler.is_compiling() else x

class Generating(Net):
    def forward(self, x):
        yield self.fc(x)

class Stopping(Net):
    def forward(self, x):
        raise ValueError("no such thing")

class Raising(Net):
    def __init__(self):
        raise ValueError("no such width")

class Single(Net):
    def forward(self, x):
        return self.fc(x.float())

class Eigen(Net):
    def forward(self, x):
        return torch.linalg.eigvals(x.T @ x).abs().sum() * self.fc(x)

class Captions(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.conv = nn.Embedding(10, 4), nn.Conv2d(3, 4, 3, stride=2, padding=1)
    def forward(self, words, image=None, scale=1.0):
        return {"text": self.words(words).mean(1), "image": self.conv(image).mean((2, 3)) * scale}
"""
CAPTIONS = """\
build: nets:Captions
input: {words: {shape: [B, T], dtype: int64, below: 10}, image: [B, 3, H, W], scale: 2.0}
sizes: {T: [5, 7], H: [8, 12], W: [8, 12]}
function: off
health: off
"""


def spec_of(name: str, section: str) -> str:
    """Return a spec of a network with a section in its fifth line, and nothing else that is verified."""
    return f"build: nets:{name}\ninput: [B, 4]\nfunction: off\nhealth: off\n{section}\n"
