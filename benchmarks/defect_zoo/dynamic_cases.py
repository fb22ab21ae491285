"""Cases of the network whose weights are made for every example."""

from defect_zoo.case import Edit, defect, rewrite

FOLDED = """\
        folded = x.reshape(1, -1, *x.shape[2:])
        out = functional.conv2d(folded, weight.flatten(0, 1), bias.flatten(), padding=1, groups=len(x))
        return out.view(len(x), -1, *x.shape[2:])
"""
WEIGHT = '        weight = torch.einsum("bk,koihw->boihw", mixture, self.weight)\n'
MIXTURE = "(scores / self.temperature).softmax(dim=1)"

DEFECTS = [
    defect("a sharper mixture", "scale or constant", "temperature: float = 4.0", "temperature: float = 1.0", "conv1"),
    defect("sigmoids for a softmax", "activation", MIXTURE, "(scores / self.temperature).sigmoid()", "conv1"),
    defect("softmax over the batch", "axis", ".softmax(dim=1)", ".softmax(dim=0)", "conv1"),
    defect(
        "the first example's kernel for all",
        "axis",
        FOLDED,
        "        return functional.conv2d(x, weight[0], bias[0], padding=1)\n",
        "conv1",
    ),
    defect(
        "the batch's mean kernel",
        "axis",
        FOLDED,
        "        return functional.conv2d(x, weight.mean(dim=0), bias.mean(dim=0), padding=1)\n",
        "conv1",
    ),
    defect(
        "kernels of the next example", "axis", "weight.flatten(0, 1)", "weight.roll(1, dims=0).flatten(0, 1)", "conv1"
    ),
    defect(
        "unfolded in the wrong order",
        "axis",
        "out.view(len(x), -1, *x.shape[2:])",
        "out.view(-1, len(x), *x.shape[2:]).transpose(0, 1)",
        "conv1",
    ),
    defect(
        "bias not mixed",
        "readout",
        "bias = mixture @ self.bias",
        "bias = self.bias.mean(dim=0).expand(len(x), -1)",
        "conv1",
    ),
    defect("bias lost", "width or bias", "bias.flatten(), padding=1", "None, padding=1", "conv1"),
    defect(
        "biases drawn",
        "initialisation",
        "torch.zeros(KERNELS, out_channels)",
        "torch.randn(KERNELS, out_channels) * 0.02",
        "conv1",
    ),
    defect(
        "mixture detached",
        "detached gradient",
        MIXTURE,
        MIXTURE + ".detach()",
        "code",
        "conv1",
        "conv1.squeeze",
        "conv1.excite",
        "conv2",
        "conv2.excite",
        "conv2.squeeze",
    ),
    defect(
        "squeezed features detached",
        "detached gradient",
        "self.squeeze(x.mean(dim=(2, 3)))",
        "self.squeeze(x.mean(dim=(2, 3)).detach())",
        "conv1",
        "conv1.squeeze",
        "conv1.excite",
        "code",
        "film1",
    ),
    defect(
        "squeeze by the largest",
        "pooling",
        "self.squeeze(x.mean(dim=(2, 3)))",
        "self.squeeze(x.amax(dim=(2, 3)))",
        "conv1.squeeze",
    ),
    defect(
        "activation between squeeze and excite lost",
        "activation",
        "self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3)))))",
        "self.excite(self.squeeze(x.mean(dim=(2, 3))))",
        "conv1.excite",
    ),
    defect(
        "scale without one", "scale or constant", "* (1 + scale) + shift", "* scale + shift", "conv2.squeeze", "conv2"
    ),
    defect(
        "shift and scale change places",
        "head split",
        "scale, shift = made",
        "shift, scale = made",
        "conv2.squeeze",
        "conv2",
    ),
    defect(
        "scale and shift interleaved",
        "head split",
        "made[:, :, None, None].chunk(2, dim=1)",
        "made.view(len(made), -1, 2)[:, :, :, None, None].unbind(dim=2)",
        "conv2.squeeze",
        "conv2",
    ),
    defect(
        "normalised over the batch",
        "normalisation",
        "functional.group_norm(x, 1)",
        "functional.batch_norm(x, None, None, training=True)",
        "conv2.squeeze",
        "conv2",
    ),
    defect("never normalised", "normalisation", "functional.group_norm(x, 1)", "x", "conv2.squeeze", "conv2"),
    defect(
        "code without activation",
        "activation",
        "code = torch.tanh(self.code(codes))",
        "code = self.code(codes)",
        "film1",
    ),
    defect("made weights transposed", "axis", ".view(-1, 4, 7)", ".view(-1, 7, 4).transpose(1, 2)", "output"),
    defect(
        "made weights detached",
        "detached gradient",
        "weight = self.weights(code).view",
        "weight = self.weights(code).detach().view",
        "weights",
        "code",
    ),
    defect(
        "second code for the first",
        "sharing",
        "self.modulate(self.conv2(x), self.film2(code))",
        "self.modulate(self.conv2(x), self.film2(code).flip(1))",
        "output",
    ),
    defect(
        "padded by repetition",
        "stride or padding",
        "        folded = x.reshape(1, -1, *x.shape[2:])\n",
        '        folded = functional.pad(x, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[None]\n',
        "conv1",
        also=(Edit("bias.flatten(), padding=1, groups", "bias.flatten(), groups"),),
    ),
]

REWRITES = [
    rewrite(
        "examples one by one",
        (
            FOLDED,
            "        found = [functional.conv2d(one[None], w, b, padding=1) for one, w, b in zip(x, "
            "weight, bias, strict=True)]\n"
            "        return torch.cat(found)\n",
        ),
    ),
    rewrite(
        "examples by vmap",
        (
            FOLDED,
            "        return vmap(lambda one, w, b: functional.conv2d(one[None], w, b, "
            "padding=1)[0])(x, weight, bias)\n",
        ),
        ("from torch import Tensor, nn\n", "from torch import Tensor, nn\nfrom torch.func import vmap\n"),
    ),
    rewrite(
        "all kernels' outputs mixed",
        (WEIGHT, ""),
        ("        bias = mixture @ self.bias\n", ""),
        (
            FOLDED,
            "        found = functional.conv2d(x, self.weight.flatten(0, 1), self.bias.flatten(), padding=1)\n"
            '        return torch.einsum("bk,bkohw->bohw", mixture, found.unflatten(1, (KERNELS, -1)))\n',
        ),
    ),
    rewrite(
        "kernels one after the other",
        (WEIGHT, ""),
        ("        bias = mixture @ self.bias\n", ""),
        (
            FOLDED,
            "        found = [functional.conv2d(x, self.weight[k], self.bias[k], padding=1) for k in "
            "range(KERNELS)]\n"
            "        return sum(mixture[:, k, None, None, None] * found[k] for k in range(KERNELS))\n",
        ),
    ),
    rewrite(
        "patches by product",
        (
            FOLDED,
            "        patches = functional.unfold(x, kernel_size=3, padding=1)\n"
            "        out = torch.bmm(weight.flatten(2), patches) + bias[:, :, None]\n"
            "        return out.view(len(x), -1, *x.shape[2:])\n".replace("weight.flatten(2)", "weight.flatten(2)"),
        ),
    ),
    rewrite(
        "kernel by matrix product",
        (WEIGHT, "        weight = (mixture @ self.weight.flatten(1)).view(len(x), *self.weight.shape[1:])\n"),
    ),
    rewrite(
        "kernel by weighted sum",
        (WEIGHT, "        weight = (mixture[:, :, None, None, None, None] * self.weight).sum(dim=1)\n"),
    ),
    rewrite(
        "bias added afterwards",
        ("bias.flatten(), padding=1, groups=len(x))", "padding=1, groups=len(x))"),
        (
            "return out.view(len(x), -1, *x.shape[2:])",
            "return out.view(len(x), -1, *x.shape[2:]) + bias[:, :, None, None]",
        ),
    ),
    rewrite(
        "folded by view",
        ("x.reshape(1, -1, *x.shape[2:])", "x.contiguous().view(1, x.shape[0] * x.shape[1], x.shape[2], x.shape[3])"),
    ),
    rewrite("squeeze by pooling", ("x.mean(dim=(2, 3))))", "functional.adaptive_avg_pool2d(x, 1).flatten(1)))")),
    rewrite(
        "squeeze and excite by 1x1 convolutions",
        (
            "self.squeeze = nn.Linear(in_channels, 5, bias=False)",
            "self.squeeze = nn.Conv2d(in_channels, 5, kernel_size=1, bias=False)",
        ),
        ("self.excite = nn.Linear(5, KERNELS)", "self.excite = nn.Conv2d(5, KERNELS, kernel_size=1)"),
        (
            "self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3)))))",
            "self.excite(functional.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True)))).flatten(1)",
        ),
    ),
    rewrite(
        "norm by hand",
        (
            "functional.group_norm(x, 1) * (1 + scale)",
            "((x - x.mean(dim=(1, 2, 3), keepdim=True)) / (x.var(dim=(1, 2, 3), keepdim=True, "
            "unbiased=False) + 1e-5).sqrt()) * (1 + scale)",
        ),
    ),
    rewrite("norm of all but the batch", ("functional.group_norm(x, 1)", "functional.layer_norm(x, x.shape[1:])")),
    rewrite(
        "norm by a module",
        (
            "        self.code = nn",
            "        self.norm1, self.norm2 = nn.GroupNorm(1, 6, affine=False), nn.GroupNorm(1, 7, "
            "affine=False)\n"
            "        self.code = nn",
        ),
        ("functional.group_norm(x, 1)", "(self.norm1 if x.shape[1] == 6 else self.norm2)(x)"),
    ),
    rewrite(
        "modulated by addcmul",
        (
            "return functional.group_norm(x, 1) * (1 + scale) + shift",
            "return torch.addcmul(shift, functional.group_norm(x, 1), 1 + scale)",
        ),
    ),
    rewrite(
        "made by slices",
        (
            "scale, shift = made[:, :, None, None].chunk(2, dim=1)",
            "half = made.shape[1] // 2\n        scale, shift = made[:, :half, None, None], made[:, half:, None, None]",
        ),
    ),
    rewrite(
        "readout by einsum",
        (
            "torch.bmm(weight, x.mean(dim=(2, 3))[:, :, None]).squeeze(2)",
            'torch.einsum("boi,bi->bo", weight, x.mean(dim=(2, 3)))',
        ),
    ),
    rewrite(
        "readout by vmap",
        (
            "torch.bmm(weight, x.mean(dim=(2, 3))[:, :, None]).squeeze(2)",
            "torch.vmap(torch.mv)(weight, x.mean(dim=(2, 3)))",
        ),
    ),
]
