"""Networks that run on the CPU and stop on a GPU, and networks that look like them and don't."""

from __future__ import annotations

from typing import NamedTuple

from tests.integration.health.networks import Network


class DeviceBug(NamedTuple):
    """A network, the line of its forward that a GPU refuses, what is said of it, and what to write instead."""

    source: str
    line: str
    actual: str
    write: str
    module: str = ""
    input: str = "[B, 8]"


MADE_IN_FORWARD = {
    "ones": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x + torch.ones(8))
        """,
        "x + torch.ones(8)", "torch.add at {line} takes what torch.ones made on the CPU at {line}",
        "torch.ones(..., device=x.device), or torch.ones_like(x)",
    ),
    "beside-one-of-a-gpu": DeviceBug(
        """
        SCALE = torch.full((8,), 0.5).cuda()
        MEAN = torch.full((8,), 0.5)

        class Net(Base):
            def forward(self, x):
                return super().forward(x * SCALE - MEAN)
        """,
        "x * SCALE - MEAN",
        "torch.sub at {line} takes a tensor on the CPU that was made before the forward pass, and that no module holds",
        "make it a buffer of the module (register_buffer), or take it where it's needed: .to(x.device)",
    ),
    "a-tensor-type": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x + torch.FloatTensor(8).fill_(1.0))
        """,
        "x + torch.FloatTensor", "torch.add at {line} takes what torch.empty made on the CPU at {line}",
        "torch.empty(..., device=x.device), or torch.empty_like(x)",
    ),
    "an-imported-tensor-type": DeviceBug(
        """
        from torch import FloatTensor

        class Net(Base):
            def forward(self, x):
                return super().forward(x + FloatTensor(8).fill_(1.0))
        """,
        "x + FloatTensor", "torch.add at {line} takes what torch.empty made on the CPU at {line}",
        "torch.empty(..., device=x.device), or torch.empty_like(x)",
    ),
    "arange": DeviceBug(
        """
        class Net(Base):
            def more(self):
                self.positions = nn.Embedding(8, 8)
            def forward(self, x):
                return super().forward(x + self.positions(torch.arange(8)).mean(0))
        """,
        "self.positions(torch", "torch.embedding at {line} takes what torch.arange made on the CPU at {line}",
        "torch.arange(..., device=x.device)",
    ),
    "a-mask": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                mask = torch.tril(torch.ones(8, 8))
                return super().forward(x @ mask)
        """,
        "x @ mask", "torch.mm at {line} takes what torch.ones made on the CPU at {made}",
        "torch.ones(..., device=x.device), or torch.ones_like(x)",
    ),
    "a-list": DeviceBug(
        """
        class Block(nn.Module):
            def forward(self, x):
                return x * torch.tensor([1.0, 2.0])[0:1]

        class Net(Base):
            def more(self):
                self.block = Block()
            def forward(self, x):
                return super().forward(self.block(x))
        """,
        "return x * torch", "torch.mul at {line} takes what torch.tensor made on the CPU at {line}",
        "torch.tensor(..., device=x.device)", module="block",
    ),
    "a-sum-that-starts-on-the-cpu": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                total = torch.tensor(0.0)
                total += x.sum()
                return super().forward(x) + total
        """,
        "total += x.sum()", "torch.add at {line} takes what torch.tensor made on the CPU at {made}",
        "torch.tensor(..., device=x.device)",
    ),
    "there-and-not-back": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                order = x.detach().cpu() * 2
                return super().forward(x + order)
        """,
        "x + order", "torch.add at {line} takes what was brought to the CPU at {made}",
        "bring it back, .to(x.device), or leave it where it is",
    ),
    "a-generator": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                noise = torch.rand(8, generator=torch.Generator().manual_seed(0), device=x.device)
                return super().forward(x + 0 * noise)
        """,
        "noise = torch.rand", "torch.rand at {line} takes a torch.Generator of the CPU",
        "torch.Generator(device=x.device)",
    ),
    "numpy": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x) * float(numpy.abs(x.detach().numpy()).max())
        """,
        "x.detach().numpy()", "Tensor.numpy at {line} takes NumPy, which reads tensors on the CPU only",
        ".cpu().numpy()",
    ),
    "only-in-train-mode": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                if self.training:
                    x = x * (torch.rand(8) > 0.1)
                return super().forward(x)
        """,
        "x = x * (torch.rand", "torch.mul at {line} takes what torch.rand made on the CPU at {line}",
        "torch.rand(..., device=x.device), or torch.rand_like(x)",
    ),
    "only-in-the-backward-pass": DeviceBug(
        """
        class Scaled(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.clone()
            @staticmethod
            def backward(ctx, gradient):
                return gradient * torch.full((8,), 0.5)

        class Net(Base):
            def forward(self, x):
                return super().forward(Scaled.apply(x + self.stem.weight.sum()))
        """,
        "return gradient *", "torch.mul at {line} takes what torch.full made on the CPU at {line}",
        "torch.full(..., device=x.device), or torch.full_like(x)",
    ),
    "where-values-decide": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                if x.abs().sum() > 0:
                    x = x + torch.zeros(8)
                return super().forward(x)
        """,
        "x = x + torch.zeros", "torch.add at {line} takes what torch.zeros made on the CPU at {line}",
        "torch.zeros(..., device=x.device), or torch.zeros_like(x)",
    ),
    "behind-a-list-that-is-an-index": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                if x.abs().sum() > 0:
                    x = x[:, [7, 6, 5, 4, 3, 2, 1, 0]]
                return super().forward(x * torch.ones(8))
        """,
        "x * torch.ones", "torch.mul at {line} takes what torch.ones made on the CPU at {line}",
        "torch.ones(..., device=x.device), or torch.ones_like(x)",
    ),
    "indexed-on-the-cpu": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                table = torch.zeros(8, 8)
                return super().forward(x + table[x.argmax(1)])
        """,
        "x + table[", "torch.index at {line} takes what torch.zeros made on the CPU at {made}",
        "torch.zeros(..., device=x.device), or torch.zeros_like(x)",
    ),
    "a-hidden-state": DeviceBug(
        """
        class Net(Base):
            def more(self):
                self.rnn = nn.GRU(8, 16, batch_first=True)
            def forward(self, x):
                return self.head(self.rnn(x, torch.zeros(1, x.shape[0], 16))[0])
        """,
        "self.rnn(x, torch", "torch.gru at {line} takes what torch.zeros made on the CPU at {line}",
        "torch.zeros(..., device=x.device), or torch.zeros_like(x)", input="[B, 4, 8]",
    ),
    "a-hidden-state-of-two": DeviceBug(
        """
        class Net(Base):
            def more(self):
                self.rnn = nn.LSTM(8, 16, batch_first=True)
            def forward(self, x):
                state = torch.zeros(1, x.shape[0], 16, device=x.device), torch.ones(1, x.shape[0], 16)
                return self.head(self.rnn(x, state)[0])
        """,
        "self.rnn(x, state", "torch.lstm at {line} takes what torch.ones made on the CPU at {made}",
        "torch.ones(..., device=x.device), or torch.ones_like(x)", input="[B, 4, 8]",
    ),
    "behind-autocast-where-x-is": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                with torch.autocast(device_type=x.device.type, dtype=torch.bfloat16):
                    y = super().forward(x)
                return y.float() + torch.ones(5)
        """,
        "y.float() + torch.ones", "torch.add at {line} takes what torch.ones made on the CPU at {line}",
        "torch.ones(..., device=x.device), or torch.ones_like(x)",
    ),
    "behind-questions-about-autocast": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                kind = x.device.type
                if torch.amp.is_autocast_available(kind) and not torch.is_autocast_enabled(kind):
                    with torch.autocast(kind, torch.get_autocast_dtype(kind), False):
                        x = x - torch.zeros(8)
                return super().forward(x)
        """,
        "x = x - torch.zeros", "torch.sub at {line} takes what torch.zeros made on the CPU at {line}",
        "torch.zeros(..., device=x.device), or torch.zeros_like(x)",
    ),
    "queries-of-attention": DeviceBug(
        """
        class Net(Base):
            def forward(self, x):
                asked = torch.randn(1, 4, 8)
                return super().forward(F.scaled_dot_product_attention(asked, x[None], x[None])[0, 0] + x)
        """,
        "scaled_dot_product",
        "torch.scaled_dot_product_attention at {line} takes what torch.randn made on the CPU at {made}",
        "torch.randn(..., device=x.device), or torch.randn_like(x)",
    ),
}  # fmt: skip

MADE_BEFORE = {
    "a-plain-attribute": DeviceBug(
        """
        class Net(Base):
            def more(self):
                self.table = torch.arange(8.0)
            def forward(self, x):
                return super().forward(x + self.table)
        """,
        "x + self.table", "torch.add at {line} takes `table`, a tensor that is no buffer",
        'self.register_buffer("table", ..., persistent=False)',
    ),
    "a-table-of-numpy": DeviceBug(
        """
        class Table(nn.Module):
            def __init__(self):
                super().__init__()
                self.angles = torch.from_numpy(numpy.linspace(0, 1, 8, dtype=numpy.float32))
            def forward(self, x):
                return x * self.angles.cos()

        class Net(Base):
            def more(self):
                self.turn = Table()
            def forward(self, x):
                return super().forward(self.turn(x))
        """,
        "return x * self.angles", "torch.mul at {line} takes `angles` of turn, a tensor that is no buffer",
        'self.register_buffer("angles", ..., persistent=False)', module="turn",
    ),
    "buffers-in-a-list": DeviceBug(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("low", torch.zeros(8))
                self.register_buffer("high", torch.ones(8))
                self.bounds = [self.low, self.high]
            def forward(self, x):
                return super().forward(torch.maximum(x, self.bounds[0]))
        """,
        "torch.maximum(x", "torch.maximum at {line} takes `bounds[0]`, a tensor that is no buffer",
        "register each with register_buffer, and read it from the module: bounds isn't moved by .to()",
    ),
    "made-at-import": DeviceBug(
        """
        MEAN = torch.full((8,), 0.5)

        class Net(Base):
            def forward(self, x):
                return super().forward(x - MEAN)
        """,
        "x - MEAN",
        "torch.sub at {line} takes a tensor on the CPU that was made before the forward pass, and that no module holds",
        "make it a buffer of the module (register_buffer), or take it where it's needed: .to(x.device)",
    ),
}  # fmt: skip

BUGS = {**MADE_IN_FORWARD, **MADE_BEFORE}

RUNS_ANYWHERE = {
    "numbers": Network(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x * torch.tensor(2.0) + torch.tensor(3).sqrt())
        """,
    ),
    "made-where-x-is": Network(
        """
        class Net(Base):
            def forward(self, x):
                x = x + torch.ones(8, device=x.device) + torch.zeros_like(x) + x.new_ones(8)
                return super().forward(x + torch.arange(8).to(x))
        """,
    ),
    "an-index-on-the-cpu": Network(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x[:, torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])])
        """,
    ),
    "there-and-back": Network(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x + (x.detach().cpu() * 2).to(x.device))
        """,
    ),
    "counted-on-the-cpu": Network(
        """
        class Net(Base):
            def forward(self, x):
                count = int(torch.arange(4).sum())
                return super().forward(x * count)
        """,
    ),
    "written-over": Network(
        """
        class Net(Base):
            def forward(self, x):
                y = torch.empty_like(x)
                y.copy_(torch.ones(8))
                y[:, :4] = torch.zeros(4)
                return super().forward(x + y)
        """,
    ),
    "tables-that-are-moved": Network(
        """
        class Net(Base):
            def more(self):
                self.table = torch.ones(8)
            def _apply(self, fn, recurse=True):
                super()._apply(fn, recurse)
                self.table = fn(self.table)
                return self
            def forward(self, x):
                return super().forward(x * self.table)
        """,
    ),
    "a-cache-that-follows": Network(
        """
        class Net(Base):
            def more(self):
                self.mask = torch.ones(8)
            def forward(self, x):
                if self.mask.device != x.device:
                    self.mask = self.mask.to(x.device)
                return super().forward(x * self.mask)
        """,
    ),
    "an-old-way-to-ask": Network(
        """
        class Net(Base):
            def forward(self, x):
                mask = torch.ones(8)
                if x.is_cuda:
                    mask = mask.cuda()
                return super().forward(x * mask)
        """,
    ),
    "a-device-of-the-module": Network(
        """
        DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

        class Net(Base):
            def more(self):
                self.scale = torch.ones(8).to(DEVICE)
            def forward(self, x):
                return super().forward(x * self.scale * torch.ones(8, device=DEVICE))
        """,
    ),
    "a-tensor-type-of-the-module": Network(
        """
        Tensor = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.FloatTensor
        LongTensor = torch.cuda.LongTensor if torch.cuda.is_available() else torch.LongTensor

        class Net(Base):
            def forward(self, x):
                x = x * Tensor(8).fill_(1.0) + F.one_hot(LongTensor([1]), 8)
                return super().forward(x * torch.ones(8).type(Tensor))
        """,
    ),
    "a-tensor-type-by-the-input": Network(
        """
        class Net(Base):
            def forward(self, x):
                Tensor = torch.cuda.FloatTensor if x.is_cuda else torch.FloatTensor
                return super().forward(x * Tensor(8).fill_(1.0))
        """,
    ),
    "the-number-of-the-inputs-device": Network(
        """
        class Net(Base):
            def forward(self, x):
                return super().forward(x + torch.zeros(8, device=x.get_device()))
        """,
    ),
    "a-state-where-a-variable-says": Network(
        """
        DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

        class Net(Base):
            def more(self):
                self.rnn = nn.GRU(8, 16, batch_first=True)
            def forward(self, x):
                return self.head(self.stem(x) + self.rnn(x, torch.zeros(1, len(x), 16, device=DEVICE))[0])
        """,
        "[B, 4, 8]",
    ),
    "ragged-sequences": Network(
        """
        class Net(Base):
            def more(self):
                self.rnn = nn.GRU(8, 16, batch_first=True)
            def forward(self, x):
                packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4] * len(x)), batch_first=True)
                return self.head(self.stem(x[:, 0]) + self.rnn(packed)[1][0])
        """,
        "[B, 4, 8]",
    ),
}
