"""Networks that draw random numbers, mix the examples of a batch or write to their input, in eval mode."""

from __future__ import annotations

from tests.integration.health.networks import Defect

SAME = "the same output every time"
ALONE = "the output of an example to be the same alone and in a batch"
OTHERS = "another output without the other examples"

RANDOM = {
    "dropout-stays-on": Defect(
        """
        class Net(Base):
            def forward(self, x):
                return self.head(F.dropout(self.stem(x).relu(), 0.5))
        """,
        "the network itself: draws random numbers in eval mode", SAME, "bernoulli_ was called",
        'health: {allow_random: ["**"]}',
    ),
    "dropout-of-a-block-stays-on": Defect(
        """
        class Noise(nn.Module):
            def forward(self, x):
                return F.dropout(x, 0.1)

        class Net(Base):
            def more(self):
                self.noise = Noise()
            def forward(self, x):
                return self.head(self.noise(self.stem(x).relu()))
        """,
        "noise: draws random numbers in eval mode", SAME, "bernoulli_ was called", "health: {allow_random: [noise]}",
    ),
    "noise-is-added": Defect(
        """
        class Noise(nn.Module):
            def forward(self, x):
                return x + 0.1 * torch.randn_like(x)

        class Net(Base):
            def more(self):
                self.noise = Noise()
            def forward(self, x):
                return self.head(self.noise(self.stem(x).relu()))
        """,
        "noise: draws random numbers in eval mode", SAME, "randn_like was called", "health: {allow_random: [noise]}",
    ),
    "numpy": Defect(
        """
        class Net(Base):
            def forward(self, x):
                return self.head(self.stem(x).relu()) * (1 + numpy.random.rand())
        """,
        "the network itself: differs from run to run in eval mode", SAME,
        "another output in a second run of the same input",
    ),
    "numpy-in-a-loss": Defect(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x).pow(2).mean() * (1 + numpy.random.rand())
        """,
        "the network itself: differs from run to run in eval mode", SAME,
        "another output in a second run of the same input",
    ),
    "python": Defect(
        """
        class Head(nn.Linear):
            def forward(self, x):
                return super().forward(x) * (1 + random.random())

        class Net(Base):
            def more(self):
                self.head = Head(16, 5)
        """,
        "head: differs from run to run in eval mode", SAME, "another output in a second run of the same input",
    ),
}  # fmt: skip

MIXING = {
    "softmax-over-the-batch": Defect(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x).softmax(0)
        """,
        "the network itself: mixes the examples of a batch in eval mode", ALONE, OTHERS,
        'health: {allow_batch_dependent: ["**"]}',
    ),
    "sum-of-all-before-it": Defect(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x).cumsum(0)
        """,
        "the network itself: mixes the examples of a batch in eval mode", ALONE, OTHERS,
        'health: {allow_batch_dependent: ["**"]}',
    ),
    "batch-read-as-a-sequence": Defect(
        """
        class Net(Base):
            def more(self):
                self.rnn = nn.GRU(16, 16)
            def forward(self, x):
                return self.head(self.rnn(self.stem(x))[0])
        """,
        "rnn: mixes the examples of a batch in eval mode", ALONE, OTHERS,
        "health: {allow_batch_dependent: [rnn]}",
    ),
    "softmax-layer-over-the-batch": Defect(
        """
        class Net(Base):
            def more(self):
                self.softmax = nn.Softmax(0)
            def forward(self, x):
                return self.softmax(super().forward(x))
        """,
        "softmax: mixes the examples of a batch in eval mode", ALONE, OTHERS,
        "health: {allow_batch_dependent: [softmax]}",
    ),
    "batch-norm-without-running-statistics": Defect(
        """
        class Net(Base):
            def more(self):
                self.norm = nn.BatchNorm1d(16, track_running_stats=False)
            def forward(self, x):
                return self.head(self.norm(self.stem(x)).relu())
        """,
        "norm: mixes the examples of a batch in eval mode", ALONE, OTHERS, "health: {allow_batch_dependent: [norm]}",
    ),
    "batch-norm-in-train-mode": Defect(
        """
        class Norm(nn.BatchNorm1d):
            def forward(self, x):
                return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=True)

        class Net(Base):
            def more(self):
                self.norm = Norm(16)
            def forward(self, x):
                return self.head(self.norm(self.stem(x)).relu())
        """,
        "norm: mixes the examples of a batch in eval mode", ALONE, OTHERS, "health: {allow_batch_dependent: [norm]}",
    ),
    "batch-norm-of-images-in-train-mode": Defect(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)
            def forward(self, x):
                return self.norm(self.conv(x)).relu().mean((2, 3))
        """,
        "norm: mixes the examples of a batch in eval mode", ALONE, OTHERS, "health: {allow_batch_dependent: [norm]}",
        "[B, 3, 8, 8]",
    ),
    "mean-of-the-batch-is-subtracted": Defect(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x - x.mean())
        """,
        "stem: mixes the examples of a batch in eval mode", ALONE, OTHERS, "health: {allow_batch_dependent: [stem]}",
    ),
    "attention-over-the-batch": Defect(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.attention = nn.MultiheadAttention(8, 2)  # batch_first is forgotten
            def forward(self, x):
                return self.attention(x, x, x, need_weights=False)[0]
        """,
        "attention: mixes the examples of a batch in eval mode", ALONE, OTHERS,
        "health: {allow_batch_dependent: [attention]}", "[B, 6, 8]",
    ),
}  # fmt: skip

INPUT = {
    "in-place": Defect(
        """
        class Net(Base):
            def forward(self, x):
                x += 1
                return super().forward(x)
        """,
        "forward: writes to its input", "the input as it was", "input 1 changed",
    ),
    "inplace-layer-first": Defect(
        """
        class Net(Base):
            def more(self):
                self.act = nn.ReLU(inplace=True)
            def forward(self, x):
                return super().forward(self.act(x))
        """,
        "forward: writes to its input", "the input as it was", "input 1 changed",
    ),
    "in-place-through-a-view": Defect(
        """
        class Net(Base):
            def forward(self, x):
                x.flatten(1)[:, 0] = 0
                return super().forward(x)
        """,
        "forward: writes to its input", "the input as it was", "input 1 changed",
    ),
    "in-place-in-train-mode-only": Defect(
        """
        class Net(Base):
            def forward(self, x):
                if self.training:
                    x *= 2
                return super().forward(x)
        """,
        "forward: writes to its input", "the input as it was", "input 1 changed",
    ),
    "in-place-on-the-second-input": Defect(
        """
        class Net(Base):
            def forward(self, x, y):
                y.clamp_(max=0)
                return super().forward(x + y)
        """,
        "forward: writes to its input", "the input as it was", "input 2 changed", input="[[B, 8], [B, 8]]",
    ),
    "in-place-on-a-named-input": Defect(
        """
        class Net(Base):
            def forward(self, x, mask):
                mask.clamp_(max=0)
                return super().forward(x + mask)
        """,
        "forward: writes to its input", "the input as it was", "input mask changed",
        input="{x: [B, 8], mask: [B, 8]}",
    ),
}  # fmt: skip
