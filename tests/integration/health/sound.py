"""Networks that are sound, though each has something that looks like a defect."""

from __future__ import annotations

from tests.integration.health.networks import Network

SOUND = {
    "the-last-mean-kept-to-be-looked-at": Network(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("last", torch.zeros(16), persistent=False)
            def forward(self, x):
                x = self.stem(x)
                if self.training:
                    self.last.copy_(x.detach().mean(0))
                return self.head(x)
        """,
    ),
    "loads-what-is-saved-in-its-own-way": Network(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("table", torch.empty(0))
            def forward(self, x):
                if self.training and not self.table.numel():
                    self.table = torch.ones(3)
                return self.head(self.stem(x))
            def load_state_dict(self, state_dict, strict=True):
                self.table = self.table.new_empty(state_dict["table"].shape)
                return super().load_state_dict(state_dict, strict)
        """,
    ),
    "a-head-that-starts-from-zeros": Network(
        """
        class Net(Base):
            def more(self):
                nn.init.zeros_(self.head.weight)
                nn.init.zeros_(self.head.bias)
        """,
    ),
    "a-residual-branch-that-starts-from-zeros": Network(
        """
        class Net(Base):
            def more(self):
                self.branch, self.gain = nn.Linear(16, 16), nn.Parameter(torch.zeros(1))
            def forward(self, x):
                x = self.stem(x)
                return self.head(x + self.gain * self.branch(x))
        """,
    ),
    "a-frozen-backbone": Network(
        """
        class Net(Base):
            def more(self):
                self.stem.requires_grad_(False)
        """,
    ),
    "a-frozen-backbone-under-no-grad": Network(
        """
        class Net(Base):
            def more(self):
                self.stem.requires_grad_(False)
            def forward(self, x):
                with torch.no_grad():
                    x = self.stem(x)
                return self.head(x)
        """,
    ),
    "an-auxiliary-head-in-train-mode": Network(
        """
        class Net(Base):
            def more(self):
                self.aux = nn.Linear(16, 5)
            def forward(self, x):
                x = self.stem(x).relu()
                return (self.head(x), self.aux(x)) if self.training else self.head(x)
        """,
    ),
    "a-layer-that-runs-in-eval-mode-only": Network(
        """
        class Net(Base):
            def more(self):
                self.projection = nn.Linear(5, 5)
            def forward(self, x):
                x = super().forward(x)
                return x if self.training else self.projection(x)
        """,
    ),
    "dropout": Network(
        """
        class Net(Base):
            def more(self):
                self.drop = nn.Dropout(0.5)
            def forward(self, x):
                return self.head(F.dropout(self.drop(self.stem(x)), 0.1, self.training))
        """,
    ),
    "batch-norm": Network(
        """
        class Net(Base):
            def more(self):
                self.norm = nn.BatchNorm1d(16)
            def forward(self, x):
                return self.head(self.norm(self.stem(x)).relu())
        """,
    ),
    "the-bias-of-the-keys": Network(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
            def forward(self, x):
                return F.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x))
        """,
        "[B, 6, 8]",
    ),
    "torchs-attention": Network(
        """
        class Net(nn.MultiheadAttention):
            def __init__(self):
                super().__init__(8, 2, batch_first=True)
            def forward(self, x):
                return super().forward(x, x, x, need_weights=False)[0]
        """,
        "[B, 6, 8]",
    ),
    "tied-weights": Network(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
                self.head.weight = self.embedding.weight
            def forward(self, ids):
                return self.head(self.embedding(ids))
        """,
        "{shape: [B, 6], dtype: int64, below: 20}",
    ),
    "bounded-ids": Network(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding, self.head = nn.Embedding(20, 8, padding_idx=0), nn.Linear(8, 3)
            def forward(self, ids):
                mask = (ids != 0).unsqueeze(-1)
                return self.head((self.embedding(ids) * mask).sum(1) / mask.sum(1))
        """,
        "{shape: [B, 6], dtype: int64, below: 20}",
    ),
    "a-variational-autoencoder": Network(
        """
        class Net(Base):
            def more(self):
                self.decoder = nn.Linear(8, 8)
                self.head = nn.Linear(16, 16)
            def forward(self, x):
                mean, log_var = super().forward(x).chunk(2, -1)
                return self.decoder(mean + torch.randn_like(mean) * (log_var / 2).exp()), mean, log_var
        """,
        "[B, 8]", "health: {allow_random: ['**']}\n",
    ),
    "a-loss": Network(
        """
        class Net(Base):
            def forward(self, x, target):
                return F.mse_loss(super().forward(x), target)
        """,
        "{x: [B, 8], target: [B, 5]}",
    ),
    "keywords-in-another-order-than-the-alphabets": Network(
        """
        class Net(Base):
            def forward(self, x, bias):
                return super().forward(x.mean((2, 3))) + bias
        """,
        "{x: [B, 8, 4, 4], bias: [B, 5]}",
    ),
    "a-loss-beside-the-output": Network(
        """
        class Net(Base):
            def forward(self, x, target):
                out = super().forward(x)
                return {"loss": F.mse_loss(out, target), "out": out}
        """,
        "{x: [B, 8], target: [B, 5]}",
    ),
    "a-teacher-that-follows-its-student": Network(
        """
        class Net(Base):
            def more(self):
                self.teacher = nn.Linear(8, 16).requires_grad_(False)
            @torch.no_grad()
            def follow(self):
                for ours, theirs in zip(self.teacher.parameters(), self.stem.parameters()):
                    ours.mul_(0.9).add_(theirs, alpha=0.1)
            def forward(self, x):
                if self.training:
                    self.follow()
                with torch.no_grad():
                    target = self.teacher(x)
                return self.head(self.stem(x)), target
        """,
    ),
    "statistics-in-a-buffer": Network(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("mean", torch.zeros(16))
            def forward(self, x):
                x = self.stem(x)
                if self.training:
                    self.mean.lerp_(x.detach().mean(0), 0.1)
                return self.head(x - self.mean)
        """,
    ),
    "a-table-that-no-checkpoint-holds": Network(
        """
        class Net(Base):
            def more(self):
                self.register_buffer("table", torch.arange(8.0), persistent=False)
            def forward(self, x):
                return super().forward(x + self.table)
        """,
    ),
    "lstm": Network(
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm, self.head = nn.LSTM(8, 6, num_layers=2, batch_first=True, dropout=0.2), nn.Linear(6, 3)
            def forward(self, x):
                return self.head(self.lstm(x)[0][:, -1])
        """,
        "[B, 7, 8]",
    ),
    "in-place-on-what-is-its-own": Network(
        """
        class Net(Base):
            def more(self):
                self.act = nn.ReLU(inplace=True)
            def forward(self, x):
                return self.head(self.act(self.stem(x).add_(1)))
        """,
    ),
    "a-constant-drawn-by-a-generator-that-is-seeded-here": Network(  # as e3nn measures its activations
        """
        class Net(Base):
            def more(self):
                drawn = torch.randn(1000, generator=torch.Generator().manual_seed(0))
                self.scale = drawn.relu().pow(2).mean().rsqrt().item()
                self.register_buffer("twos", torch.full((16,), 2.0), persistent=False)
            def forward(self, x):
                return self.head(self.stem(x).relu() * self.scale * self.twos)
        """,
    ),
    "random-features-of-a-seed-of-their-own": Network(
        """
        class Net(Base):
            def more(self):
                with torch.random.fork_rng():
                    torch.manual_seed(0)
                    self.features = torch.randn(16, 16)
            def forward(self, x):
                return self.head(self.stem(x) @ self.features.to(x))
        """,
    ),
}  # fmt: skip
