"""Cases of the library's recurrent layers."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("batch taken for time", "axis", "nn.LSTM(12, 10, batch_first=True,", "nn.LSTM(12, 10,", "lstm"),
    defect(
        "directions change places",
        "concat order",
        "x, state = self.gru(x)",
        "x, state = self.gru(x.roll(10, dims=2))",
        "gru",
    ),
    defect(
        "backward states not turned round",
        "recurrent wiring",
        "x, state = self.gru(x)",
        "x, state = self.gru(torch.cat([x[..., :10], x[..., 10:].flip(1)], dim=2))",
        "gru",
    ),
    defect("state of the first layer", "readout", "state[-1]", "state[0]", "norm"),
    defect("first step for the last", "readout", "self.norm(state[-1])", "self.norm(x[:, 0])", "norm"),
    defect("maximum over time", "readout", "x.mean(dim=1)", "x.amax(dim=1)", "fc"),
    defect("last step for the mean", "readout", "x.mean(dim=1)", "x[:, -1]", "fc"),
    defect("mean without the first step", "readout", "x.mean(dim=1)", "x[:, 1:].mean(dim=1)", "fc"),
    defect(
        "parts of the head's input change places",
        "concat order",
        "[last, x.mean(dim=1)]",
        "[x.mean(dim=1), last]",
        "fc",
    ),
    defect(
        "norm on the other part",
        "normalisation",
        "self.norm(state[-1])",
        "state[-1]",
        "norm",
        "fc",
        also=(Edit("x.mean(dim=1)", "self.norm(x.mean(dim=1))"),),
    ),
    defect("padding learnt", "masking", ", padding_idx=0", "", "embed"),
    defect("padding index at the end", "masking", "padding_idx=0", "padding_idx=29", "embed"),
    defect("dropout between layers lost", "dropout", ", dropout=0.2", "", "gru"),
    defect(
        "dropout behind the last layer",
        "dropout",
        "last = self.norm(state[-1])",
        "last = nn.functional.dropout(self.norm(state[-1]), 0.2, self.training)",
        "fc",
    ),
    defect("starts from ones", "recurrent wiring", "self.gru(x)", "self.gru(x, x.new_ones(2, len(x), 16))", "gru"),
    defect(
        "starts from the batch before",
        "recurrent wiring",
        "x, _ = self.lstm(x)",
        "_, kept = self.lstm(x)\n        x, _ = self.lstm(x, kept)",
        "lstm",
        "gru",
    ),
    defect("reads backwards", "recurrent wiring", "self.lstm(x)", "self.lstm(x.flip(1))", "lstm"),
    defect(
        "embedding scaled", "scale or constant", "x = self.embed(tokens)", "x = self.embed(tokens) * 12**0.5", "lstm"
    ),
    defect(
        "embeddings frozen", "detached gradient", "x = self.embed(tokens)", "x = self.embed(tokens).detach()", "embed"
    ),
    defect(
        "cut between the recurrent layers",
        "detached gradient",
        "x, state = self.gru(x)",
        "x, state = self.gru(x.detach())",
        "embed",
        "lstm",
    ),
    defect(
        "one layer of twice the width",
        "width or bias",
        "nn.LSTM(12, 10, batch_first=True, bidirectional=True)",
        "nn.LSTM(12, 20, batch_first=True)",
        "lstm",
    ),
    defect("without biases", "width or bias", "bidirectional=True", "bidirectional=True, bias=False", "lstm"),
    defect(
        "projected states",
        "recurrent wiring",
        "nn.LSTM(12, 10, batch_first=True, bidirectional=True)",
        "nn.LSTM(12, 14, batch_first=True, bidirectional=True, proj_size=10)",
        "lstm",
    ),
]

REWRITES = [
    rewrite(
        "time first",
        ("nn.LSTM(12, 10, batch_first=True,", "nn.LSTM(12, 10,"),
        ("x, _ = self.lstm(x)  # (B, T, 20)", "x = self.lstm(x.transpose(0, 1))[0].transpose(0, 1)"),
    ),
    rewrite("last step for the last state", ("self.norm(state[-1])", "self.norm(x[:, -1])")),
    rewrite(
        "functional embedding",
        ("self.embed(tokens)", "nn.functional.embedding(tokens, self.embed.weight, padding_idx=0)"),
    ),
    rewrite("zero states given", ("self.gru(x)", "self.gru(x, x.new_zeros(2, len(x), 16))")),
    rewrite(
        "flattened weights", ("x, _ = self.lstm(x)", "self.lstm.flatten_parameters()\n        x, _ = self.lstm(x)")
    ),
    rewrite(
        "layers registered in another order",
        ("        self.embed = nn.Embedding(30, 12, padding_idx=0)\n", ""),
        ("        self.norm =", "        self.embed = nn.Embedding(30, 12, padding_idx=0)\n        self.norm ="),
    ),
]
