"""Networks of libraries for science and decisions: molecules, operators, flows, Gaussian processes, agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from public_zoo.entry import Entry


class Equivariant(nn.Module):
    """A convolution over pairs of atoms, equivariant to rotations, of e3nn's parts."""

    def __init__(
        self, hidden: str = "8x0e + 4x1o", degree: int = 1, radius: float = 3.0, basis: str = "smooth_finite"
    ) -> None:
        from e3nn.nn import FullyConnectedNet
        from e3nn.o3 import FullyConnectedTensorProduct, Irreps, Linear

        super().__init__()
        self.radius, self.basis = radius, basis
        self.harmonics = Irreps.spherical_harmonics(degree)
        self.product = FullyConnectedTensorProduct("4x0e", self.harmonics, hidden, shared_weights=False)
        self.weigh = FullyConnectedNet([6, 16, self.product.weight_numel], torch.nn.functional.silu)
        self.out = Linear(hidden, "2x0e + 1x1o")

    def forward(self, features: Tensor, positions: Tensor) -> Tensor:
        """Sum the messages of all pairs; features [B, N, 4], positions [B, N, 3]."""
        from e3nn.math import soft_one_hot_linspace
        from e3nn.o3 import spherical_harmonics

        pairs = positions[:, :, None] - positions[:, None]
        lengths = (pairs.square().sum(-1) + 1e-6).sqrt()
        near = soft_one_hot_linspace(lengths, 0.0, self.radius, 6, basis=self.basis, cutoff=True) * 6**0.5
        angles = spherical_harmonics(self.harmonics, pairs, normalize=True, normalization="component")
        sent = features[:, None].expand(-1, positions.shape[1], -1, -1)
        messages = self.product(sent, angles, self.weigh(near))
        out: Tensor = self.out(messages.sum(2))
        return out


def equivariant_gate(layers: int = 2, scalars: int = 8, vectors: int = 4) -> nn.Module:
    """Build a stack of e3nn's linear layers and gates."""
    from e3nn.nn import Gate
    from e3nn.o3 import Linear

    stack: list[nn.Module] = []
    width = "4x0e + 2x1o"
    for _ in range(layers):
        gate = Gate(f"{scalars}x0e", [torch.tanh], f"{vectors}x0e", [torch.sigmoid], f"{vectors}x1o")
        stack += [Linear(width, gate.irreps_in), gate]
        width = str(gate.irreps_out)
    return nn.Sequential(*stack)


def operator(model: str = "FNO", activation: str = "gelu", **settings: Any) -> nn.Module:
    """Build a Fourier neural operator of neuralop."""
    import neuralop.models

    config: dict[str, Any] = {"in_channels": 1, "out_channels": 1, "hidden_channels": 8, "n_layers": 2}
    config |= {"n_modes": (4, 4), "non_linearity": getattr(torch.nn.functional, activation)}
    network: nn.Module = getattr(neuralop.models, model)(**{**config, **settings})
    return network


class Flow(nn.Module):
    """A normalizing flow of zuko or nflows, which returns the logarithm of a density."""

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow: Any = flow

    def forward(self, x: Tensor, context: Tensor) -> Any:
        """Return the logarithm of the density of each row."""
        return self.flow(context).log_prob(x) if hasattr(self.flow, "base") else self.flow.log_prob(x, context)


def zuko_flow(
    model: str = "NSF", hidden: Sequence[int] = (16, 16), activation: str = "ReLU", **settings: Any
) -> nn.Module:
    """Build a flow of zuko over four numbers, given three."""
    import zuko.flows

    config = {"features": 4, "context": 3, "transforms": 2, "hidden_features": tuple(hidden)}
    return Flow(getattr(zuko.flows, model)(**{**config, "activation": getattr(nn, activation), **settings}))


def nflows_flow(scale: str = "log_std", blocks: int = 1, tails: float = 3.0) -> nn.Module:
    """Build a flow of nflows of couplings and permutations, over four numbers, given three."""
    from nflows.distributions.normal import StandardNormal
    from nflows.flows import Flow as Chain
    from nflows.nn.nets import ResidualNet
    from nflows.transforms import (
        AffineCouplingTransform,
        CompositeTransform,
        PiecewiseRationalQuadraticCouplingTransform,
        ReversePermutation,
    )

    def net(inputs: int, outputs: int) -> nn.Module:
        made: nn.Module = ResidualNet(inputs, outputs, 16, context_features=3, num_blocks=blocks)
        return made

    mask = [1, 0, 1, 0]
    first = AffineCouplingTransform(mask, net)
    second = PiecewiseRationalQuadraticCouplingTransform(mask, net, num_bins=4, tails="linear", tail_bound=tails)
    order = [first, ReversePermutation(4), second] if scale == "log_std" else [second, ReversePermutation(4), first]
    return Flow(Chain(CompositeTransform(order), StandardNormal([4])))


def neural_ode(activation: str = "Tanh", steps: int = 5, **settings: Any) -> nn.Module:
    """Build torchdyn's neural ODE between two layers, as its tutorials have it."""
    from torchdyn.core import NeuralODE

    field = nn.Sequential(nn.Linear(4, 16), getattr(nn, activation)(), nn.Linear(16, 4))
    return Ode(
        NeuralODE(field, **{"solver": "rk4", "sensitivity": "autograd", "return_t_eval": False, **settings}), steps
    )


class Ode(nn.Module):
    """An ODE's last state, read out."""

    def __init__(self, ode: nn.Module, steps: int) -> None:
        super().__init__()
        self.ode, self.steps, self.head = ode, steps, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Integrate from 0 to 1."""
        times = torch.linspace(0, 1, self.steps, device=x.device, dtype=x.dtype)
        read: Tensor = self.head(self.ode(x, times)[-1])
        return read


class ContinuousDepth(nn.Module):
    """Torchdiffeq's solver around a convolution, as its MNIST example has it."""

    def __init__(self, method: str = "rk4", step: float = 0.25, groups: int = 4, horizon: float = 1.0) -> None:
        super().__init__()
        self.method, self.step, self.horizon = method, step, horizon
        self.stem = nn.Conv2d(1, 8, 3, 2)
        self.norm, self.conv = nn.GroupNorm(groups, 8), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Classify an image."""
        from torchdiffeq import odeint

        times = torch.tensor([0.0, self.horizon], device=image.device, dtype=image.dtype)
        state = odeint(
            lambda _, x: self.conv(self.norm(x).relu()),
            self.stem(image),
            times,
            method=self.method,
            options={"step_size": self.step},
        )[-1]
        logits: Tensor = self.head(state.mean((2, 3)))
        return logits


class DeepKernel(nn.Module):
    """A Gaussian process of gpytorch over features that a network learns; returns mean and variance."""

    def __init__(
        self, kernel: str = "RBFKernel", points: int = 6, mean: str = "ConstantMean", whiten: bool = True
    ) -> None:
        import gpytorch
        from gpytorch.models import ApproximateGP
        from gpytorch.variational import (
            CholeskyVariationalDistribution,
            UnwhitenedVariationalStrategy,
            VariationalStrategy,
        )

        class Process(ApproximateGP):
            def __init__(self) -> None:
                strategy = VariationalStrategy if whiten else UnwhitenedVariationalStrategy
                where = torch.linspace(-1, 1, points)[:, None].repeat(1, 2)
                where = where + 0.1 * torch.arange(2)
                super().__init__(strategy(self, where, CholeskyVariationalDistribution(points)))
                self.mean = getattr(gpytorch.means, mean)()
                self.kernel = gpytorch.kernels.ScaleKernel(getattr(gpytorch.kernels, kernel)())

            def forward(self, x: Tensor) -> Any:
                return gpytorch.distributions.MultivariateNormal(self.mean(x), self.kernel(x))

        super().__init__()
        self.features = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 2), nn.Tanh())
        self.process = Process()

    def forward(self, x: Tensor) -> Any:
        """Return the posterior's mean and variance."""
        posterior = self.process(self.features(x))
        return posterior.mean, posterior.variance


class Posterior(nn.Module):
    """Botorch's Gaussian process given eight points; returns mean and variance at others."""

    def __init__(self, kernel: str = "RBFKernel", standardise: bool = True, noise: float | None = None) -> None:
        import gpytorch.kernels
        from botorch.models import SingleTaskGP
        from botorch.models.transforms import Standardize

        super().__init__()
        x = torch.linspace(0, 1, 8, dtype=torch.float64)[:, None].repeat(1, 2)
        x[:, 1] = x[:, 1].square()
        y = torch.sin(6 * x[:, :1]) + x[:, 1:]
        noises = None if noise is None else torch.full_like(y, noise)
        transform = Standardize(m=1) if standardise else None
        covariance = gpytorch.kernels.ScaleKernel(getattr(gpytorch.kernels, kernel)())
        self.model = SingleTaskGP(x, y, noises, covar_module=covariance, outcome_transform=transform)

    def forward(self, x: Tensor) -> Any:
        """Return the posterior's mean and variance at each point on its own."""
        posterior = self.model.posterior(x[:, None])
        return posterior.mean, posterior.variance


class Amortised(nn.Module):
    """Pyro's autoregressive network as the guide of a small variational autoencoder."""

    def __init__(self, hidden: int = 16, nonlinearity: str = "ReLU", skip: bool = False) -> None:
        from pyro.nn import AutoRegressiveNN, DenseNN

        super().__init__()
        act = getattr(nn, nonlinearity)()
        self.encoder = DenseNN(8, [hidden], [4, 4], nonlinearity=act)
        order = torch.arange(4)
        self.flow = AutoRegressiveNN(4, [hidden], permutation=order, skip_connections=skip, nonlinearity=act)
        self.decoder = nn.Linear(4, 8)

    def forward(self, x: Tensor) -> Any:
        """Return the reconstruction and its evidence."""
        mean, log_scale = self.encoder(x)
        shift, log_slope = self.flow(mean)
        latent = mean * log_slope.exp() + shift
        return self.decoder(latent), (log_scale + log_slope).sum(-1)


def agent(activation: str = "Tanh", depth: int = 2, scale: str = "biased_softplus_1.0", cells: int = 16) -> nn.Module:
    """Build torchrl's policy of a normal distribution, which reads and writes a TensorDict."""
    from tensordict.nn import NormalParamExtractor, TensorDictModule
    from torchrl.modules import MLP

    mlp = MLP(in_features=6, out_features=4, depth=depth, num_cells=cells, activation_class=getattr(nn, activation))
    network: nn.Module = TensorDictModule(
        nn.Sequential(mlp, NormalParamExtractor(scale_mapping=scale)),
        in_keys=["observation"],
        out_keys=["loc", "scale"],
    )
    return network


def dueling(activation: str = "ELU", cells: int = 16, **settings: Any) -> nn.Module:
    """Build torchrl's dueling network of images."""
    from torchrl.modules import DuelingCnnDQNet

    cnn = {"num_cells": [4, 8], "kernel_sizes": [4, 3], "strides": [2, 1], "activation_class": getattr(nn, activation)}
    mlp = {"depth": 1, "num_cells": cells, "activation_class": getattr(nn, activation)}
    network: nn.Module = DuelingCnnDQNet(out_features=5, cnn_kwargs=cnn, mlp_kwargs=mlp, **settings)
    network(torch.zeros(1, 3, 32, 32))
    return network


class ActorCritic(nn.Module):
    """Tensordict's modules in a row: features, a policy and a value."""

    def __init__(self, hidden: int = 16, activation: str = "Tanh", shared: bool = True) -> None:
        from tensordict.nn import TensorDictModule, TensorDictSequential

        super().__init__()
        act = getattr(nn, activation)
        body = nn.Sequential(nn.Linear(6, hidden), act())
        source = "hidden" if shared else "observation"
        value = nn.Linear(hidden if shared else 6, 1)
        self.net = TensorDictSequential(
            TensorDictModule(body, ["observation"], ["hidden"]),
            TensorDictModule(nn.Linear(hidden, 3), ["hidden"], ["logits"]),
            TensorDictModule(value, [source], ["value"]),
        )

    def forward(self, observation: Tensor) -> Any:
        """Return the logits and the value."""
        _, logits, value = self.net(observation=observation)
        return logits, value


def observations(sizes: Mapping[str, int], seed: int) -> Any:
    """Make a TensorDict of observations."""
    from tensordict import TensorDict

    random = torch.Generator().manual_seed(seed)
    return TensorDict({"observation": torch.randn(sizes["B"], 6, generator=random)}, batch_size=[sizes["B"]])


def _named(library: str, target: str, inputs: tuple[str, ...], *changes: Mapping[str, Any], **more: Any) -> Entry:
    return Entry(library, f"public_zoo.science:{target}", inputs, changes=changes, **more)


E3NN: Final = [
    _named(
        "convolution",
        "Equivariant",
        ("B,N,4", "B,N,3"),
        {"degree": 2, "hidden": "8x0e + 4x1o + 2x2e"},
        {"radius": 4.0},
        {"basis": "gaussian"},
        {"hidden": "8x0e + 8x1o"},
        sizes=("N=4,6",),
    ),
    _named("gates", "equivariant_gate", ("B,10",), {"layers": 3}, {"vectors": 8}),
]
NEURALOP: Final = [
    _named(
        "FNO",
        "operator",
        ("B,1,16,16",),
        {"activation": "relu"},
        {"n_modes": [6, 6]},
        {"fno_skip": "identity"},
        {"positional_embedding": None},
        {"norm": "instance_norm"},
        {"use_channel_mlp": False},
    ),
]
ZUKO: Final = [
    _named(model, "zuko_flow", ("B,4", "B,3"), *changes, args={"model": model})
    for model, changes in (
        ("NSF", ({"bins": 6}, {"activation": "ELU"}, {"transforms": 3}, {"slope": 0.01})),
        ("MAF", ({"activation": "Tanh"}, {"hidden": [16]}, {"residual": True})),
        ("NICE", ({"activation": "ELU"}, {"transforms": 3})),
    )
]
NFLOWS: Final = [_named("couplings", "nflows_flow", ("B,4", "B,3"), {"scale": "after"}, {"blocks": 2}, {"tails": 2.0})]
TORCHDYN: Final = [
    _named(
        "NeuralODE",
        "neural_ode",
        ("B,4",),
        {"activation": "Softplus"},
        {"steps": 9},
        {"solver": "euler"},
        {"solver": "midpoint"},
    ),
]
TORCHDIFFEQ: Final = [
    _named(
        "ODENet",
        "ContinuousDepth",
        ("B,1,16,16",),
        {"method": "euler"},
        {"step": 0.5},
        {"groups": 2},
        {"horizon": 2.0},
        {"method": "midpoint"},
    ),
]
GPYTORCH: Final = [
    _named(
        "deep-kernel",
        "DeepKernel",
        ("B,5",),
        {"kernel": "MaternKernel"},
        {"points": 8},
        {"mean": "ZeroMean"},
        {"whiten": False},
    ),
]
BOTORCH: Final = [
    _named(
        "posterior", "Posterior", ("B,2:float64",), {"kernel": "MaternKernel"}, {"standardise": False}, {"noise": 0.01}
    )
]
PYRO: Final = [
    _named("autoregressive", "Amortised", ("B,8",), {"nonlinearity": "Tanh"}, {"skip": True}, {"hidden": 32})
]
TORCHRL: Final = [
    _named(
        "policy",
        "agent",
        (),
        {"activation": "ReLU"},
        {"scale": "exp"},
        {"depth": 3},
        inputs_from="public_zoo.science:observations",
    ),
    _named("dueling", "dueling", ("B,3,32,32",), {"activation": "ReLU"}, {"cells": 32}),
]
TENSORDICT: Final = [
    _named(
        "actor-critic", "ActorCritic", ("observation=B,6",), {"activation": "ReLU"}, {"shared": False}, {"hidden": 32}
    )
]
