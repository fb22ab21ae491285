"""Cases of the siamese network."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect(
        "towers not shared",
        "sharing",
        "self.tower(second)",
        "self.tower2(second)",
        "tower2.conv1",
        "tower.conv1",
        also=(Edit("self.score = nn", "self.tower2 = Tower()\n        self.score = nn"),),
    ),
    defect(
        "tower copied at the start",
        "sharing",
        "self.tower(second)",
        "self.tower2(second)",
        "tower2.conv1",
        "tower.conv1",
        also=(
            Edit("self.score = nn", "self.tower2 = copy.deepcopy(self.tower)\n        self.score = nn"),
            Edit("import torch\n", "import copy\n\nimport torch\n"),
        ),
    ),
    defect("the same image twice", "sharing", "self.tower(second)", "self.tower(first)", "tower.conv1"),
    defect(
        "second tower without gradient",
        "detached gradient",
        "self.tower(first), self.tower(second)",
        "self.tower(first), self.tower(second).detach()",
        "tower.conv1",
        "tower",
        "tower.fc",
    ),
    defect(
        "stop-gradient in training only",
        "detached gradient",
        "self.tower(first), self.tower(second)",
        "self.tower(first), self.tower(second).detach() if self.training else self.tower(second)",
        "tower.conv1",
        "tower",
        "tower.fc",
    ),
    defect(
        "towers under no_grad",
        "detached gradient",
        "        a, b = self.tower(first), self.tower(second)",
        "        with torch.no_grad():\n            a, b = self.tower(first), self.tower(second)",
        "tower.conv1",
        "tower",
        "tower.fc",
    ),
    defect("absolute value lost", "activation", "(a - b).abs()", "(a - b)", "score"),
    defect("squared for absolute", "activation", "(a - b).abs()", "(a - b) ** 2", "score"),
    defect("parts change places", "concat order", "[(a - b).abs(), a * b]", "[a * b, (a - b).abs()]", "score"),
    defect("sum for product", "scale or constant", "a * b]", "a + b]", "score"),
    defect("normalised over the batch", "axis", "dim=1)\n\n\nclass Siamese", "dim=0)\n\n\nclass Siamese", "tower"),
    defect(
        "normalised by the sum",
        "normalisation",
        "self.fc(x.flatten(1)), dim=1",
        "self.fc(x.flatten(1)), p=1.0, dim=1",
        "tower",
    ),
    defect(
        "never normalised",
        "normalisation",
        "return functional.normalize(self.fc(x.flatten(1)), dim=1)",
        "y: Tensor = self.fc(x.flatten(1))\n        return y",
        "tower",
    ),
    defect("slope of another framework", "initialisation", "nn.PReLU()", "nn.PReLU(init=0.0)", "tower.prelu"),
    defect("a slope for each channel", "width or bias", "nn.PReLU()", "nn.PReLU(8)", "tower.prelu"),
    defect("fixed slope", "width or bias", "nn.PReLU()", "nn.LeakyReLU(0.25)", "tower.prelu"),
    defect("tanh for sigmoid", "activation", "torch.sigmoid(", "torch.tanh(", "output"),
    defect(
        "average for max pool",
        "pooling",
        "functional.max_pool2d(functional.relu(self.conv1(x)), 2)",
        "functional.avg_pool2d(functional.relu(self.conv1(x)), 2)",
        "tower.conv2",
    ),
    defect(
        "pairs against the next example",
        "axis",
        "self.tower(first), self.tower(second)",
        "self.tower(first), self.tower(second).roll(1, dims=0)",
        "score",
    ),
]

REWRITES = [
    rewrite(
        "second tower first in registration",
        (
            "        self.tower = Tower()\n        self.score = nn.Linear(24, 1)\n",
            "        self.score = nn.Linear(24, 1)\n        self.tower = Tower()\n",
        ),
    ),
    rewrite(
        "tower under two names",
        ("self.tower(second)", "self.twin(second)"),
        ("        self.score = nn", "        self.twin = self.tower\n        self.score = nn"),
    ),
    rewrite(
        "both in one batch",
        ("a, b = self.tower(first), self.tower(second)", "a, b = self.tower(torch.cat([first, second])).chunk(2)"),
    ),
    rewrite(
        "norm by hand",
        (
            "return functional.normalize(self.fc(x.flatten(1)), dim=1)",
            "x = self.fc(x.flatten(1))\n        return x / x.norm(dim=1, keepdim=True).clamp(min=1e-12)",
        ),
    ),
    rewrite(
        "where for PReLU",
        ("self.prelu(self.conv2(x))", "self.conv2(x)\n        x = torch.where(x > 0, x, self.prelu.weight * x)"),
    ),
]
