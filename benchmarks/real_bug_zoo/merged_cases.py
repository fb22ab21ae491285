"""Bugs of containers."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "layers in a plain list",
        "asyml/texar-pytorch#72",
        "train or eval mode",
        "self.layers = nn.ModuleList(layers)",
        "self.layers = layers",
        "convs.layers.0",
        "convs",
    ),
]

REWRITES = [
    rewrite(
        "layers added by name",
        (
            "self.layers = nn.ModuleList(layers)",
            "self.layers = layers\n"
            "        for index, layer in enumerate(layers):\n"
            '            self.add_module(f"layer{index}", layer)',
        ),
    ),
]
