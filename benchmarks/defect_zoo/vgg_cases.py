"""Cases of VGG."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("pool a layer earlier", "pooling", '[8, 8, "pool", 16', '[8, "pool", 8, 16', "features.2"),
    defect("width of the next stage too early", "width or bias", "16, 16,", "24, 16,", "features.5"),
    defect("one convolution missing", "width or bias", "16, 16,", "16,", "features.7"),
    defect(
        "3x3 pool of the same size",
        "pooling",
        "nn.MaxPool2d(kernel_size=2, stride=2)",
        "nn.MaxPool2d(kernel_size=3, stride=2, padding=1)",
        "features.4",
    ),
    defect(
        "dilated pool of the same size",
        "pooling",
        "nn.MaxPool2d(kernel_size=2, stride=2)",
        "nn.MaxPool2d(kernel_size=2, stride=2, padding=1, dilation=2)",
        "features.4",
    ),
    defect(
        "circular padding",
        "stride or padding",
        "kernel_size=3, padding=1",
        'kernel_size=3, padding=1, padding_mode="circular"',
        "features.0",
    ),
    defect(
        "dilated convolutions of the same size",
        "stride or padding",
        "kernel_size=3, padding=1",
        "kernel_size=3, padding=2, dilation=2",
        "features.0",
    ),
    defect(
        "5x5 convolutions of the same size",
        "width or bias",
        "kernel_size=3, padding=1",
        "kernel_size=5, padding=2",
        "features.0",
    ),
    defect("adaptive maximum", "pooling", "nn.AdaptiveAvgPool2d", "nn.AdaptiveMaxPool2d", "avgpool"),
    defect(
        "average pool of the corner", "pooling", "x = self.avgpool(x)", "x = self.avgpool(x[..., :1, :1])", "avgpool"
    ),
    defect("a dropout rate for both", "dropout", "nn.Dropout(0.4)", "nn.Dropout(0.5)", "classifier.5"),
    defect("dropout of a tenth", "dropout", "nn.Dropout(0.5)", "nn.Dropout(0.1)", "classifier.2"),
    defect("alpha dropout", "dropout", "nn.Dropout(0.5)", "nn.AlphaDropout(0.5)", "classifier.2"),
    defect("slope for ReLU", "activation", "nn.ReLU(inplace=True)", "nn.LeakyReLU(0.01, inplace=True)", "features.1"),
    defect(
        "classifier biases at their default",
        "initialisation",
        "                nn.init.constant_(module.bias, 0.0)\n",
        "",
        "classifier.0",
    ),
    defect(
        "classifier biases at one",
        "initialisation",
        "constant_(module.bias, 0.0)",
        "constant_(module.bias, 1.0)",
        "classifier.0",
    ),
    defect(
        "width and height change places", "axis", "x = x.flatten(1)", "x = x.transpose(2, 3).flatten(1)", "classifier.0"
    ),
    defect(
        "squashed before the pool",
        "activation",
        "x = self.avgpool(x)",
        "x = self.avgpool(x.sigmoid_())",
        "avgpool",
    ),
]

REWRITES = [
    rewrite("reshape for flatten", ("x.flatten(1)", "x.view(x.size(0), -1)")),
    rewrite("not in place", ("nn.ReLU(inplace=True)", "nn.ReLU()")),
    rewrite(
        "features as a module list",
        ("x = self.features(x)", "for layer in self.features:\n            x = layer(x)"),
        Edit("nn.Sequential", "nn.ModuleList", 1),
        Edit("nn.Sequential:", "nn.ModuleList:", 0),
        ("nn.ModuleList(*layers)", "nn.ModuleList(layers)"),
    ),
    rewrite(
        "features by name",
        (
            "nn.Sequential(*layers)",
            'nn.Sequential(OrderedDict((f"layer{i}", layer) for i, layer in enumerate(layers)))',
        ),
        ("from torch import Tensor", "from collections import OrderedDict\n\nfrom torch import Tensor"),
    ),
    rewrite("functional adaptive pool", ("self.avgpool(x)", "nn.functional.adaptive_avg_pool2d(x, 2)")),
    rewrite(
        "channels last",
        ("x = self.features(x)", "x = self.features(x.to(memory_format=torch.channels_last))"),
        ("from torch import Tensor", "import torch\nfrom torch import Tensor"),
    ),
]
