"""Networks with parameters that get no gradient, and networks that `state_dict` does not bring back."""

from __future__ import annotations

from tests.integration.health.networks import Defect

BACK = "the same output after load_state_dict into a new instance"
TRAINED = "a gradient in train mode or in eval mode"

GRADIENTS = {
    "a-layer-that-is-never-called": Defect(
        """
        class Net(Base):
            def more(self):
                self.spare = nn.Linear(16, 16)
        """,
        "spare.weight: gets no gradient, nor does 1 more parameter", TRAINED, "none for spare.weight, spare.bias",
        'health: {allow_unused: [spare.**]}',
    ),
    "a-parameter-that-is-never-used": Defect(
        """
        class Net(Base):
            def more(self):
                self.scale = nn.Parameter(torch.ones(16))
        """,
        "scale: gets no gradient", TRAINED, "none for scale", "health: {allow_unused: [scale]}",
    ),
    "a-branch-that-is-detached": Defect(
        """
        class Net(Base):
            def more(self):
                self.branch = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16))
            def forward(self, x):
                return self.head(self.stem(x).relu() + self.branch(x).detach())
        """,
        "branch.0.weight: gets no gradient, nor do 3 more parameters", TRAINED,
        "none for branch.0.weight, branch.0.bias, branch.2.weight, branch.2.bias",
        "health: {allow_unused: [branch.**]}",
    ),
    "a-branch-without-gradients": Defect(
        """
        class Net(Base):
            def forward(self, x):
                with torch.no_grad():
                    x = self.stem(x).relu()
                return self.head(x)
        """,
        "stem.weight: gets no gradient, nor does 1 more parameter", TRAINED, "none for stem.weight, stem.bias",
        "health: {allow_unused: [stem.**]}",
    ),
    "a-branch-times-zero": Defect(
        """
        class Net(Base):
            def more(self):
                self.branch = nn.Linear(8, 16)
            def forward(self, x):
                return self.head(self.stem(x).relu() + 0.0 * self.branch(x))
        """,
        "branch.weight: gets no gradient, nor does 1 more parameter", TRAINED, "none for branch.weight, branch.bias",
        "health: {allow_unused: [branch.**]}",
    ),
    "layers-side-by-side": Defect(
        """
        class Net(Base):
            def more(self):
                self.spare, self.other = nn.Linear(8, 1), nn.Linear(8, 2)
        """,
        "spare.weight: gets no gradient, nor do 3 more parameters", TRAINED,
        "none for spare.weight, spare.bias, other.weight, other.bias",
        "health: {allow_unused: [spare.**, other.**]}",
    ),
    "the-root-of-zero": Defect(
        """
        class Net(Base):
            def more(self):
                self.scale = nn.Parameter(torch.ones(16))
            def forward(self, x):
                return self.head(self.stem(x) + (self.scale - self.scale).pow(2).sqrt())
        """,
        "scale: has a gradient that isn't finite", "finite gradients", "NaN or infinity for scale",
    ),
}  # fmt: skip

UNSAVED = {
    "statistics-in-a-plain-tensor": Defect(
        """
        class Center(nn.Module):
            def __init__(self):
                super().__init__()
                self.mean = torch.zeros(16)
            def forward(self, x):
                if self.training:
                    self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
                return x - self.mean

        class Net(Base):
            def more(self):
                self.center = Center()
            def forward(self, x):
                return self.head(self.center(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "center computes with something that is no parameter and no buffer",
    ),
    "a-length-that-a-step-sets": Defect(  # as a separator of music keeps it, to pad to it in eval mode
        """
        class Clip(nn.Module):
            def __init__(self):
                super().__init__()
                self.limit, self.steps = 0.25, 0
            def forward(self, x):
                self.steps += 1
                if self.training:
                    self.limit = float(x.detach().abs().max())
                return x.clamp(-self.limit, self.limit)

        class Net(Base):
            def more(self):
                self.clip = Clip()
            def forward(self, x):
                return self.head(self.clip(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "clip comes out otherwise without clip.limit, which isn't saved",
        allow="health: {allow_unsaved: [clip.limit]}",
    ),
    "statistics-in-a-buffer-that-isnt-saved": Defect(
        """
        class Center(nn.Module):
            def __init__(self):
                super().__init__()
                self.register_buffer("mean", torch.zeros(16), persistent=False)
            def forward(self, x):
                if self.training:
                    self.mean.lerp_(x.detach().mean(0).to(self.mean), 0.1)
                return x - self.mean

        class Net(Base):
            def more(self):
                self.center = Center()
            def forward(self, x):
                return self.head(self.center(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "center comes out otherwise without center.mean, which isn't saved",
        allow="health: {allow_unsaved: [center.mean]}",
    ),
    "an-order-drawn-by-a-generator-that-is-seeded-by-chance": Defect(
        """
        class Net(Base):
            def more(self):
                chance = torch.Generator()
                chance.seed()
                self.order = torch.randperm(16, generator=chance)
            def forward(self, x):
                return self.head(self.stem(x)[:, self.order].relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "head computes with something that is no parameter and no buffer",
    ),
    "an-order-in-a-buffer-that-isnt-saved": Defect(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("order", torch.randperm(16), persistent=False)
                self.register_buffer("twos", torch.full((16,), 2.0), persistent=False)
            def forward(self, x):
                return self.head((self.stem(x)[:, self.order] * self.twos).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "head comes out otherwise without order, which isn't saved",
        allow="health: {allow_unsaved: [order]}",
    ),
    "a-sparse-buffer-that-isnt-saved": Defect(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("links", torch.rand(16, 16).to_sparse(), persistent=False)
            def forward(self, x):
                return self.head(torch.sparse.mm(self.links, self.stem(x).T).T.relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "head comes out otherwise without links, which isn't saved",
        allow="health: {allow_unsaved: [links]}",
    ),
    "codes-in-a-buffer-that-isnt-saved": Defect(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("codes", torch.randn(16), persistent=False)
            def forward(self, x):
                return self.head((self.stem(x) * self.codes).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "head comes out otherwise without codes, which isn't saved",
        allow="health: {allow_unsaved: [codes]}",
    ),
    "a-count-of-calls": Defect(
        """
        class Head(nn.Linear):
            def __init__(self, *sizes):
                super().__init__(*sizes)
                self.calls = 0
            def forward(self, x):
                self.calls += 1
                return super().forward(x) * self.calls

        class Net(Base):
            def more(self):
                self.head = Head(16, 5)
        """,
        "head: goes on from the batch before, in eval mode", "the same output every time",
        "another output in a second run of the same input, which found what the first one had left",
    ),
    "statistics-in-an-object": Defect(
        """
        class Mean:
            def __init__(self):
                self.values = torch.zeros(16)

        class Center(nn.Module):
            def __init__(self):
                super().__init__()
                self.width, self.mean = 16, Mean()
            def forward(self, x):
                if self.training:
                    self.mean.values = 0.9 * self.mean.values + 0.1 * x.detach().mean(0)
                return x - self.mean.values

        class Net(Base):
            def more(self):
                self.center = Center()
            def forward(self, x):
                return self.head(self.center(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "center computes with something that is no parameter and no buffer",
    ),
    "an-order-drawn-by-numpy": Defect(
        """
        import numpy as np

        class Shuffled(nn.Module):
            def __init__(self):
                super().__init__()
                self.width, self.order = 16, np.random.permutation(16)
            def forward(self, x):
                return x[:, torch.from_numpy(self.order)]

        class Net(Base):
            def more(self):
                self.shuffled = Shuffled()
            def forward(self, x):
                return self.head(self.shuffled(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "shuffled computes with something that is no parameter and no buffer",
    ),
    "a-number-that-only-a-function-knows": Defect(
        """
        import random

        class Scaled(nn.Module):
            def __init__(self):
                super().__init__()
                self.width, scale = 16, random.random()
                self.scaled = lambda x: x * scale
            def forward(self, x):
                return self.scaled(x)

        class Net(Base):
            def more(self):
                self.gain = Scaled()
            def forward(self, x):
                return self.head(self.gain(self.stem(x)).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "gain computes with something that is no parameter and no buffer",
    ),
    "layers-in-a-plain-list": Defect(
        """
        class Net(Base):
            def more(self):
                self.blocks = [nn.Linear(16, 16) for _ in range(2)]
            def forward(self, x):
                x = self.stem(x)
                for block in self.blocks:
                    x = block(x).relu()
                return self.head(x)
        """,
        "state_dict: doesn't bring the network back", BACK, "blocks holds a Linear that is no part of the network",
    ),
    "layers-in-a-plain-dict-of-a-block": Defect(
        """
        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.act, self.paths = nn.ReLU(), {"a": nn.Linear(16, 16)}
            def forward(self, x):
                return self.act(self.paths["a"](x))

        class Net(Base):
            def more(self):
                self.block = Block()
            def forward(self, x):
                return self.head(self.block(self.stem(x)))
        """,
        "state_dict: doesn't bring the network back", BACK,
        "block.paths holds a Linear that is no part of the network",
    ),
    "a-weight-that-is-no-parameter": Defect(
        """
        class Net(Base):
            def more(self):
                self.scale = torch.ones(16, requires_grad=True)
            def forward(self, x):
                return self.head(self.scale * self.stem(x).relu())
        """,
        "state_dict: doesn't bring the network back", BACK, "scale holds a Tensor that is no part of the network",
    ),
    "parameters-in-a-plain-list": Defect(
        """
        class Net(Base):
            def more(self):
                self.scales = [nn.Parameter(torch.ones(16))]
            def forward(self, x):
                return self.head(self.scales[0] * self.stem(x).relu())
        """,
        "state_dict: doesn't bring the network back", BACK,
        "scales holds a Parameter that is no part of the network",
    ),
    "a-running-sum-that-is-not-saved": Defect(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("sums", torch.randn(16), persistent=False)
                self.register_buffer("mean", torch.zeros(16))
            def forward(self, x):
                x = self.stem(x)
                if self.training:
                    with torch.no_grad():
                        self.sums.mul_(0.9).add_(x.mean(0))
                        self.mean.copy_(self.sums * 0.1)
                return self.head(x - self.mean)
        """,
        "state_dict: doesn't bring the network back", BACK,
        "the next step in train mode comes out otherwise without sums, which isn't saved",
        allow="health: {allow_unsaved: [sums]}",
    ),
}  # fmt: skip
