"""Networks of libraries for tables, series and recommendations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from public_zoo.entry import Entry


class TabNet(nn.Module):
    """Pytorch-tabnet's network; its own takes the groups of features as a tensor."""

    def __init__(self, **settings: Any) -> None:
        from pytorch_tabnet.tab_network import TabNet as Network

        super().__init__()
        config = {"input_dim": 10, "output_dim": 3, "n_d": 8, "n_a": 8, "n_steps": 3, "virtual_batch_size": 64}
        self.network = Network(**{**config, "group_attention_matrix": torch.eye(10), **settings})

    def forward(self, x: Tensor) -> Any:
        """Return the predictions and the loss of sparsity."""
        return self.network(x)


def tab_transformer(**settings: Any) -> nn.Module:
    """Build tab-transformer-pytorch's TabTransformer."""
    from tab_transformer_pytorch import TabTransformer

    config = {"categories": (4, 3, 5), "num_continuous": 4, "dim": 16, "dim_out": 1, "depth": 2, "heads": 2}
    network: nn.Module = TabTransformer(**{**config, "dim_head": 8, "mlp_act": nn.ReLU(), **settings})
    return network


def ft_transformer(**settings: Any) -> nn.Module:
    """Build tab-transformer-pytorch's FT-Transformer."""
    from tab_transformer_pytorch import FTTransformer

    config = {"categories": (4, 3, 5), "num_continuous": 4, "dim": 16, "dim_out": 1, "depth": 2, "heads": 2}
    network: nn.Module = FTTransformer(**{**config, "dim_head": 8, **settings})
    return network


def deepctr(model: str, hidden: Sequence[int] = (16, 8), **settings: Any) -> nn.Module:
    """Build a network of deepctr-torch over two features of words and one number."""
    import deepctr_torch.models
    from deepctr_torch.inputs import DenseFeat, SparseFeat

    columns = [SparseFeat("user", 10, embedding_dim=4), SparseFeat("item", 12, embedding_dim=4), DenseFeat("age", 1)]
    network: nn.Module = getattr(deepctr_torch.models, model)(
        columns, columns, dnn_hidden_units=tuple(hidden), init_std=0.1, **settings
    )
    return network


def clicks(sizes: Mapping[str, int], seed: int) -> Tensor:
    """Make rows of a user, an item and an age, as numbers of one table."""
    random = torch.Generator().manual_seed(seed)
    rows = sizes["B"]
    user, item = (torch.randint(0, size, (rows, 1), generator=random) for size in (10, 12))
    return torch.cat([user, item, torch.rand(rows, 1, generator=random)], 1)


def forecaster(model: str, **settings: Any) -> nn.Module:
    """Build a network of neuralforecast for a horizon of 6 of 24 steps."""
    import neuralforecast.models

    network: nn.Module = getattr(neuralforecast.models, model)(h=6, input_size=24, **settings)
    return network


def windows(sizes: Mapping[str, int], seed: int) -> tuple[dict[str, Any]]:
    """Make the windows of series that networks of neuralforecast take."""
    random = torch.Generator().manual_seed(seed)
    rows = sizes["B"]
    series = torch.randn(rows, 24, 1, generator=random)
    empty: dict[str, Any] = dict.fromkeys(("hist_exog", "futr_exog", "stat_exog", "cat_exog"))
    return ({"insample_y": series, "insample_mask": torch.ones(rows, 24, 1), **empty},)


class Forecast(nn.Module):
    """A sub-network of pytorch-forecasting's temporal fusion transformer, around its gates and variable selection."""

    def __init__(self, hidden: int = 16, dropout: float = 0.1, heads: int = 2, context: int | None = None) -> None:
        from pytorch_forecasting.models.temporal_fusion_transformer.sub_modules import (
            GatedResidualNetwork,
            InterpretableMultiHeadAttention,
            VariableSelectionNetwork,
        )

        super().__init__()
        sizes = {"price": 8, "day": 4}
        self.select = VariableSelectionNetwork(sizes, hidden, dropout=dropout, context_size=context)
        self.rnn = nn.LSTM(hidden, hidden, batch_first=True)
        self.enrich = GatedResidualNetwork(hidden, hidden, hidden, dropout)
        self.attention = InterpretableMultiHeadAttention(heads, hidden, dropout)
        self.head = nn.Linear(hidden, 7)

    def forward(self, price: Tensor, day: Tensor) -> Any:
        """Return seven quantiles for each step."""
        selected, _ = self.select({"price": price, "day": day})
        enriched = self.enrich(self.rnn(selected)[0])
        attended, weights = self.attention(enriched, enriched, enriched)
        return self.head(attended), weights


TABNET: Final = [
    Entry(
        "TabNet",
        "public_zoo.tables:TabNet",
        ("B,10",),
        changes=(
            {"gamma": 1.5},
            {"mask_type": "entmax"},
            {"n_steps": 4},
            {"momentum": 0.1},
            {"n_shared": 1},
            {"virtual_batch_size": 2},
        ),
    )
]
TABLES: Final = [
    Entry(
        "TabTransformer",
        "public_zoo.tables:tab_transformer",
        ("B,3:int64<3", "B,4"),
        changes=({"mlp_hidden_mults": [2, 2]}, {"attn_dropout": 0.1}, {"use_shared_categ_embed": False}, {"heads": 4}),
    ),
    Entry(
        "FTTransformer",
        "public_zoo.tables:ft_transformer",
        ("B,3:int64<3", "B,4"),
        changes=({"ff_dropout": 0.1}, {"heads": 4}, {"depth": 3}),
    ),
]
RTDL: Final = [
    Entry(
        "FTTransformer",
        "rtdl_revisiting_models:FTTransformer",
        ("B,4", "B,2:int64<3"),
        {"n_cont_features": 4, "cat_cardinalities": [3, 5], "d_out": 1, "n_blocks": 2, "d_block": 16}
        | {"attention_n_heads": 2, "attention_dropout": 0.2, "ffn_d_hidden_multiplier": 2.0, "ffn_dropout": 0.1}
        | {"residual_dropout": 0.0},
        changes=(
            {"attention_n_heads": 4},
            {"residual_dropout": 0.1},
            {"ffn_dropout": 0.2},
            {"ffn_d_hidden_multiplier": 1.0},
        ),
    ),
    Entry(
        "ResNet",
        "rtdl_revisiting_models:ResNet",
        ("B,8",),
        {
            "d_in": 8,
            "d_out": 2,
            "n_blocks": 2,
            "d_block": 16,
            "d_hidden_multiplier": 2.0,
            "dropout1": 0.1,
            "dropout2": 0.0,
        },
        changes=({"dropout1": 0.3}, {"dropout2": 0.1}, {"d_hidden_multiplier": 1.5}),
    ),
    Entry(
        "MLP",
        "rtdl_revisiting_models:MLP",
        ("B,8",),
        {"d_in": 8, "d_out": 2, "n_blocks": 2, "d_block": 16, "dropout": 0.1},
        changes=({"dropout": 0.2}, {"n_blocks": 3}),
    ),
]
DEEPCTR: Final = [
    Entry(
        model,
        "public_zoo.tables:deepctr",
        args={"model": model},
        inputs_from="public_zoo.tables:clicks",
        changes=({"dnn_activation": "sigmoid"}, {"dnn_use_bn": True}, {"dnn_dropout": 0.2}, *extra),
    )
    for model, extra in (
        ("DeepFM", ({"use_fm": False},)),
        ("DCN", ({"cross_num": 3}, {"cross_parameterization": "matrix"})),
    )
]
NEURALFORECAST: Final = [
    Entry(
        model,
        "public_zoo.tables:forecaster",
        args={"model": model, **args},
        inputs_from="public_zoo.tables:windows",
        changes=changes,
    )
    for model, args, changes in (
        (
            "NHITS",
            {"mlp_units": [[16, 16]] * 3},
            ({"pooling_mode": "AvgPool1d"}, {"interpolation_mode": "nearest"}, {"activation": "SELU"}),
        ),
        ("NBEATS", {"mlp_units": [[16, 16]] * 3}, ({"n_harmonics": 3}, {"n_basis": 3}, {"activation": "Tanh"})),
        ("DLinear", {"moving_avg_window": 5}, ({"moving_avg_window": 7}, {"moving_avg_window": 3})),
        (
            "PatchTST",
            {
                "hidden_size": 16,
                "n_heads": 2,
                "encoder_layers": 1,
                "linear_hidden_size": 32,
                "patch_len": 4,
                "stride": 2,
            },
            ({"batch_normalization": True}, {"revin": False}, {"activation": "relu"}),
        ),
    )
]
FORECASTING: Final = [
    Entry(
        "fusion",
        "public_zoo.tables:Forecast",
        ("price=B,12,1", "day=B,12,1"),
        changes=({"heads": 4}, {"dropout": 0.2}, {"hidden": 32}),
    )
]
