"""Cases of the graph network."""

from defect_zoo.case import Edit, defect, rewrite

FLAT = """        flat = x.transpose(0, 1).flatten(1)  # (N, B * D)
        x = torch.sparse.mm(self.adjacency, flat).unflatten(1, (-1, DIM)).transpose(0, 1) + self.bias
"""
BUFFER = '        self.register_buffer("adjacency", skeleton(), persistent=False)\n'
MESSAGES = """        valid = (neighbours < NODES).unsqueeze(-1)  # (B, N, K, 1)
        padded = functional.pad(x, (0, 0, 0, 1))  # (B, N + 1, D)
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        messages = padded[rows, neighbours]  # (B, N, K, D)
        mean = (messages * valid).sum(dim=2) / valid.sum(dim=2).clamp(min=1)
"""
MEAN_FORWARD = '''    def forward(self, x: Tensor, neighbours: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D), of length one each."""
'''
MEAN = "mean = (messages * valid).sum(dim=2) / valid.sum(dim=2).clamp(min=1)"
SOFTMAX = """        scores = functional.leaky_relu(scores, 0.2).masked_fill(~valid, torch.finfo(x.dtype).min)
        shares = self.dropout(scores.softmax(dim=2) * valid)
"""
SHARES = """        parts = value[rows, index].unflatten(-1, (HEADS, -1))  # (B, N, K, H, D / H)
        mixed: Tensor = (shares.unsqueeze(-1) * parts).sum(dim=2)
        return x + mixed.flatten(2)
"""
READOUT = "        mean = (x * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)\n"
LARGEST = """        largest = torch.where(there, x, -torch.inf).amax(dim=1)
        largest = torch.where(there.any(dim=1), largest, 0.0)
"""
INSTANCE = "        self.linear = nn.Linear(5, DIM, bias=False)\n"

DEFECTS = [
    defect(
        "adjacency without loops",
        "position",
        "dense = torch.eye(NODES)",
        "dense = torch.zeros(NODES, NODES)",
        "skeleton.norm",
    ),
    defect(
        "adjacency in one direction",
        "position",
        "dense[a, b] = dense[b, a] = 1.0",
        "dense[a, b] = 1.0",
        "skeleton.norm",
    ),
    defect("a bone to another joint", "position", "(4, 5), (1, 6)", "(4, 5), (0, 6)", "skeleton.norm"),
    defect(
        "divided by the degree on one side",
        "normalisation",
        "(root[:, None] * dense * root)",
        "(root[:, None] ** 2 * dense)",
        "skeleton.norm",
    ),
    defect("adjacency not normalised", "normalisation", "(root[:, None] * dense * root)", "dense", "skeleton.norm"),
    defect(
        "features flattened before nodes",
        "axis",
        "x.transpose(0, 1).flatten(1)  #",
        "x.reshape(NODES, -1)  #",
        "skeleton.norm",
        also=(Edit(".unflatten(1, (-1, DIM)).transpose(0, 1) + self.bias", ".reshape(x.shape) + self.bias"),),
    ),
    defect(
        "bias before the mixing",
        "scale or constant",
        "x = self.linear(x)",
        "x = self.linear(x) + self.bias",
        "skeleton.norm",
        also=(Edit(".transpose(0, 1) + self.bias", ".transpose(0, 1)"),),
    ),
    defect(
        "norm over nodes for features",
        "normalisation",
        "self.norm(x.transpose(1, 2)).transpose(1, 2)",
        "self.norm(x)",
        "skeleton.norm",
        also=(Edit("nn.BatchNorm1d(DIM)", "nn.BatchNorm1d(NODES)"),),
    ),
    defect(
        "activation before the norm",
        "activation",
        "functional.relu(self.norm(x.transpose(1, 2)).transpose(1, 2))",
        "self.norm(functional.relu(x).transpose(1, 2)).transpose(1, 2)",
        "skeleton.norm",
    ),
    defect("mean over the padding", "pooling", MEAN, "mean = messages.mean(dim=2)", "mean.other"),
    defect(
        "sum for the mean of neighbours",
        "pooling",
        "(messages * valid).sum(dim=2) / valid.sum(dim=2).clamp(min=1)",
        "(messages * valid).sum(dim=2)",
        "mean.other",
    ),
    defect(
        "padding reads the last node",
        "masking",
        "        padded = functional.pad(x, (0, 0, 0, 1))  # (B, N + 1, D)\n",
        "        padded = torch.cat([x, x[:, -1:]], dim=1)\n",
        "mean.other",
        also=(Edit("(messages * valid).sum", "messages.sum"),),
    ),
    defect(
        "count one too many",
        "scale or constant",
        "valid.sum(dim=2).clamp(min=1)",
        "(valid.sum(dim=2) + 1)",
        "mean.other",
    ),
    defect(
        "neighbours of another example",
        "axis",
        "messages = padded[rows, neighbours]",
        "messages = padded[rows.flip(0), neighbours]",
        "mean.other",
    ),
    defect(
        "own and others' weights exchanged",
        "sharing",
        "self.own(x) + self.other(mean)",
        "self.own(mean) + self.other(x)",
        "mean.own",
    ),
    defect("maximum of neighbours", "pooling", MEAN, "mean = messages.amax(dim=2)", "mean.other"),
    defect(
        "length by the sum", "normalisation", "self.other(mean)), dim=-1)", "self.other(mean)), p=1.0, dim=-1)", "mean"
    ),
    defect("lengths over nodes", "axis", "self.other(mean)), dim=-1)", "self.other(mean)), dim=1)", "mean"),
    defect(
        "padding takes part in the shares",
        "masking",
        ".masked_fill(~valid, torch.finfo(x.dtype).min)",
        "",
        "attention.dropout",
    ),
    defect("shares over heads", "axis", "scores.softmax(dim=2)", "scores.softmax(dim=3)", "attention.dropout"),
    defect(
        "slope of the other framework",
        "activation",
        "leaky_relu(scores, 0.2)",
        "leaky_relu(scores)",
        "attention.dropout",
    ),
    defect("ELU for ReLU", "activation", "functional.relu", "functional.elu", "skeleton"),
    defect("residual lost", "residual", "return x + mixed", "return mixed", "attention"),
    defect(
        "own value for the neighbours'",
        "attention",
        "value[rows, index]",
        "value.unsqueeze(2).expand(-1, -1, 3, -1)",
        "attention",
    ),
    defect(
        "readout over nodes that aren't there",
        "pooling",
        "(x * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)",
        "x.mean(dim=1)",
        "head",
    ),
    defect(
        "zeros take part in the maximum",
        "pooling",
        "torch.where(there, x, -torch.inf).amax(dim=1)",
        "(x * there).amax(dim=1)",
        "head",
    ),
    defect("parts of the readout exchanged", "concat order", "[mean, largest]", "[largest, mean]", "head"),
    defect(
        "scores without gradient",
        "detached gradient",
        "scores.softmax(dim=2)",
        "scores.detach().softmax(dim=2)",
        "skeleton.linear",
        "attention.source",
    ),
    defect(
        "messages without gradient",
        "detached gradient",
        "padded[rows, neighbours]",
        "padded.detach()[rows, neighbours]",
        "skeleton.linear",
        "skeleton.norm",
    ),
    defect("dropout of shares lost", "dropout", "nn.Dropout(0.2)", "nn.Identity()", "attention.dropout"),
]

REWRITES = [
    rewrite(
        "dense adjacency", (".to_sparse()", ""), ("torch.sparse.mm(self.adjacency, flat)", "self.adjacency @ flat")
    ),
    rewrite(
        "dense adjacency, by einsum",
        (".to_sparse()", ""),
        (FLAT, '        x = torch.einsum("mn,bnd->bmd", self.adjacency, x) + self.bias\n'),
    ),
    rewrite("sparse by the plain product", ("torch.sparse.mm(self.adjacency, flat)", "torch.mm(self.adjacency, flat)")),
    rewrite("compressed rows", (".to_sparse()", ".to_sparse_csr()")),
    rewrite("adjacency part of the checkpoint", ("skeleton(), persistent=False", "skeleton()")),
    rewrite(
        "adjacency as index and weight",
        (
            BUFFER,
            """        sparse = skeleton().coalesce()
        self.register_buffer("index", sparse.indices(), persistent=False)
        self.register_buffer("weight", sparse.values(), persistent=False)
""",
        ),
        (
            FLAT,
            """        target, source = self.index
        sent = x[:, source] * self.weight[:, None]
        x = torch.zeros_like(x).index_add(1, target, sent) + self.bias
""",
        ),
    ),
    rewrite(
        "adjacency by scatter",
        (
            FLAT,
            """        sparse = self.adjacency.coalesce()
        (target, source), weight = sparse.indices(), sparse.values()
        sent = x[:, source] * weight[:, None]
        x = torch.zeros_like(x).scatter_add(1, target[None, :, None].expand_as(sent), sent) + self.bias
""",
        ),
    ),
    rewrite("adjacency made in the forward", (BUFFER, ""), ("self.adjacency", "skeleton().to(flat)")),
    rewrite(
        "adjacency kept at first use",
        (BUFFER, "        self.kept: Tensor | None = None\n"),
        ("torch.sparse.mm(self.adjacency, flat)", "torch.sparse.mm(self.kept, flat)"),
        (
            "        x = self.linear(x)\n        flat",
            "        x = self.linear(x)\n        if self.kept is None:\n"
            "            self.kept = skeleton().to(x)\n        flat",
        ),
    ),
    rewrite(
        "adjacency as a plain attribute",
        (BUFFER, "        self.adjacency = skeleton()\n"),
        ("torch.sparse.mm(self.adjacency, flat)", "torch.sparse.mm(self.adjacency.to(x), flat)"),
    ),
    rewrite(
        "mixed graph by graph",
        (FLAT, "        x = torch.stack([torch.sparse.mm(self.adjacency, one) for one in x]) + self.bias\n"),
    ),
    rewrite(
        "mixed before the features",
        (
            "        x = self.linear(x)\n        flat = x.transpose(0, 1).flatten(1)  # (N, B * D)\n",
            "        flat = x.transpose(0, 1).flatten(1)  # (N, B * 5)\n",
        ),
        (
            ".unflatten(1, (-1, DIM)).transpose(0, 1) + self.bias",
            ".unflatten(1, (-1, 5)).transpose(0, 1)\n        x = self.linear(x) + self.bias",
        ),
    ),
    rewrite(
        "bias in the product",
        (
            FLAT,
            """        flat = x.transpose(0, 1).flatten(1)
        bias = self.bias.repeat(len(x)).expand(NODES, -1)
        x = torch.sparse.addmm(bias, self.adjacency, flat).unflatten(1, (-1, DIM)).transpose(0, 1)
""",
        ),
    ),
    rewrite(
        "norm of flattened nodes",
        ("self.norm(x.transpose(1, 2)).transpose(1, 2)", "self.norm(x.flatten(0, 1)).unflatten(0, (-1, NODES))"),
    ),
    rewrite(
        "messages by gather",
        ("padded[rows, neighbours]", "self.pick(padded, neighbours)"),
        (
            MEAN_FORWARD,
            """    def pick(self, padded: Tensor, neighbours: Tensor) -> Tensor:
        index = neighbours.flatten(1).unsqueeze(-1).expand(-1, -1, padded.shape[-1])
        return padded.gather(1, index).unflatten(1, neighbours.shape[1:])

"""
            + MEAN_FORWARD,
        ),
    ),
    rewrite(
        "messages by one hot",
        (
            MESSAGES,
            """        hot = functional.one_hot(neighbours, NODES + 1)[..., :NODES].sum(dim=2).to(x.dtype)  # (B, N, N)
        mean = hot @ x / hot.sum(dim=2, keepdim=True).clamp(min=1)
""",
        ),
    ),
    rewrite(
        "messages as one list of edges",
        (
            MESSAGES,
            """        graph, target, slot = (neighbours < NODES).nonzero(as_tuple=True)
        source = neighbours[graph, target, slot]
        total = torch.zeros_like(x).index_put((graph, target), x[graph, source], accumulate=True)
        mean = total / (neighbours < NODES).sum(dim=2, keepdim=True).clamp(min=1)
""",
        ),
    ),
    rewrite(
        "messages of each graph by vmap",
        ("padded[rows, neighbours]", "torch.vmap(lambda one, index: one[index])(padded, neighbours)"),
    ),
    rewrite(
        "mean by masked tensors' sum",
        (
            MEAN,
            """messages = messages.masked_fill(~valid, 0.0)
        mean = messages.sum(dim=2).div(valid.sum(dim=2).clamp(min=1).to(x.dtype))""",
        ),
    ),
    rewrite(
        "the two ends exchange names",
        (
            "self.target(x).unsqueeze(2) + self.source(x)[rows, index]",
            "self.source(x).unsqueeze(2) + self.target(x)[rows, index]",
        ),
    ),
    rewrite(
        "mean of others first",
        (MEAN, "counts = valid.sum(dim=2).clamp(min=1)"),
        (
            "self.other(mean)), dim=-1)",
            "self.other(messages * valid).sum(dim=2) / counts), dim=-1)",
        ),
    ),
    rewrite(
        "masked by infinity, then made numbers",
        (
            SOFTMAX,
            """        scores = functional.leaky_relu(scores, 0.2).masked_fill(~valid, -torch.inf)
        scores = torch.where(valid.any(dim=2, keepdim=True), scores, 0.0)
        shares = self.dropout(scores.softmax(dim=2) * valid)
""",
        ),
    ),
    rewrite(
        "shares by hand",
        (
            SOFTMAX,
            """        scores = functional.leaky_relu(scores, 0.2)
        largest = scores.masked_fill(~valid, torch.finfo(x.dtype).min).amax(dim=2, keepdim=True).detach()
        grown = torch.exp((scores - largest).masked_fill(~valid, -torch.inf))
        shares = self.dropout(grown / grown.sum(dim=2, keepdim=True).clamp(min=1e-16))
""",
        ),
    ),
    rewrite(
        "shares by einsum",
        (
            SHARES,
            """        parts = value[rows, index].unflatten(-1, (HEADS, -1))
        return x + torch.einsum("bnkh,bnkhd->bnhd", shares, parts).flatten(2)
""",
        ),
    ),
    rewrite(
        "largest by filling with the least number",
        (
            LARGEST,
            """        largest = x.masked_fill(~there, torch.finfo(x.dtype).min).amax(dim=1)
        largest = largest.masked_fill(~there.any(dim=1), 0.0)
""",
        ),
    ),
    rewrite(
        "largest graph by graph",
        (
            LARGEST,
            """        largest = torch.stack([
            one[seen.bool()].amax(dim=0) if seen.any() else torch.zeros_like(one[0]) for one, seen in zip(x, mask)
        ])
""",
        ),
    ),
    rewrite(
        "parts registered in reverse",
        (
            """        self.skeleton = SkeletonConv()
        self.mean = MeanAggregation()
        self.attention = EdgeAttention()
""",
            """        self.attention = EdgeAttention()
        self.mean = MeanAggregation()
        self.skeleton = SkeletonConv()
""",
        ),
    ),
]
