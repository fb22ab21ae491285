"""Vision transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class Attention(nn.Module):
    """Multi-head self-attention with one linear layer for queries, keys and values.

    Forward: (B, N, dim) -> (B, N, dim).
    Size: 4 * dim * (dim + 1) parameters.

    Raises:
        ValueError: num_heads does not divide dim.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f"num_heads must divide dim, got {num_heads} heads and a dim of {dim}")
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Let every token attend to all tokens of its image."""
        heads = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)  # (3, B, heads, N, dim/heads)
        attended = scaled_dot_product_attention(heads[0], heads[1], heads[2])  # (B, heads, N, dim/heads)
        out: Tensor = self.out(attended.transpose(1, 2).flatten(2))  # (B, N, dim)
        return out


class EncoderBlock(nn.Module):
    """Attention and a two-layer perceptron, each behind a layer norm and beside a shortcut.

    Forward: (B, N, dim) -> (B, N, dim).
    Size: 4 * dim * (dim + 2) + dim * (2 * mlp_dim + 1) + mlp_dim parameters.

    Raises:
        ValueError: num_heads does not divide dim.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, equations 2 and 3.
    """

    def __init__(self, dim: int, num_heads: int, mlp_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attention = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Add what attention, then the perceptron, makes of the tokens to the tokens."""
        x = x + self.attention(self.norm1(x))  # (B, N, dim)
        out: Tensor = x + self.mlp(self.norm2(x))  # (B, N, dim)
        return out


class VisionTransformer(nn.Module):
    """A transformer encoder over the patches of an image, classified by an extra learnt token.

    Forward: (B, in_channels, image_size, image_size) -> (B, num_classes) logits.
    Size: see `vit`, which builds it.
    """

    def __init__(
        self,
        num_patches: int,
        patch_size: int,
        in_channels: int,
        num_classes: int,
        dim: int,
        depth: int,
        num_heads: int,
        mlp_dim: int,
    ) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.patch_embedding = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size)
        self.position_embedding = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, num_patches + 1, dim), std=0.02))
        self.blocks = nn.Sequential(*(EncoderBlock(dim, num_heads, mlp_dim) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Classify a batch of images."""
        patches = self.patch_embedding(x).flatten(2).transpose(1, 2)  # (B, num_patches, dim)
        tokens = torch.cat([self.class_token.expand(x.shape[0], -1, -1), patches], dim=1)  # (B, 1 + num_patches, dim)
        encoded = self.norm(self.blocks(tokens + self.position_embedding))  # (B, 1 + num_patches, dim)
        logits: Tensor = self.head(encoded[:, 0])  # (B, num_classes)
        return logits


def vit(
    image_size: int = 28,
    patch_size: int = 4,
    in_channels: int = 1,
    num_classes: int = 10,
    *,
    dim: int = 128,
    depth: int = 6,
    num_heads: int = 4,
    mlp_dim: int = 256,
) -> VisionTransformer:
    """Vision transformer, by default a small one for Fashion-MNIST.

    Forward: (B, in_channels, image_size, image_size) -> (B, num_classes) logits.
    Size: 805,130 parameters at the defaults; 86,567,656 as ViT-B/16 (image_size=224, patch_size=16, in_channels=3,
        num_classes=1000, dim=768, depth=12, num_heads=12, mlp_dim=3072).

    Raises:
        ValueError: patch_size does not divide image_size, num_heads does not divide dim, or depth < 1.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, without its pre-logits layer, as torchvision.
    """
    if patch_size < 1 or image_size < patch_size or image_size % patch_size:
        raise ValueError(f"patch_size must divide image_size, got patches of {patch_size} in images of {image_size}")
    if depth < 1:
        raise ValueError(f"depth must be positive, got {depth}")
    num_patches = (image_size // patch_size) ** 2
    return VisionTransformer(num_patches, patch_size, in_channels, num_classes, dim, depth, num_heads, mlp_dim)
