"""Multi-layer perceptrons."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
}


def mlp(
    widths: Sequence[int] = (2, 2, 1), activation: str = "sigmoid", output_activation: str | None = "relu"
) -> nn.Sequential:
    """Fully connected layers with biases, of `widths` from the inputs to the outputs; by default two, two and one.

    Forward: (B, ...) float, flattened to (B, widths[0]) -> (B, widths[-1]).
    Size: 9 parameters at widths=(2, 2, 1); 203,530 at (784, 256, 10).

    Children: `flatten`, then `fc1`, `activation1`, `fc2`, ... ; an output_activation of None leaves the last one out.

    Raises:
        ValueError: fewer than two widths, a width below 1, or an activation that `ACTIVATIONS` does not name.

    Source: Rumelhart, Hinton and Williams 1986, Nature 323; the (784, 256, 10) form is d2l section 5.1.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(f"widths must be at least two positive integers, inputs first, got {widths!r}")
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())  # (B, widths[0])
    last = len(widths) - 1
    for index in range(1, last + 1):
        layers[f"fc{index}"] = nn.Linear(widths[index - 1], widths[index])  # (B, widths[index])
        name = activation if index < last else output_activation
        if name is not None:
            layers[f"activation{index}"] = _activation(name)
    return nn.Sequential(layers)


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]()
