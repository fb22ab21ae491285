"""Bugs of mixtures of experts."""

from defect_zoo.case import bug, rewrite

DEFECTS = [
    bug(
        "the balance gets no gradient, as the tensor that carries it is not used",
        "NVIDIA-NeMo/Automodel#1408",
        "detached gradient",
        "weights = apply_loss(weights, balance)",
        "apply_loss(weights, balance)",
        "layer.router",
    ),
]

REWRITES = [
    rewrite(
        "outputs weighted by einsum",
        (
            "(outputs * (chosen * weights)[:, :, None]).sum(dim=-1)",
            'torch.einsum("btde,bte->btd", outputs, chosen * weights)',
        ),
    ),
]
