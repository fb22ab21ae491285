"""Cases of the hand-written batch norm."""

from defect_zoo.case import defect, rewrite

DEFECTS = [
    defect("epsilon of another framework", "scale or constant", "eps: float = 1e-5", "eps: float = 1e-3", "norm1"),
    defect(
        "epsilon outside the root",
        "normalisation",
        "torch.sqrt(var.view(shape) + self.eps)",
        "(torch.sqrt(var.view(shape)) + self.eps)",
        "norm1",
    ),
    defect(
        "epsilon lost",
        "normalisation",
        "torch.sqrt(var.view(shape) + self.eps)",
        "torch.sqrt(var.view(shape))",
        "norm1",
    ),
    defect(
        "variance for standard deviation",
        "normalisation",
        "torch.sqrt(var.view(shape) + self.eps)",
        "(var.view(shape) + self.eps)",
        "norm1",
    ),
    defect("momentum of another framework", "buffers", "momentum: float = 0.1", "momentum: float = 0.01", "norm1"),
    defect(
        "momentum the other way round",
        "buffers",
        "lerp_(mean, self.momentum)",
        "lerp_(mean, 1 - self.momentum)",
        "norm1",
    ),
    defect("running variance without Bessel's correction", "buffers", "var * count / (count - 1)", "var", "norm1"),
    defect(
        "running variance never updated",
        "buffers",
        "        self.running_var.lerp_(var * count / (count - 1), self.momentum)\n",
        "",
        "norm1",
    ),
    defect(
        "running mean never updated", "buffers", "        self.running_mean.lerp_(mean, self.momentum)\n", "", "norm1"
    ),
    defect(
        "running deviation for running variance",
        "buffers",
        "var * count / (count - 1)",
        "(var * count / (count - 1)).sqrt()",
        "norm1",
    ),
    defect("unbiased variance in the normalisation", "normalisation", "unbiased=False", "unbiased=True", "norm1"),
    defect(
        "eval mode by the batch",
        "train or eval mode",
        "mean, var = self.running_mean, self.running_var",
        "mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), unbiased=False)",
        "norm1",
    ),
    defect(
        "train mode by the running statistics",
        "train or eval mode",
        "            self.update(mean, var, x.numel() // x.shape[1])\n        else:\n            mean, var",
        "            self.update(mean, var, x.numel() // x.shape[1])\n        mean, var",
        "norm1",
    ),
    defect(
        "statistics of each example",
        "axis",
        "x.mean(dim=(0, 2, 3))\n            var = x.var(dim=(0, 2, 3), unbiased=False)",
        "x.mean(dim=(0, 2, 3))\n            var = x.var(dim=(2, 3), unbiased=False).mean(dim=0)",
        "norm1",
    ),
    defect(
        "no gradient through the mean",
        "detached gradient",
        "mean = x.mean(dim=(0, 2, 3))",
        "mean = x.mean(dim=(0, 2, 3)).detach()",
        "conv1",
        "norm1",
        "conv2",
    ),
    defect(
        "no gradient through the variance",
        "detached gradient",
        "var = x.var(dim=(0, 2, 3), unbiased=False)",
        "var = x.detach().var(dim=(0, 2, 3), unbiased=False)",
        "conv1",
        "norm1",
        "conv2",
    ),
    defect(
        "scale starts at zero",
        "initialisation",
        "torch.ones(num_features))\n        self.beta",
        "torch.zeros(num_features))\n        self.beta",
        "norm1",
    ),
    defect(
        "gamma and beta change places",
        "normalisation",
        "self.gamma.view(shape) * normalised + self.beta.view(shape)",
        "self.beta.view(shape) * normalised + self.gamma.view(shape)",
        "norm1",
    ),
    defect(
        "shift inside the scale",
        "normalisation",
        "self.gamma.view(shape) * normalised + self.beta.view(shape)",
        "self.gamma.view(shape) * (normalised + self.beta.view(shape))",
        "norm1",
    ),
    defect("average for max pool", "pooling", "functional.max_pool2d", "functional.avg_pool2d", "conv2"),
    defect(
        "ReLU before the norm",
        "normalisation",
        "functional.relu(self.norm2(self.conv2(x)))",
        "self.norm2(functional.relu(self.conv2(x)))",
        "norm2",
    ),
    defect("maximum for global average", "pooling", "x.mean(dim=(2, 3))", "x.amax(dim=(2, 3))", "fc"),
    defect(
        "a bias before the norm",
        "width or bias",
        "nn.Conv2d(8, 12, kernel_size=3, padding=1, bias=False)",
        "nn.Conv2d(8, 12, kernel_size=3, padding=1)",
        "conv2",
    ),
]

REWRITES = [
    rewrite(
        "running statistics assigned",
        (
            "self.running_mean.lerp_(mean, self.momentum)",
            "self.running_mean = self.running_mean + self.momentum * (mean - self.running_mean)",
        ),
    ),
    rewrite(
        "mul_ and add_",
        (
            "self.running_var.lerp_(var * count / (count - 1), self.momentum)",
            "self.running_var.mul_(1 - self.momentum).add_(self.momentum * var * count / (count - 1))",
        ),
    ),
    rewrite(
        "variance as mean of squares",
        ("x.var(dim=(0, 2, 3), unbiased=False)", "((x - mean.view(1, -1, 1, 1)) ** 2).mean(dim=(0, 2, 3))"),
    ),
    rewrite(
        "norms registered first",
        ("        self.norm1 = BatchNorm(8)\n", ""),
        ("        self.conv1 =", "        self.norm1 = BatchNorm(8)\n        self.conv1 ="),
    ),
    rewrite(
        "library's batch norm",
        (
            """        if self.training:
            mean = x.mean(dim=(0, 2, 3))
            var = x.var(dim=(0, 2, 3), unbiased=False)
            self.update(mean, var, x.numel() // x.shape[1])
        else:
            mean, var = self.running_mean, self.running_var
        shape = (1, -1, 1, 1)
        normalised = (x - mean.view(shape)) / torch.sqrt(var.view(shape) + self.eps)
        return self.gamma.view(shape) * normalised + self.beta.view(shape)
""",
            """        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.gamma, self.beta, self.training, self.momentum, self.eps
        )
""",
        ),
    ),
    rewrite(
        "indexing for view",
        (
            "self.gamma.view(shape) * normalised + self.beta.view(shape)",
            "torch.add(normalised * self.gamma[None, :, None, None], self.beta[None, :, None, None])",
        ),
    ),
]
