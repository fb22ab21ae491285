"""Networks as they are trained: fine-tuned (peft), in Lightning's modules, with targets (torchvision), on graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from public_zoo.entry import Entry

BERT: Final = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}
LLAMA: Final = {**BERT, "num_key_value_heads": 2, "head_dim": 8}
IDS: Final = "input_ids=B,12:int64<50"
MASK: Final = "attention_mask=B,12:int64<2"


def adapted(kind: str = "LoraConfig", base: Mapping[str, Any] | None = None, **settings: Any) -> nn.Module:
    """Build a small LLaMA with one of peft's adapters."""
    import peft
    import transformers

    config_class: Any = transformers.LlamaConfig
    model = transformers.LlamaForCausalLM(config_class(**{**LLAMA, **(base or {})}))
    network: nn.Module = peft.get_peft_model(model, getattr(peft, kind)(task_type="CAUSAL_LM", **settings))
    return network


class SentenceEncoder(nn.Module):
    """Sentence-transformers' pooling over a small BERT, with a dense layer, and normalized."""

    def __init__(
        self, pooling: str = "mean", normalise: bool = True, width: int = 16, bert: Mapping[str, Any] | None = None
    ) -> None:
        import transformers
        from sentence_transformers.models import Dense, Normalize, Pooling

        super().__init__()
        config_class: Any = transformers.BertConfig
        self.bert = transformers.BertModel(config_class(**{**BERT, **(bert or {})}))
        layers: list[nn.Module] = [Pooling(32, pooling_mode=pooling)]
        self.pool = nn.Sequential(*layers, Dense(32, width), *([Normalize()] if normalise else []))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return an embedding of each sentence."""
        tokens = self.bert(input_ids, attention_mask).last_hidden_state
        made: Tensor = self.pool({"token_embeddings": tokens, "attention_mask": attention_mask})["sentence_embedding"]
        return made


def lightning_classifier(hidden: int = 16, smoothing: float = 0.1, dropout: float = 0.2) -> nn.Module:
    """Build a classifier as Lightning's tutorials have it: forward, training step and metrics in one module."""
    import lightning
    import torchmetrics

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.save_hyperparameters({"hidden": hidden, "smoothing": smoothing})
            self.net = nn.Sequential(
                nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
            )
            self.head = nn.Sequential(nn.Linear(8, hidden), nn.Dropout(dropout), nn.ReLU(), nn.Linear(hidden, 5))
            self.loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
            self.accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=5)

        def forward(self, image: Tensor, label: Tensor) -> Any:
            logits = self.head(self.net(image))
            return logits, self.loss(logits, label)

        def training_step(self, batch: Any, _: int) -> Tensor:
            logits, loss = self(*batch)
            self.accuracy(logits, batch[1])
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    return Classifier()


class LightningGAN(nn.Module):
    """The two networks of Lightning's GAN tutorial, run one after the other."""

    def __init__(self, slope: float = 0.2, latent: int = 8, last: str = "Tanh") -> None:
        super().__init__()
        self.generator = nn.Sequential(
            nn.Linear(latent, 16), nn.BatchNorm1d(16, 0.8), nn.LeakyReLU(slope), nn.Linear(16, 64), getattr(nn, last)()
        )
        self.discriminator = nn.Sequential(nn.Linear(64, 16), nn.LeakyReLU(slope), nn.Linear(16, 1), nn.Sigmoid())

    def forward(self, noise: Tensor) -> Tensor:
        """Return how real the generated images look."""
        score: Tensor = self.discriminator(self.generator(noise))
        return score


def detector(name: str = "fasterrcnn_resnet50_fpn", **settings: Any) -> nn.Module:
    """Build a detector of torchvision on small images, with few regions."""
    from torchvision.models import detection

    few = {"rpn_post_nms_top_n_test": 20, "rpn_post_nms_top_n_train": 20, "box_detections_per_img": 5}
    config = {"num_classes": 4, "weights": None, "weights_backbone": None}
    config |= {} if name.startswith("ssd") else {"min_size": 64, "max_size": 64}  # an SSD has its own size
    network: nn.Module = getattr(detection, name)(**{**config, **(few if "rcnn" in name else {}), **settings})
    return network


def photographs(sizes: Mapping[str, int], seed: int, train: bool) -> Any:
    """Make a list of images, and in train mode what is to be found on them: boxes, labels, masks and joints."""
    random = torch.Generator().manual_seed(seed)
    images = [torch.rand(3, 64, 64, generator=random) for _ in range(sizes["B"])]
    if not train:
        return (images,)
    boxes = torch.tensor([[4.0, 4.0, 30.0, 40.0], [20.0, 10.0, 60.0, 50.0]])
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    masks[0, 4:40, 4:30], masks[1, 10:50, 20:60] = 1, 1
    joints = torch.tensor([[[10.0, 12.0, 1.0]] * 17, [[30.0, 30.0, 1.0]] * 17])
    target = {"boxes": boxes, "labels": torch.tensor([1, 2]), "masks": masks, "keypoints": joints}
    return images, [{key: value.clone() for key, value in target.items()} for _ in images]


class GraphClassifier(nn.Module):
    """A network of torch_geometric that classifies the graphs of a batch, as its tutorials have it."""

    def __init__(self, conv: str = "GCNConv", pool: str = "global_mean_pool", **settings: Any) -> None:
        from torch_geometric import nn as gnn

        super().__init__()
        conv_class = getattr(gnn, conv)
        self.conv1, self.conv2 = conv_class(8, 16, **settings), conv_class(16, 16, **settings)
        self.norm = gnn.BatchNorm(16)
        self.pool = getattr(gnn, pool)
        self.head = nn.Linear(16, 3)

    def forward(self, data: Any) -> Tensor:
        """Return the logits of each graph."""
        x = F.relu(self.norm(self.conv1(data.x, data.edge_index)))
        x = F.dropout(self.conv2(x, data.edge_index), 0.5, self.training)
        logits: Tensor = self.head(self.pool(x, data.batch))
        return logits


class EdgeClassifier(nn.Module):
    """A network of torch_geometric over edges with features, given a plain graph."""

    def __init__(self, conv: str = "TransformerConv", **settings: Any) -> None:
        from torch_geometric import nn as gnn

        super().__init__()
        self.conv = getattr(gnn, conv)(8, 16, edge_dim=4, **settings)
        self.norm = gnn.GraphNorm(16)
        self.head = nn.Linear(16, 3)

    def forward(self, data: Any) -> Tensor:
        """Return the logits of each node."""
        logits: Tensor = self.head(self.norm(self.conv(data.x, data.edge_index, data.edge_attr), data.batch).relu())
        return logits


def graphs(sizes: Mapping[str, int], seed: int) -> Any:
    """Make a batch of graphs with features at their nodes and edges."""
    from torch_geometric.data import Batch, Data

    random = torch.Generator().manual_seed(seed)

    def graph(nodes: int) -> Any:
        edges = torch.randint(nodes, (2, 12), generator=random)
        return Data(
            x=torch.randn(nodes, 8, generator=random),
            edge_index=edges,
            edge_attr=torch.randn(12, 4, generator=random),
        )

    return Batch.from_data_list([graph(4 + i) for i in range(sizes["B"])])


class Heterogeneous(nn.Module):
    """A network of torch_geometric over users and items."""

    def __init__(self, aggregate: str = "sum", conv: str = "SAGEConv", heads: int = 1) -> None:
        from torch_geometric import nn as gnn

        super().__init__()
        convs = {"SAGEConv": lambda: gnn.SAGEConv((-1, -1), 8)}
        convs["GATConv"] = lambda: gnn.GATConv((-1, -1), 8 // heads, heads=heads, add_self_loops=False)
        edges = [("user", "buys", "item"), ("item", "bought_by", "user"), ("user", "knows", "user")]
        self.conv = gnn.HeteroConv({edge: convs[conv]() for edge in edges}, aggr=aggregate)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Mapping[str, Tensor], edges: Mapping[tuple[str, str, str], Tensor]) -> Tensor:
        """Return the logits of each user."""
        logits: Tensor = self.head(self.conv(x, edges)["user"].relu())
        return logits


def purchases(sizes: Mapping[str, int], seed: int) -> Any:
    """Make users, items and who bought what."""
    random = torch.Generator().manual_seed(seed)
    users, items = sizes["B"], 5
    buys = torch.stack([torch.randint(users, (9,), generator=random), torch.randint(items, (9,), generator=random)])
    x = {"user": torch.randn(users, 4, generator=random), "item": torch.randn(items, 6, generator=random)}
    known = torch.randint(users, (2, 6), generator=random)
    return x, {
        ("user", "buys", "item"): buys,
        ("item", "bought_by", "user"): buys.flip(0),
        ("user", "knows", "user"): known,
    }


def video(name: str, norm: str = "BatchNorm3d", activation: str = "ReLU", **settings: Any) -> nn.Module:
    """Build a network of pytorchvideo, small."""
    from pytorchvideo.models import csn, r2plus1d, resnet, x3d

    factories = {"x3d": x3d.create_x3d, "csn": csn.create_csn, "r2plus1d": r2plus1d.create_r2plus1d}
    factory = factories.get(name, resnet.create_resnet)
    network: nn.Module = factory(norm=getattr(nn, norm), activation=getattr(nn, activation), **settings)
    return network


def mvit(**settings: Any) -> nn.Module:
    """Build pytorchvideo's multiscale vision transformer, small."""
    from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers

    config: dict[str, Any] = {"spatial_size": 32, "temporal_size": 4, "depth": 2, "patch_embed_dim": 16, "num_heads": 2}
    config |= {"conv_patch_embed_kernel": (3, 7, 7), "head_num_classes": 5, "pool_q_stride_size": [[1, 1, 2, 2]]}
    network: nn.Module = create_multiscale_vision_transformers(**{**config, **settings})
    return network


def _adapter(name: str, settings: Mapping[str, Any], *changes: Mapping[str, Any]) -> Entry:
    args = {"kind": f"{name}Config", "target_modules": ["q_proj", "v_proj"], **settings}
    return Entry(name, "public_zoo.training:adapted", (IDS, MASK), args, changes=changes)


PEFT: Final = [
    _adapter(
        "Lora",
        {"r": 4, "lora_alpha": 8},
        {"lora_alpha": 16},
        {"lora_dropout": 0.1},
        {"use_rslora": True},
        {"target_modules": ["q_proj", "k_proj"]},
        {"use_dora": True},
    ),
    _adapter("LoHa", {"r": 2, "alpha": 4}, {"alpha": 8}, {"module_dropout": 0.1}),
    _adapter("LoKr", {"r": 2, "alpha": 4}, {"alpha": 8}, {"decompose_both": True, "decompose_factor": 2}),
    _adapter(
        "IA3", {"feedforward_modules": []}, {"target_modules": ["k_proj", "v_proj"]}, {"base": {"rms_norm_eps": 1e-5}}
    ),
    Entry(
        "PrefixTuning",
        "public_zoo.training:adapted",
        (IDS, MASK),
        {"kind": "PrefixTuningConfig", "num_virtual_tokens": 3},
        changes=({"num_virtual_tokens": 4}, {"prefix_projection": True, "encoder_hidden_size": 16}),
    ),
]
SENTENCES: Final = [
    Entry(
        "SentenceEncoder",
        "public_zoo.training:SentenceEncoder",
        ("B,12:int64<50", "B,12:int64<2"),
        changes=({"pooling": "cls"}, {"pooling": "max"}, {"normalise": False}, {"bert": {"hidden_act": "relu"}}),
    )
]
LIGHTNING: Final = [
    Entry(
        "classifier",
        "public_zoo.training:lightning_classifier",
        ("B,3,16,16", "B:int64<5"),
        changes=({"smoothing": 0.0}, {"dropout": 0.5}, {"hidden": 32}),
    ),
    Entry(
        "GAN",
        "public_zoo.training:LightningGAN",
        ("B,8",),
        changes=({"slope": 0.1}, {"last": "Sigmoid"}, {"latent": 8, "last": "Identity"}),
    ),
]
DETECTORS: Final = [
    Entry(
        f"{name}-with-targets",
        "public_zoo.training:detector",
        args={"name": name, **args},
        inputs_from="public_zoo.training:photographs",
        changes=changes,
    )
    for name, args, changes in (
        (
            "fasterrcnn_resnet50_fpn",
            {},
            ({"box_nms_thresh": 0.3}, {"box_fg_iou_thresh": 0.7}, {"image_mean": [0.5] * 3}),
        ),
        (
            "maskrcnn_resnet50_fpn",
            {},
            ({"rpn_fg_iou_thresh": 0.5}, {"box_batch_size_per_image": 8}, {"num_classes": 5}),
        ),
        ("keypointrcnn_resnet50_fpn", {"num_classes": 2}, ({"rpn_nms_thresh": 0.5}, {"rpn_fg_iou_thresh": 0.5})),
        ("retinanet_resnet50_fpn", {}, ({"score_thresh": 0.2}, {"fg_iou_thresh": 0.6}, {"topk_candidates": 10})),
        ("fcos_resnet50_fpn", {}, ({"center_sampling_radius": 2.5}, {"nms_thresh": 0.3}, {"image_std": [0.5] * 3})),
        ("ssdlite320_mobilenet_v3_large", {}, ({"nms_thresh": 0.3}, {"image_mean": [0.4] * 3})),
    )
]
GRAPHS: Final = [
    Entry(
        "graph-classifier",
        "public_zoo.training:GraphClassifier",
        inputs_from="public_zoo.training:graphs",
        changes=({"pool": "global_add_pool"}, {"pool": "global_max_pool"}, {"normalize": False}, {"bias": False}),
    ),
    Entry(
        "edge-transformer",
        "public_zoo.training:EdgeClassifier",
        args={"conv": "TransformerConv"},
        inputs_from="public_zoo.training:graphs",
        changes=({"beta": True}, {"root_weight": False}, {"dropout": 0.1}, {"heads": 4, "concat": False}),
    ),
    Entry(
        "edge-attention",
        "public_zoo.training:EdgeClassifier",
        args={"conv": "GATv2Conv"},
        inputs_from="public_zoo.training:graphs",
        changes=({"negative_slope": 0.1}, {"add_self_loops": False}, {"share_weights": True}, {"fill_value": "add"}),
    ),
    Entry(
        "heterogeneous",
        "public_zoo.training:Heterogeneous",
        inputs_from="public_zoo.training:purchases",
        changes=({"aggregate": "mean"}, {"conv": "GATConv"}, {"aggregate": "max"}),
    ),
]
CLIP: Final = ("B,3,4,32,32",)
VIDEO: Final = [
    Entry(
        "resnet",
        "public_zoo.training:video",
        ("B,3,8,64,64",),
        {"name": "resnet", "model_num_class": 5, "stem_dim_out": 8, "head_pool_kernel_size": [8, 2, 2]},
        changes=(
            {"dropout_rate": 0.2},
            {"norm": "InstanceNorm3d"},
            {"activation": "SiLU"},
            {"head_output_size": [2, 1, 1]},
        ),
    ),
    Entry(
        "x3d",
        "public_zoo.training:video",
        ("B,3,4,64,64",),
        {"name": "x3d", "input_clip_length": 4, "input_crop_size": 64, "model_num_class": 5, "depth_factor": 1.0},
        changes=({"se_ratio": 0.25}, {"dropout_rate": 0.2}, {"norm_eps": 1e-3}, {"activation": "SiLU"}),
    ),
    Entry(
        "mvit",
        "public_zoo.training:mvit",
        CLIP,
        changes=(
            {"qkv_bias": False},
            {"cls_embed_on": False},
            {"sep_pos_embed": False},
            {"dropout_rate_block": 0.1},
            {"droppath_rate_block": 0.1},
        ),
    ),
]
