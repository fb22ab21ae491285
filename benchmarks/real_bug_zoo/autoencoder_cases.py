"""Bugs of autoencoders with codebooks."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "a missing detach stops the later quantizers' gradient",
        "lucidrains/vector-quantize-pytorch#33",
        "detached gradient",
        "residual = residual - quantized.detach()",
        "residual = residual - quantized",
        "encode",
        "stack.1.conv2",
    ),
    bug(
        "the codes' loss is taken of what was passed straight through",
        "andylolu2/jax-vqvae-gpt#2",
        "detached gradient",
        "        loss = (code.detach() - x).square().mean((1, 2)) + (code - x.detach()).square().mean((1, 2))\n"
        "        code = x + (code - x).detach()\n",
        "        code = x + (code - x).detach()\n"
        "        loss = (code.detach() - x).square().mean((1, 2)) + (code - x.detach()).square().mean((1, 2))\n",
        "encode",
        "quantizers.1",
    ),
    bug(
        "a ReLU in place changes what the skip adds",
        "rosinality/vq-vae-2-pytorch#60",
        "residual",
        "functional.relu(self.conv1(functional.relu(x)))",
        "functional.relu(self.conv1(functional.relu_(x)))",
        "stack.0",
    ),
    bug(
        "one residual block for all",
        "zalandoresearch/pytorch-vq-vae#2",
        "sharing",
        "nn.ModuleList([Residual(8) for _ in range(2)])",
        "nn.ModuleList([Residual(8)] * 2)",
        "stack.1.conv1",
        "stack.0.conv1",
    ),
]

REWRITES = [
    rewrite(
        "squared distances by the library",
        (
            "(x[:, :, None] - self.codes).square().sum(dim=-1)",
            "torch.cdist(x, self.codes.expand(len(x), -1, -1)).square()",
        ),
    ),
]
