"""Cases of the multilayer perceptron."""

from defect_zoo.case import Edit, defect, rewrite

DEFECTS = [
    defect("leaky slope of another framework", "activation", "LeakyReLU(0.01)", "LeakyReLU(0.2)", "act1"),
    defect(
        "tanh approximation of GELU", "activation", "gelu(self.fc2(x))", 'gelu(self.fc2(x), approximate="tanh")', "fc3"
    ),
    defect("SELU for ELU", "activation", "functional.elu", "functional.selu", "drop"),
    defect("lost GELU", "activation", "functional.gelu(self.fc2(x))", "self.fc2(x)", "fc3"),
    defect("softmax for log-softmax", "activation", "functional.log_softmax", "functional.softmax", "output"),
    defect("log-softmax over the batch", "axis", "dim=1", "dim=0", "output"),
    defect("logits returned", "activation", "functional.log_softmax(x, dim=1)", "x", "output"),
    defect("dropout twice as strong", "dropout", "nn.Dropout(0.25)", "nn.Dropout(0.5)", "drop"),
    defect("keep probability taken for p", "dropout", "nn.Dropout(0.25)", "nn.Dropout(0.75)", "drop"),
    defect("dropout lost", "dropout", "self.head(self.drop(x))", "self.head(x)", "head", "drop"),
    defect(
        "dropout stays on in eval mode",
        "dropout",
        "self.head(self.drop(x))",
        "self.head(functional.dropout(self.drop(x), 0.25))",
        "head",
    ),
    defect("dropout behind the head", "dropout", "self.head(self.drop(x))", "self.drop(self.head(x))", "head", "drop"),
    defect("output bias at its default", "initialisation", "        nn.init.zeros_(self.head.bias)\n", "", "head"),
    defect("bias where there was none", "width or bias", "nn.Linear(32, 16, bias=False)", "nn.Linear(32, 16)", "fc3"),
    defect("transposed image", "axis", "self.flatten(x)", "self.flatten(x.transpose(1, 2))", "flatten"),
    defect(
        "data behind the first layer", "detached gradient", "gelu(self.fc2(x))", "gelu(self.fc2(x.data))", "fc1", "act1"
    ),
]

REWRITES = [
    rewrite(
        "modules in another order",
        ("        self.head = nn.Linear(16, 6)\n", ""),
        ("        self.fc1 =", "        self.head = nn.Linear(16, 6)\n        self.fc1 ="),
    ),
    rewrite("layers renamed", Edit("fc1", "dense_in", every=True), Edit("fc2", "dense_mid", every=True)),
    rewrite(
        "functional activation",
        ("self.act1(self.fc1(self.flatten(x)))", "functional.leaky_relu(self.fc1(self.flatten(x)), 0.01)"),
        ("        self.act1 = nn.LeakyReLU(0.01)\n", ""),
    ),
    rewrite("log-softmax by hand", ("functional.log_softmax(x, dim=1)", "x - x.logsumexp(dim=1, keepdim=True)")),
    rewrite(
        "view for flatten",
        ("self.flatten(x)", "x.reshape(x.shape[0], -1)"),
        ("        self.flatten = nn.Flatten()\n", ""),
    ),
    rewrite(
        "identity parametrization",
        (
            "        self.drop =",
            '        nn.utils.parametrize.register_parametrization(self.fc2, "weight", '
            "nn.Identity())\n        self.drop =",
        ),
        ("from torch import Tensor, nn\n", "import torch.nn.utils.parametrize\nfrom torch import Tensor, nn\n"),
    ),
    rewrite(
        "GELU by hand",
        ("functional.gelu(self.fc2(x))", "self._gelu(self.fc2(x))"),
        (
            "    def forward(",
            "    def _gelu(self, x: Tensor) -> Tensor:\n"
            "        return 0.5 * x * (1 + (x / 2**0.5).erf())\n\n    def forward(",
        ),
    ),
]
