"""Cases of DenseNet."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("new channels first", "concat order", "[x, layer(x)]", "[layer(x), x]", "block1.layers.1.norm1"),
    defect(
        "channels flipped",
        "concat order",
        "return x\n\n\nclass DenseNet",
        "return x.flip(1)\n\n\nclass DenseNet",
        "block1",
    ),
    defect(
        "layers read their channels shifted by one",
        "concat order",
        "torch.cat([x, layer(x)], dim=1)",
        "torch.cat([x, layer(x.roll(1, dims=1))], dim=1)",
        "block1.layers.0.norm1",
    ),
    defect(
        "gradient through the newest layer alone",
        "detached gradient",
        "[x, layer(x)]",
        "[x.detach(), layer(x)]",
        "stem",
        "block1.layers.0.conv2",
        "block1",
        "block2.layers.0.conv2",
    ),
    defect(
        "gradient through the oldest channels alone",
        "detached gradient",
        "[x, layer(x)]",
        "[x, layer(x).detach()]",
        "stem",
        "block1.layers.0.norm1",
        "block1.layers.0.conv1",
        "block2.layers.1.conv2",
    ),
    defect("elementwise dropout", "dropout", "nn.Dropout2d(0.1)", "nn.Dropout(0.1)", "block1.layers.0.drop"),
    defect("dropout twice as strong", "dropout", "Dropout2d(0.1)", "Dropout2d(0.2)", "block1.layers.0.drop"),
    defect(
        "dropout before the convolution",
        "dropout",
        "out = self.conv2(torch.relu(self.norm2(out)))\n        new: Tensor = self.drop(out)",
        "out = self.drop(torch.relu(self.norm2(out)))\n        new: Tensor = self.conv2(out)",
        "block1.layers.0.drop",
    ),
    defect(
        "maximum in the transition",
        "pooling",
        "functional.avg_pool2d(x, 2)",
        "functional.max_pool2d(x, 2)",
        "block2.layers.0.norm1",
    ),
    defect(
        "strided slice in the transition",
        "pooling",
        "functional.avg_pool2d(x, 2)",
        "x[:, :, ::2, ::2]",
        "block2.layers.0.norm1",
    ),
    defect("transition's activation lost", "activation", "torch.relu(self.norm(x))", "self.norm(x)", "transition"),
    defect("last activation lost", "activation", "torch.relu(self.last(x))", "self.last(x)", "classifier"),
    defect(
        "activation before the norm",
        "normalisation",
        "torch.relu(self.norm1(x))",
        "self.norm1(torch.relu(x))",
        "block1.layers.0.norm1",
    ),
    defect(
        "pool before the transition's activation",
        "pooling",
        "torch.relu(self.norm(x))",
        "torch.relu(functional.avg_pool2d(self.norm(x), 2))",
        "transition",
        also=(Edit("self.block2(functional.avg_pool2d(x, 2))", "self.block2(x)"),),
    ),
    defect(
        "bottleneck of four growths",
        "width or bias",
        "2 * growth",
        "4 * growth",
        "block1.layers.0.conv1",
        nth=0,
        also=(
            Edit("nn.BatchNorm2d(2 * growth)", "nn.BatchNorm2d(4 * growth)"),
            Edit("nn.Conv2d(2 * growth, growth", "nn.Conv2d(4 * growth, growth"),
        ),
    ),
]

REWRITES = [
    rewrite(
        "a list of features",
        (
            "        for layer in self.layers:\n            x = torch.cat([x, layer(x)], dim=1)\n        return x\n",
            (
                "        features = [x]\n"
                "        for layer in self.layers:\n"
                "            features.append(layer(torch.cat(features, 1)))\n"
                "        return torch.cat(features, 1)\n"
            ),
        ),
    ),
    rewrite("hstack", ("torch.cat([x, layer(x)], dim=1)", "torch.hstack((x, layer(x)))")),
    rewrite(
        "checkpointed 1x1 convolutions",
        (
            "self.transition(torch.relu(self.norm(x)))",
            "checkpoint(self.transition, torch.relu(self.norm(x)), use_reentrant=False)",
        ),
        (
            "from torch.nn import functional\n",
            "from torch.nn import functional\nfrom torch.utils.checkpoint import checkpoint\n",
        ),
    ),
    rewrite(
        "pool as reshape",
        ("functional.avg_pool2d(x, 2)", "x.unflatten(3, (6, 2)).unflatten(2, (6, 2)).mean(dim=(3, 5))"),
    ),
]
