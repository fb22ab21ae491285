"""Cases of the learner of learners."""

from defect_zoo.case import Edit, defect, rewrite

STEP = """\
            predicted = functional_call(self.learner, params, (support,))
            loss = functional.mse_loss(predicted, targets)
            gradients = torch.autograd.grad(loss, list(params.values()), create_graph=True)
"""
UPDATE = """\
            params = {
                name: value - rate * gradient
                for (name, value), gradient, rate in zip(params.items(), gradients, rates, strict=True)
            }
"""
TASKS = """\
        with torch.enable_grad():
            predicted = [self.solve(*task) for task in zip(support, targets, queries, strict=True)]
        return torch.stack(predicted)
"""
SECOND = ("learner.fc1", "learner.fc2", "learner", "encoder")
INNER = ("learner.fc1", "learner.fc2", "learner", "output")
FUNC_STEP = """\
            def loss(fast: dict[str, Tensor]) -> Tensor:
                return functional.mse_loss(functional_call(self.learner, fast, (support,)), targets)

            gradients = tuple(grad(loss)(params).values())
"""

DEFECTS = [
    defect(
        "first order only", "detached gradient", "create_graph=True", "create_graph=False, retain_graph=True", *SECOND
    ),
    defect("gradients detached", "detached gradient", "rate * gradient\n", "rate * gradient.detach()\n", *SECOND),
    defect("steps uphill", "scale or constant", "value - rate * gradient", "value + rate * gradient", *INNER),
    defect("a single step", "recurrent wiring", "STEPS = 2", "STEPS = 1", *INNER),
    defect("three steps", "recurrent wiring", "STEPS = 2", "STEPS = 3", *INNER),
    defect(
        "every step from the start",
        "recurrent wiring",
        "name: value - rate * gradient\n",
        "name: dict(self.learner.named_parameters())[name] - rate * gradient\n",
        *INNER,
    ),
    defect("rates not in logarithms", "activation", "rates = self.log_rates.exp()", "rates = self.log_rates", *INNER),
    defect("rates by softplus", "activation", "self.log_rates.exp()", "functional.softplus(self.log_rates)", *INNER),
    defect("one rate for all", "sharing", "self.log_rates.exp()", "self.log_rates[:1].expand(4).exp()", *INNER),
    defect(
        "rates without gradient", "detached gradient", "self.log_rates.exp()", "self.log_rates.detach().exp()", "output"
    ),
    defect("rates start higher", "initialisation", "torch.full((4,), -3.0)", "torch.full((4,), -1.0)", "output"),
    defect(
        "sum for mean",
        "scale or constant",
        "functional.mse_loss(predicted, targets)",
        'functional.mse_loss(predicted, targets, reduction="sum")',
        *INNER,
    ),
    defect("absolute errors", "activation", "functional.mse_loss(", "functional.l1_loss(", *INNER),
    defect(
        "only the last layer adapted",
        "recurrent wiring",
        "name: value - rate * gradient\n",
        'name: value - rate * gradient if name.startswith("fc2") else value\n',
        *INNER,
    ),
    defect(
        "learner isn't adapted",
        "recurrent wiring",
        "functional_call(self.learner, params, (queries,))",
        "self.learner(queries)",
        *INNER,
    ),
    defect(
        "adapts to its answers",
        "axis",
        "self.solve(*task) for task in zip(support, targets, queries",
        "self.solve(*task) for task in zip(support, targets.flip(1), queries",
        *INNER,
    ),
    defect(
        "learner's activation lost", "activation", "self.fc2(torch.tanh(self.fc1(x)))", "self.fc2(self.fc1(x))", *INNER
    ),
    defect(
        "encoder's activation lost", "activation", "torch.relu(self.encoder(x))", "self.encoder(x)", *INNER, "encoder"
    ),
    defect(
        "support without gradient",
        "detached gradient",
        "support, queries = self.encode(support), self.encode(queries)",
        "support, queries = self.encode(support).detach(), self.encode(queries)",
        *SECOND,
    ),
    defect(
        "tasks learn from the next one",
        "axis",
        "zip(support, targets, queries, strict=True)]",
        "zip(support.roll(1, dims=0), targets, queries, strict=True)]",
        *INNER,
    ),
    defect(
        "a learner copied for each task",
        "detached gradient",
        "        params: dict[str, Tensor] = dict(self.learner.named_parameters())\n",
        "        params: dict[str, Tensor] = dict(copy.deepcopy(self.learner).named_parameters())\n",
        *SECOND,
        also=(Edit("import torch\n", "import copy\n\nimport torch\n"),),
    ),
]

REWRITES = [
    rewrite("gradient by torch.func", (STEP, FUNC_STEP), ("import functional_call", "import functional_call, grad")),
    rewrite(
        "gradient by torch.func, tasks by vmap",
        (STEP, FUNC_STEP),
        ("import functional_call", "import functional_call, grad, vmap"),
        (TASKS, "        return vmap(self.solve)(support, targets, queries)\n"),
    ),
    rewrite(
        "gradient with the value",
        (
            STEP,
            FUNC_STEP.replace("tuple(grad(loss)(params).values())", "tuple(grad_and_value(loss)(params)[0].values())"),
        ),
        ("import functional_call", "import functional_call, grad_and_value"),
    ),
    rewrite(
        "gradient pulled back",
        (
            STEP,
            FUNC_STEP.replace(
                "            gradients = tuple(grad(loss)(params).values())\n",
                "            value, pull = vjp(loss, params)\n"
                "            gradients = tuple(pull(torch.ones_like(value))[0].values())\n",
            ),
        ),
        ("import functional_call", "import functional_call, vjp"),
    ),
    rewrite(
        "gradient of a sum of parts",
        (
            "torch.autograd.grad(loss, list(params.values()), create_graph=True)",
            "[torch.autograd.grad(loss, one, create_graph=True)[0] for one in params.values()]",
        ),
    ),
    rewrite("graph kept by name", ("create_graph=True)", "create_graph=True, retain_graph=True)")),
    rewrite("gradients may be unused", ("create_graph=True)", "create_graph=True, allow_unused=True)")),
    rewrite("error by hand", ("functional.mse_loss(predicted, targets)", "(predicted - targets).square().mean()")),
    rewrite(
        "start cloned",
        (
            "params: dict[str, Tensor] = dict(self.learner.named_parameters())",
            "params = {name: value.clone() for name, value in self.learner.named_parameters()}",
        ),
    ),
    rewrite(
        "first prediction by a plain call",
        (
            "            predicted = functional_call(self.learner, params, (support,))\n",
            "            first = all(value is start for value, start in zip(params.values(), "
            "self.learner.parameters(), strict=True))\n"
            "            predicted = self.learner(support) if first else functional_call(self.learner, "
            "params, (support,))\n",
        ),
    ),
    rewrite(
        "learner written out",
        ("functional_call(self.learner, params, (support,))", "self.run(params, support)"),
        ("functional_call(self.learner, params, (queries,))", "self.run(params, queries)"),
        (
            "    def solve(",
            "    def run(self, params: dict[str, Tensor], x: Tensor) -> Tensor:\n"
            '        """The learner under other weights."""\n'
            '        x = torch.tanh(functional.linear(x, params["fc1.weight"], params["fc1.bias"]))\n'
            '        return functional.linear(x, params["fc2.weight"], params["fc2.bias"])\n\n'
            "    def solve(",
        ),
        ("from torch.func import functional_call\n", ""),
    ),
    rewrite(
        "updates in a loop",
        (
            UPDATE,
            "            moved = {}\n"
            "            for rate, gradient, (name, value) in zip(rates, gradients, params.items(), "
            "strict=True):\n"
            "                moved[name] = torch.sub(value, rate * gradient)\n"
            "            params = moved\n",
        ),
    ),
    rewrite("updates by addcmul", ("value - rate * gradient", "torch.addcmul(value, rate, gradient, value=-1)")),
    rewrite(
        "rates before the steps",
        ("            rates = self.log_rates.exp()\n", ""),
        ("        params: dict", "        rates = self.log_rates.exp()\n        params: dict"),
    ),
    rewrite(
        "tasks by index",
        (
            "[self.solve(*task) for task in zip(support, targets, queries, strict=True)]",
            "[self.solve(support[task], targets[task], queries[task]) for task in range(len(support))]",
        ),
    ),
    rewrite(
        "both encoded at once",
        (
            "support, queries = self.encode(support), self.encode(queries)",
            "support, queries = self.encode(torch.cat([support, queries], dim=1)).split([5, 4], dim=1)",
        ),
    ),
    rewrite(
        "grad mode by decorator",
        (
            TASKS,
            "        predicted = [self.solve(*task) for task in zip(support, targets, queries, strict=True)]\n"
            "        return torch.stack(predicted)\n",
        ),
        ("    def solve(", "    @torch.enable_grad()\n    def solve("),
    ),
    rewrite(
        "grad mode set",
        (
            TASKS,
            "        before = torch.is_grad_enabled()\n        torch.set_grad_enabled(True)\n"
            "        predicted = [self.solve(*task) for task in zip(support, targets, queries, strict=True)]\n"
            "        torch.set_grad_enabled(before)\n        return torch.stack(predicted)\n",
        ),
    ),
    rewrite(
        "grad mode taken as it is",
        (
            TASKS,
            "        return torch.stack([self.solve(*task) for task in zip(support, targets, queries, strict=True)])\n",
        ),
    ),
]
