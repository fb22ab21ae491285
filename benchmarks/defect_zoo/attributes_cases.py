"""Cases of the classifier of sets; its rewrites are about what is kept on modules, and how."""

from defect_zoo.case import Edit, defect, rewrite

KEPT = "        self.act = nn.GELU()\n"
FIRST = "x = self.act(self.embed(members) + self.kind(kinds))"
SECOND = "x = x + self.act(self.mix(x))"
LAST = "logits: Tensor = self.head(self.pool(x).flatten(1))"
CLASS = "class SetNet(nn.Module):"
RETURN = "    return SetNet(Settings())\n"
SIGNATURE = '''    def forward(self, members: Tensor, kinds: Tensor) -> Tensor:
        """Logits."""
'''
DROPPED = "weights = functional.dropout(weights, self.settings.rate, self.training)"
IMPORT = "from dataclasses import dataclass\n"

DEFECTS = [
    defect(
        "kinds forgotten",
        "residual",
        "self.embed(members) + self.kind(kinds)",
        "self.embed(members) + 0 * self.kind(kinds)",
        "act",
    ),
    defect("kinds of the next member", "axis", "self.kind(kinds)", "self.kind(kinds.roll(1, dims=1))", "kind"),
    defect(
        "activation before the sum",
        "activation",
        "self.act(self.embed(members) + self.kind(kinds))",
        "(self.act(self.embed(members)) + self.kind(kinds))",
        "act",
    ),
    defect("second activation lost", "activation", SECOND, "x = x + self.mix(x)", "act", "pool.key"),
    defect(
        "activation of the second call another",
        "activation",
        SECOND,
        "x = x + functional.silu(self.mix(x))",
        "act",
        "pool.key",
    ),
    defect("approximate activation", "activation", "nn.GELU()", 'nn.GELU(approximate="tanh")', "act"),
    defect("residual lost", "residual", SECOND, "x = self.act(self.mix(x))", "pool.key"),
    defect(
        "residual of what is activated", "residual", SECOND, "y = self.mix(x)\n        x = y + self.act(y)", "pool.key"
    ),
    defect("softmax over queries", "axis", "softmax(dim=-1)", "softmax(dim=-2)", "pool.norm"),
    defect("scaled by the whole width", "attention", "q.shape[-1] ** 0.5", "x.shape[-1] ** 0.5", "pool.norm"),
    defect(
        "keys for values",
        "attention",
        "(weights @ v)",
        "(weights @ k)",
        "pool.norm",
        also=(Edit("v = self.value(x)", "v = 0 * self.value(x)"), Edit("weights @ k", "weights @ (k + v)")),
    ),
    defect(
        "heads of queries split the wrong way",
        "head split",
        "self.queries.view(2, heads, -1).transpose(0, 1)",
        "self.queries.view(2, -1, heads).permute(2, 0, 1)",
        "pool.norm",
    ),
    defect(
        "heads put together the wrong way",
        "head split",
        "(weights @ v).transpose(1, 2).flatten(2)",
        "(weights @ v).permute(0, 2, 3, 1).flatten(2)",
        "pool.norm",
    ),
    defect(
        "queries without gradient",
        "detached gradient",
        "q = self.queries.view",
        "q = self.queries.detach().view",
        "pool",
    ),
    defect("dropout's rate", "dropout", "rate: float = 0.1", "rate: float = 0.2", "pool.norm"),
    defect("dropout stays on", "dropout", "self.settings.rate, self.training)", "self.settings.rate)", "pool.norm"),
    defect(
        "norm lost",
        "normalisation",
        "self.norm((weights @ v).transpose(1, 2).flatten(2))",
        "(weights @ v).transpose(1, 2).flatten(2)",
        "pool.norm",
        "pool",
    ),
    defect(
        "first query only",
        "readout",
        "self.pool(x).flatten(1)",
        "self.pool(x)[:, :1].repeat(1, 2, 1).flatten(1)",
        "head",
    ),
    defect("one head", "head split", "heads: int = 2", "heads: int = 1", "pool.norm"),
]

REWRITES = [
    rewrite("a list named modules", (KEPT, KEPT + '        self.modules = ["embed", "mix"]  # type: ignore\n')),
    rewrite("attributes named as methods", (KEPT, KEPT + '        self.type, self.half, self.float = "set", 4, 0.5\n')),
    rewrite("a number named share_memory", (KEPT, KEPT + "        self.share_memory = 0\n")),
    rewrite(
        "a counter of calls",
        (KEPT, KEPT + "        self.calls = 0\n"),
        (f"        {FIRST}\n", f"        self.calls += 1\n        {FIRST}\n"),
    ),
    rewrite(
        "a counter of calls as a tensor",
        (KEPT, KEPT + "        self.calls = torch.zeros((), dtype=torch.long)\n"),
        (f"        {FIRST}\n", f"        self.calls = self.calls + 1\n        {FIRST}\n"),
    ),
    rewrite(
        "a lock",
        (KEPT, KEPT + "        self.lock = threading.Lock()\n"),
        (f"        {FIRST}\n", f"        with self.lock:\n            {FIRST}\n"),
        (IMPORT, "import threading\n" + IMPORT),
    ),
    rewrite(
        "a logger",
        (KEPT, KEPT + "        self.log = logging.getLogger(__name__)\n"),
        (f"        {FIRST}\n", f'        self.log.debug("members %s", tuple(members.shape))\n        {FIRST}\n'),
        (IMPORT, "import logging\n" + IMPORT),
    ),
    rewrite("a generator of random numbers", (KEPT, KEPT + "        self.random = torch.Generator().manual_seed(0)\n")),
    rewrite(
        "an open iterator",
        (KEPT, KEPT + "        self.numbers = itertools.count()\n"),
        (f"        {FIRST}\n", f"        next(self.numbers)\n        {FIRST}\n"),
        (IMPORT, "import itertools\n" + IMPORT),
    ),
    rewrite(
        "the parent in a list",
        (
            "        self.pool = Pool(settings)\n",
            "        self.pool = Pool(settings)\n        self.pool.parent = [self]\n",
        ),
    ),
    rewrite(
        "the parent by a weak reference",
        (
            "        self.pool = Pool(settings)\n",
            "        self.pool = Pool(settings)\n        self.pool.parent = weakref.ref(self)\n",
        ),
        (DROPPED, DROPPED.replace("self.training", "self.parent().training")),
        (IMPORT, "import weakref\n" + IMPORT),
    ),
    rewrite(
        "settings by the parent",
        (
            "        self.pool = Pool(settings)\n",
            '        self.pool = Pool(settings)\n        object.__setattr__(self.pool, "parent", self)\n',
        ),
        (DROPPED, DROPPED.replace("self.settings.rate", "self.parent.settings.rate")),
    ),
    rewrite(
        "layers in a list as well",
        (KEPT, KEPT + "        self.order: list[nn.Module] = []\n"),
        ("        self.head = nn", "        self.order += [self.embed, self.mix]\n        self.head = nn"),
        ("self.mix(x)", "self.order[1](x)"),
    ),
    rewrite(
        "layers in a map as well",
        (
            "        self.head = nn",
            '        self.table = {"embed": self.embed, "mix": self.mix}\n        self.head = nn',
        ),
        ("self.mix(x)", 'self.table["mix"](x)'),
    ),
    rewrite(
        "layers by a method kept in a map",
        ("        self.head = nn", '        self.table = {"mix": self.mix.forward}\n        self.head = nn'),
        ("self.mix(x)", 'self.table["mix"](x)'),
    ),
    rewrite(
        "activation by a table of functions",
        (FIRST, "x = ACTIVATIONS[self.name](self.embed(members) + self.kind(kinds))"),
        (SECOND, "x = x + ACTIVATIONS[self.name](self.mix(x))"),
        (KEPT, '        self.name = "gelu"\n'),
        (CLASS, 'ACTIVATIONS = {"gelu": functional.gelu, "silu": functional.silu}\n\n\n' + CLASS),
    ),
    rewrite("activation as an attribute that is a function", (KEPT, "        self.act = functional.gelu\n")),
    rewrite("activation as a lambda", (KEPT, "        self.act = lambda x: functional.gelu(x)\n")),
    rewrite(
        "activation of its own for each call",
        (KEPT, "        self.act, self.act2 = nn.GELU(), nn.GELU()\n"),
        (SECOND, "x = x + self.act2(self.mix(x))"),
    ),
    rewrite(
        "activation of a class of its own",
        (KEPT, "        self.act = Activation()\n"),
        (
            CLASS,
            '''class Activation(nn.Module):
    """GELU by its error function."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 0.5 * (1.0 + torch.erf(x / 2**0.5))


'''
            + CLASS,
        ),
    ),
    rewrite(
        "queries by a property",
        ("        self.queries = nn.Parameter", "        self.raw = nn.Parameter"),
        (
            '    def forward(self, x: Tensor) -> Tensor:\n        """(B, N, D) -> (B, 2, D)."""\n',
            '''    @property
    def queries(self) -> Tensor:
        """What looks."""
        return self.raw

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, 2, D)."""
''',
        ),
    ),
    rewrite(
        "queries in a list of parameters",
        (
            "self.queries = nn.Parameter(torch.randn(2, settings.width))",
            "self.queries = nn.ParameterList([torch.randn(2, settings.width)])",
        ),
        ("self.queries.view", "self.queries[0].view"),
    ),
    rewrite(
        "queries in a map of parameters",
        (
            "self.queries = nn.Parameter(torch.randn(2, settings.width))",
            'self.queries = nn.ParameterDict({"seeds": torch.randn(2, settings.width)})',
        ),
        ("self.queries.view", 'self.queries["seeds"].view'),
    ),
    rewrite(
        "queries as an embedding",
        (
            "self.queries = nn.Parameter(torch.randn(2, settings.width))",
            "self.queries = nn.Embedding(2, settings.width)",
        ),
        ("self.queries.view", "self.queries(torch.arange(2)).view"),
    ),
    rewrite(
        "heads kept by a cached property",
        ("        heads = self.settings.heads\n", "        heads = self.heads\n"),
        (
            '    def forward(self, x: Tensor) -> Tensor:\n        """(B, N, D) -> (B, 2, D)."""\n',
            '''    @functools.cached_property
    def heads(self) -> int:
        """How many look apart."""
        return self.settings.heads

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, 2, D)."""
''',
        ),
        (IMPORT, "import functools\n" + IMPORT),
    ),
    rewrite(
        "arguments handed on",
        (
            SIGNATURE,
            '''    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        """Logits."""
        return self.run(*args, **kwargs)

    def run(self, members: Tensor, kinds: Tensor) -> Tensor:
''',
        ),
    ),
    rewrite(
        "own way to set attributes",
        (
            CLASS,
            '''class Base(nn.Module):
    """Notes what is set."""

    def __setattr__(self, name: str, value: object) -> None:
        self.__dict__.setdefault("names", []).append(name)
        super().__setattr__(name, value)


class SetNet(Base):''',
        ),
    ),
    rewrite(
        "a copy by its settings",
        (
            SIGNATURE,
            """    def __deepcopy__(self, memo: dict) -> nn.Module:
        copied = type(self)(self.settings)
        copied.load_state_dict(self.state_dict())
        memo[id(self)] = copied
        return copied

"""
            + SIGNATURE,
        ),
    ),
    rewrite(
        "layers made on a later call of a method",
        ("        self.head = nn.Linear(2 * settings.width, 3)\n", "        self.finish()\n"),
        (
            SIGNATURE,
            '''    def finish(self, prefix: str = "") -> None:
        """Make what comes last."""
        self.add_module(f"{prefix}head", nn.Linear(2 * self.settings.width, 3))

'''
            + SIGNATURE,
        ),
    ),
    rewrite(
        "settings as a map",
        ("self.settings = settings\n        self.act", "self.settings = vars(settings)\n        self.act"),
    ),
    rewrite("built from a class by name", (RETURN, '    return globals()["SetNet"](Settings(**{"width": 8}))\n')),
    rewrite(
        "built in a sequence with nothing",
        (
            RETURN,
            """    class Sole(nn.Sequential):
        def forward(self, *args: Tensor) -> Tensor:
            for module in self:
                args = (module(*args),)
            return args[0]

    return Sole(SetNet(Settings()), nn.Identity())
""",
        ),
    ),
    rewrite(
        "frozen and set free again",
        (RETURN, "    return SetNet(Settings()).requires_grad_(False).requires_grad_(True)\n"),
    ),
    rewrite(
        "built, saved and loaded",
        (
            RETURN,
            """    net = SetNet(Settings())
    net.load_state_dict({key: value.clone() for key, value in SetNet(Settings()).state_dict().items()})
    return net
""",
        ),
    ),
    rewrite(
        "built as a copy",
        (RETURN, "    return copy.deepcopy(SetNet(Settings()))\n"),
        (IMPORT, "import copy\n" + IMPORT),
    ),
]
