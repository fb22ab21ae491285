"""Cases of the wrapped classifier."""

from defect_zoo.case import defect, rewrite

CALL = '''    def __call__(self, image: Tensor) -> Tensor:
        """Calibrated logits."""
        logits: Tensor = super().__call__(image)
        return logits / self.temperature.clamp(min=0.1)
'''
HOOK = "self.block1.register_forward_hook(self.adapt)"
BLOCKS = "x = self.block2(self.block1(x))"
LOW_RANK = """    original = linear.forward

    def forward(x: Tensor) -> Tensor:
        added: Tensor = linear.up(functional.dropout(linear.down(x), 0.1, linear.training))  # type: ignore[operator]
        return original(x) + 0.5 * added

    linear.forward = forward  # type: ignore[method-assign, assignment]
"""
LAYERS_ = """    linear.down = nn.Linear(linear.in_features, rank, bias=False)
    linear.up = nn.Linear(rank, linear.out_features, bias=False)
"""
DECORATED = '''    @standardised
    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
'''
PLAIN = '''    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
'''
HEAD = "logits: Tensor = self.head(functional.relu(self.hidden(x)))"
BODY = """        x = functional.relu(self.stem(image))
        x = self.block2(self.block1(x))
        x = functional.adaptive_avg_pool2d(x, 2).flatten(1)
        logits: Tensor = self.head(functional.relu(self.hidden(x)))
        return logits
"""
RETURN = "    return Wrapped()\n"
RESIDUAL = "return x + torch.tanh(self.conv(self.norm(x)))"

DEFECTS = [
    defect(
        "one added after the call",
        "scale or constant",
        "return logits / self.temperature.clamp(min=0.1)",
        "return logits / self.temperature.clamp(min=0.1) + 1",
        "output",
    ),
    defect(
        "multiplied by the temperature",
        "scale or constant",
        "logits / self.temperature",
        "logits * self.temperature",
        "output",
    ),
    defect(
        "call no longer overridden",
        "scale or constant",
        "    def __call__(self, image",
        "    def call(self, image",
        "output",
    ),
    defect(
        "ReLU after the call",
        "activation",
        "return logits / self.temperature.clamp(min=0.1)",
        "return functional.relu(logits / self.temperature.clamp(min=0.1))",
        "output",
    ),
    defect(
        "softmax after the call",
        "activation",
        "return logits / self.temperature.clamp(min=0.1)",
        "return functional.softmax(logits / self.temperature.clamp(min=0.1), dim=1)",
        "output",
    ),
    defect(
        "temperature without gradient",
        "detached gradient",
        "logits / self.temperature.clamp",
        "logits / self.temperature.detach().clamp",
        "output",
    ),
    defect("decorator lost", "scale or constant", "    @standardised\n", "", "stem"),
    defect(
        "decorator twice", "scale or constant", "    @standardised\n", "    @standardised\n    @standardised\n", "stem"
    ),
    defect(
        "mean added for taken off",
        "scale or constant",
        "(image - self.mean) / self.std",
        "(image + self.mean) / self.std",
        "stem",
    ),
    defect(
        "scaled before shifted",
        "scale or constant",
        "(image - self.mean) / self.std",
        "(image / self.std - self.mean)",
        "stem",
    ),
    defect("hook never registered", "residual", f"        {HOOK}\n", "", "adapter", "block1"),
    defect(
        "hook on the other block",
        "residual",
        "self.block1.register_forward_hook",
        "self.block2.register_forward_hook",
        "adapter",
        "block1",
    ),
    defect(
        "hook on both blocks",
        "residual",
        HOOK,
        HOOK + "\n        self.block2.register_forward_hook(self.adapt)",
        "adapter",
        "block2",
    ),
    defect("hook registered twice", "residual", HOOK, HOOK + "\n        " + HOOK, "adapter", "block1"),
    defect(
        "hook returns nothing",
        "residual",
        "        return output + functional.gelu(self.adapter(output))",
        "        output + functional.gelu(self.adapter(output))",
        "block1",
    ),
    defect("hook replaces for adds", "residual", "return output + functional.gelu", "return functional.gelu", "block1"),
    defect(
        "hook before for behind",
        "residual",
        HOOK,
        "self.block1.register_forward_pre_hook(lambda block, args: self.adapt(block, args, args[0]))",
        "block1.norm",
        "adapter",
    ),
    defect(
        "adapter's output detached",
        "detached gradient",
        "functional.gelu(self.adapter(output))",
        "functional.gelu(self.adapter(output.detach()))",
        "stem",
        "block1.conv",
    ),
    defect(
        "adapter in train mode only",
        "train or eval mode",
        "        return output + functional.gelu",
        "        if not self.training:\n            return output\n        return output + functional.gelu",
        "adapter",
        "block1",
    ),
    defect(
        "approximate GELU in the hook",
        "activation",
        "functional.gelu(self.adapter(output))",
        'functional.gelu(self.adapter(output), approximate="tanh")',
        "block1",
    ),
    defect("low rank never added", "residual", "        add_low_rank(self.hidden, 3)\n", "", "hidden.down", "hidden"),
    defect("low rank at another scale", "scale or constant", "0.5 * added", "0.25 * added", "hidden"),
    defect(
        "low rank replaces for adds", "residual", "return original(x) + 0.5 * added", "return 0.5 * added", "hidden"
    ),
    defect(
        "low rank's dropout lost",
        "dropout",
        "functional.dropout(linear.down(x), 0.1, linear.training)",
        "linear.down(x)",
        "hidden.up",
    ),
    defect("low rank's dropout stays on", "dropout", "0.1, linear.training", "0.1, True", "hidden.up"),
    defect(
        "low rank added to the head",
        "residual",
        "add_low_rank(self.hidden, 3)",
        "add_low_rank(self.head, 3)",
        "hidden.down",
        "hidden",
    ),
    defect(
        "original layer detached",
        "detached gradient",
        "original(x) + 0.5",
        "original(x).detach() + 0.5",
        "stem",
        "hidden",
    ),
    defect(
        "blocks under no_grad",
        "detached gradient",
        f"        {BLOCKS}\n",
        "        with torch.no_grad():\n            x = self.block2(self.block1(x))\n",
        "stem",
        "block2.conv",
    ),
    defect(
        "first block's forward by another",
        "sharing",
        HOOK,
        HOOK + "\n        self.block1.forward = self.block2.forward",
        "block1.norm",
        "block2.norm",
    ),
    defect("residual lost", "residual", RESIDUAL, "return torch.tanh(self.conv(self.norm(x)))", "adapter"),
]

REWRITES = [
    rewrite(
        "call's code moved into forward",
        (CALL, ""),
        (
            "        return logits\n\n\ndef build",
            "        return logits / self.temperature.clamp(min=0.1)\n\n\ndef build",
        ),
    ),
    rewrite(
        "call's code moved into a hook",
        (
            CALL,
            """    def __init__(self) -> None:
        super().__init__()
        self.register_forward_hook(lambda module, args, logits: logits / module.temperature.clamp(min=0.1))
""",
        ),
    ),
    rewrite("forward called by name", ("super().__call__(image)", "self.forward(image)")),
    rewrite(
        "decorator's code moved into forward", (DECORATED, PLAIN + "        image = (image - self.mean) / self.std\n")
    ),
    rewrite(
        "decorator's code moved into a hook before",
        (DECORATED, PLAIN),
        (
            f"        {HOOK}\n",
            f"        {HOOK}\n"
            f"        self.register_forward_pre_hook(lambda module, args: ((args[0] - module.mean) / module.std,))\n",
        ),
    ),
    rewrite("decorator without functools", ("    @functools.wraps(forward)\n", "")),
    rewrite(
        "decorated on the instance",
        (DECORATED, PLAIN),
        (
            f"        {HOOK}\n",
            f"        {HOOK}\n        self.forward = functools.partial(standardised(type(self).forward), self)\n",
        ),
    ),
    rewrite(
        "standardised by a module",
        (DECORATED, PLAIN),
        ("functional.relu(self.stem(image))", "functional.relu(self.stem(self.standardise(image)))"),
        (
            f"        {HOOK}\n",
            f"""        {HOOK}

        class Standardise(nn.Module):
            def __init__(self, mean, std):
                super().__init__()
                self.register_buffer("mean", mean, persistent=False)
                self.register_buffer("std", std, persistent=False)

            def forward(self, image):
                return (image - self.mean) / self.std

        self.standardise = Standardise(self.mean, self.std)
""",
        ),
    ),
    rewrite(
        "hook's code moved into forward",
        (f"        {HOOK}\n", ""),
        (BLOCKS, "x = self.block1(x)\n        x = self.block2(self.adapt(self.block1, (), x))"),
    ),
    rewrite(
        "hook as a lambda over self",
        (
            HOOK,
            "self.block1.register_forward_hook(lambda _block, _args, out: out + functional.gelu(self.adapter(out)))",
        ),
    ),
    rewrite("hook as a partial", (HOOK, "self.block1.register_forward_hook(functools.partial(Wrapped.adapt, self))")),
    rewrite(
        "hook over a weak reference",
        (
            HOOK,
            "itself = weakref.ref(self)\n"
            "        self.block1.register_forward_hook(lambda *given: itself().adapt(*given))",
        ),
        ("import functools\n", "import functools\nimport weakref\n"),
    ),
    rewrite(
        "hook with keywords",
        (
            HOOK,
            "self.block1.register_forward_hook(\n"
            "            lambda block, args, kwargs, out: self.adapt(block, args, out), with_kwargs=True\n"
            "        )",
        ),
    ),
    rewrite(
        "hook by the block's name", (HOOK, 'dict(self.named_modules())["block1"].register_forward_hook(self.adapt)')
    ),
    rewrite(
        "hook on the next block's input",
        (HOOK, "self.block2.register_forward_pre_hook(lambda block, args: self.adapt(block, (), args[0]))"),
    ),
    rewrite(
        "hook set by the first forward",
        (f"        {HOOK}\n", "        self.installed = False\n"),
        (
            "        x = functional.relu(self.stem(image))\n",
            f"        if not self.installed:\n"
            f"            {HOOK}\n"
            f"            self.installed = True\n"
            f"        x = functional.relu(self.stem(image))\n",
        ),
    ),
    rewrite(
        "hook set and removed in each forward",
        (f"        {HOOK}\n", ""),
        (f"        {BLOCKS}\n", f"        handle = {HOOK}\n        {BLOCKS}\n        handle.remove()\n"),
    ),
    rewrite(
        "block's forward replaced for a hook",
        (
            HOOK,
            """inner = self.block1.forward
        self.block1.forward = lambda x: self.adapt(self.block1, (x,), inner(x))""",
        ),
    ),
    rewrite(
        "block's forward replaced by a bound method",
        (
            HOOK,
            """def forward(block: Block, x: Tensor) -> Tensor:
            return self.adapt(block, (x,), Block.forward(block, x))

        self.block1.forward = types.MethodType(forward, self.block1)""",
        ),
        ("import functools\n", "import functools\nimport types\n"),
    ),
    rewrite(
        "low rank as a class",
        (
            LOW_RANK,
            """    linear.__class__ = LowRank
""",
        ),
        (
            "def add_low_rank(",
            '''class LowRank(nn.Linear):
    """A linear layer with a product of two small ones added."""

    def forward(self, x: Tensor) -> Tensor:
        added = self.up(functional.dropout(self.down(x), 0.1, self.training))
        return super().forward(x) + 0.5 * added


def add_low_rank(''',
        ),
    ),
    rewrite(
        "low rank as a module around",
        ("        add_low_rank(self.hidden, 3)\n", "        self.hidden = LowRank(self.hidden)\n"),
        (
            "def add_low_rank(",
            '''class LowRank(nn.Module):
    """A linear layer with a product of two small ones added."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, 3, bias=False)
        self.up = nn.Linear(3, base.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        added = self.up(functional.dropout(self.down(x), 0.1, self.training))
        return self.base(x) + 0.5 * added


def add_low_rank(''',
        ),
    ),
    rewrite(
        "low rank by a hook",
        (
            LOW_RANK,
            """    def add(module: nn.Module, args: tuple[Tensor], out: Tensor) -> Tensor:
        return out + 0.5 * linear.up(functional.dropout(linear.down(args[0]), 0.1, module.training))

    linear.register_forward_hook(add)
""",
        ),
    ),
    rewrite(
        "low rank kept outside of the layer",
        (
            LAYERS_,
            "    down = nn.Linear(linear.in_features, rank, bias=False)\n"
            "    up = nn.Linear(rank, linear.out_features, bias=False)\n",
        ),
        (
            "linear.up(functional.dropout(linear.down(x), 0.1, linear.training))",
            "up(functional.dropout(down(x), 0.1, linear.training))",
        ),
        (
            "    linear.forward = forward  # type: ignore[method-assign, assignment]\n",
            "    linear.forward = forward\n    return nn.ModuleList([down, up])\n",
        ),
        ("        add_low_rank(self.hidden, 3)\n", "        self.added = add_low_rank(self.hidden, 3)\n"),
    ),
    rewrite(
        "head checkpointed",
        (HEAD, "logits = checkpoint(self.head, functional.relu(self.hidden(x)), use_reentrant=False)"),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.utils.checkpoint import checkpoint\n",
        ),
    ),
    rewrite(
        "body checkpointed over self",
        (
            BODY,
            """        x = functional.relu(self.stem(image))
        x = functional.adaptive_avg_pool2d(self.block2(self.block1(x)), 2).flatten(1)
        hidden = self.hidden(x)

        def end() -> Tensor:
            return self.head(functional.relu(hidden))

        return checkpoint(end, use_reentrant=False)
""",
        ),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.utils.checkpoint import checkpoint\n",
        ),
    ),
    rewrite("head scripted", ("self.head = nn.Linear(10, 4)", "self.head = torch.jit.script(nn.Linear(10, 4))")),
    rewrite(
        "stem compiled",
        (
            "self.stem = nn.Conv2d(2, 6, kernel_size=3, padding=1)",
            'self.stem = torch.compile(nn.Conv2d(2, 6, kernel_size=3, padding=1), backend="eager")',
        ),
    ),
    rewrite(
        "block compiled in place",
        (f"        {HOOK}\n", f'        {HOOK}\n        self.block2.compile(backend="eager")\n'),
    ),
    rewrite(
        "head called as a function",
        (
            "self.head(functional.relu(self.hidden(x)))",
            "torch.func.functional_call(self.head, "
            "dict(self.head.named_parameters()), functional.relu(self.hidden(x)))",
        ),
    ),
    rewrite(
        "wrapped as for several devices",
        (
            RETURN,
            """    class Parallel(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self.module(*args, **kwargs)

    return Parallel(Wrapped())
""",
        ),
    ),
    rewrite("data parallel without devices", (RETURN, "    return nn.DataParallel(Wrapped())\n")),
    rewrite(
        "wrapped by attribute access",
        (
            RETURN,
            """    class Proxy(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.inner = module

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("inner"), name)

        def forward(self, image: Tensor) -> Any:
            return self.inner(image)

    return Proxy(Wrapped())
""",
        ),
    ),
    rewrite(
        "residual as a closure",
        (
            RESIDUAL,
            "return self.add(lambda: torch.tanh(self.conv(self.norm(x))), x)\n"
            "\n"
            "    @staticmethod\n"
            "    def add(inner: Callable[[], Tensor], x: Tensor) -> Tensor:\n"
            "        return x + inner()",
        ),
    ),
    rewrite(
        "layers by a method kept at construction",
        (HOOK, HOOK + "\n        self.blocks = lambda x: self.block2(self.block1(x))"),
        (BLOCKS, "x = self.blocks(x)"),
    ),
    rewrite(
        "layers by a bound method kept at construction",
        (HOOK, HOOK + "\n        self.pool = self.pooled"),
        ("functional.adaptive_avg_pool2d(x, 2).flatten(1)", "self.pool(x)"),
        (
            "    def adapt(",
            "    def pooled(self, x: Tensor) -> Tensor:\n"
            "        return self.flat(functional.adaptive_avg_pool2d(x, 2))\n"
            "\n"
            "    @property\n"
            "    def flat(self) -> Callable[[Tensor], Tensor]:\n"
            "        return lambda x: x.flatten(1)\n"
            "\n"
            "    def adapt(",
        ),
    ),
]
