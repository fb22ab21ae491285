"""Cases of momentum contrast."""

from defect_zoo.case import Edit, defect, rewrite

KEYS = "key_encoder.conv"
UPDATE = "            key.data = key.data * self.momentum + query.data * (1 - self.momentum)\n"
ENQUEUE = """\
        places = (int(self.pointer) + torch.arange(len(keys))) % QUEUE
        self.queue[:, places] = keys.T.to(self.queue.dtype)
        self.pointer[0] = (int(self.pointer) + len(keys)) % QUEUE
"""

DEFECTS = [
    defect(
        "keys follow the wrong way round",
        "train or eval mode",
        "key.data * self.momentum + query.data * (1 - self.momentum)",
        "key.data * (1 - self.momentum) + query.data * self.momentum",
        "key_encoder.conv",
    ),
    defect("momentum of another paper", "scale or constant", "momentum: float = 0.9", "momentum: float = 0.99", KEYS),
    defect(
        "keys never follow",
        "train or eval mode",
        "            if self.training:\n                self.update_keys()\n",
        "",
        KEYS,
    ),
    defect(
        "keys follow in eval mode, too",
        "train or eval mode",
        "            if self.training:\n                self.update_keys()\n",
        "            self.update_keys()\n",
        KEYS,
    ),
    defect(
        "keys follow behind their use",
        "train or eval mode",
        "            if self.training:\n                self.update_keys()\n"
        "            key = self.key_encoder(second)\n",
        "            key = self.key_encoder(second)\n            if self.training:\n"
        "                self.update_keys()\n",
        KEYS,
    ),
    defect(
        "queries follow the keys",
        "train or eval mode",
        UPDATE,
        "            query.data = query.data * self.momentum + key.data * (1 - self.momentum)\n",
        KEYS,
        "query_encoder.conv",
    ),
    defect(
        "keys by the query encoder",
        "sharing",
        "key = self.key_encoder(second)",
        "key = self.query_encoder(second)",
        KEYS,
        "key_encoder",
        "query_encoder.conv",
    ),
    defect("keys of the query's image", "sharing", "self.key_encoder(second)", "self.key_encoder(first)", KEYS),
    defect(
        "gradient through the keys",
        "detached gradient",
        "        with torch.no_grad():\n            if self.training:\n"
        "                self.update_keys()\n            key",
        "        if True:\n            if self.training:\n                self.update_keys()\n            key",
        "key_encoder.bn",
        "key_encoder.conv",
        "key_encoder.fc2",
        "key_encoder",
        also=(Edit("parameter.requires_grad = False", "parameter.requires_grad = True"),),
    ),
    defect(
        "queue filled in eval mode, too",
        "buffers",
        "        if self.training:\n            self.enqueue(key)\n",
        "        self.enqueue(key)\n",
        "output",
    ),
    defect("queue never filled", "buffers", "        if self.training:\n            self.enqueue(key)\n", "", "output"),
    defect("queries enqueued", "buffers", "self.enqueue(key)", "self.enqueue(query)", "output"),
    defect(
        "queue filled before its use",
        "buffers",
        "        negative = query @",
        "        if self.training:\n            self.enqueue(key)\n        negative = query @",
        "output",
        also=(Edit("temperature\n        if self.training:\n            self.enqueue(key)\n", "temperature\n"),),
    ),
    defect(
        "pointer stands still",
        "buffers",
        "        self.pointer[0] = (int(self.pointer) + len(keys)) % QUEUE\n",
        "",
        "output",
    ),
    defect("a warmer softmax", "scale or constant", "temperature: float = 0.2", "temperature: float = 0.07", "output"),
    defect("negatives first", "concat order", "[positive, negative]", "[negative, positive]", "output"),
    defect(
        "predictor left out",
        "readout",
        "functional.normalize(self.predictor(embedding), dim=1)",
        "embedding",
        "output",
        "predictor",
    ),
    defect(
        "queries not of length one",
        "normalisation",
        "functional.normalize(self.predictor(embedding), dim=1)",
        "self.predictor(embedding)",
        "output",
    ),
    defect(
        "embedding detached",
        "detached gradient",
        "self.predictor(embedding)",
        "self.predictor(embedding.detach())",
        "query_encoder.conv",
        "query_encoder.fc2",
        "query_encoder",
    ),
    defect(
        "key encoder keeps its statistics",
        "train or eval mode",
        "            key = self.key_encoder(second)\n",
        "            self.key_encoder.eval()\n            key = self.key_encoder(second)\n",
        "key_encoder.bn",
    ),
]

REWRITES = [
    rewrite("update in place", (UPDATE, "            key.mul_(self.momentum).add_(query, alpha=1 - self.momentum)\n")),
    rewrite(
        "update of the data in place",
        (UPDATE, "            key.data.mul_(self.momentum).add_(query.data, alpha=1 - self.momentum)\n"),
    ),
    rewrite("update by copy", (UPDATE, "            key.copy_(key * self.momentum + query * (1 - self.momentum))\n")),
    rewrite("update by lerp", (UPDATE, "            key.lerp_(query, 1 - self.momentum)\n")),
    rewrite(
        "update over all at once",
        (
            "        for query, key in zip(self.query_encoder.parameters(), "
            "self.key_encoder.parameters(), strict=True):\n" + UPDATE,
            "        keys, queries = list(self.key_encoder.parameters()), list(self.query_encoder.parameters())\n"
            "        torch._foreach_lerp_(keys, queries, 1 - self.momentum)\n",
        ),
    ),
    rewrite(
        "update through the state",
        (
            "        for query, key in zip(self.query_encoder.parameters(), "
            "self.key_encoder.parameters(), strict=True):\n" + UPDATE,
            "        queries = self.query_encoder.state_dict()\n"
            "        for name, key in self.key_encoder.named_parameters():\n"
            "            key.mul_(self.momentum).add_(queries[name], alpha=1 - self.momentum)\n",
        ),
    ),
    rewrite(
        "frozen by one call",
        (
            "        for parameter in self.key_encoder.parameters():\n            parameter.requires_grad = False\n",
            "        self.key_encoder.requires_grad_(False)\n",
        ),
    ),
    rewrite(
        "key encoder built and loaded",
        (
            "self.key_encoder = copy.deepcopy(self.query_encoder)",
            "self.key_encoder = Encoder()\n        self.key_encoder.load_state_dict(self.query_encoder.state_dict())",
        ),
    ),
    rewrite(
        "key encoder's data copied one by one",
        (
            "        self.key_encoder = copy.deepcopy(self.query_encoder)\n"
            "        for parameter in self.key_encoder.parameters():\n            parameter.requires_grad = False\n",
            "        self.key_encoder = Encoder()\n"
            "        for one, other in zip(self.query_encoder.parameters(), "
            "self.key_encoder.parameters(), strict=True):\n"
            "            other.data.copy_(one.data)\n            other.requires_grad = False\n",
        ),
    ),
    rewrite(
        "queue replaced",
        (
            "        self.queue[:, places] = keys.T.to(self.queue.dtype)\n",
            "        queue = self.queue.clone()\n        queue[:, places] = keys.T.to(queue.dtype)\n"
            "        self.queue = queue\n",
        ),
    ),
    rewrite(
        "queue by index_copy",
        (
            "        self.queue[:, places] = keys.T.to(self.queue.dtype)\n",
            "        self.queue.index_copy_(1, places.to(keys.device), keys.T.to(self.queue.dtype))\n",
        ),
    ),
    rewrite(
        "pointer replaced",
        (
            "self.pointer[0] = (int(self.pointer) + len(keys)) % QUEUE",
            "self.pointer = (self.pointer + len(keys)) % QUEUE",
        ),
    ),
    rewrite(
        "pointer filled",
        (
            "self.pointer[0] = (int(self.pointer) + len(keys)) % QUEUE",
            "self.pointer.add_(len(keys)).remainder_(QUEUE)",
        ),
    ),
    rewrite(
        "queue the other way round",
        (
            'self.register_buffer("queue", functional.normalize(torch.randn(DIM, QUEUE), dim=0))',
            'self.register_buffer("queue", functional.normalize(torch.randn(DIM, QUEUE), dim=0).T.contiguous().T)',
        ),
    ),
    rewrite(
        "logits by einsum",
        (
            "(query * key).sum(dim=1, keepdim=True)",
            'torch.einsum("nc,nc->n", [query, key]).unsqueeze(-1)',
        ),
        ("query @ self.queue.clone().detach()", 'torch.einsum("nc,ck->nk", [query, self.queue.clone().detach()])'),
    ),
    rewrite(
        "logits filled in",
        (
            "logits = torch.cat([positive, negative], dim=1) / self.temperature",
            "logits = torch.cat([positive, negative], dim=1)\n        logits /= self.temperature",
        ),
    ),
    rewrite(
        "keys detached instead of no_grad",
        (
            "        with torch.no_grad():\n            if self.training:\n"
            "                self.update_keys()\n            key = self.key_encoder(second)\n",
            "        if self.training:\n            self.update_keys()\n"
            "        key = self.key_encoder(second).detach()\n",
        ),
    ),
    rewrite(
        "update in a pre-hook of the key encoder",
        (
            "            if self.training:\n                self.update_keys()\n",
            "",
        ),
        (
            "        self.predictor = nn",
            "        self.key_encoder.register_forward_pre_hook("
            "lambda *_: self.update_keys() if self.training else None)\n"
            "        self.predictor = nn",
        ),
    ),
]
