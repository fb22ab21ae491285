"""Networks of transformers and diffusers from configuration files."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.network.build import build_network, prepare_network
from tests.unit.network.user_files import failure

BERT = {
    "architectures": ["BertForMaskedLM"],
    "model_type": "bert",
    "attention_probs_dropout_prob": 0.1,
    "hidden_size": 32,
    "id2label": {"0": "no", "1": "yes", "2": "maybe"},
    "label2id": {"no": 0, "yes": 1, "maybe": 2},
    "intermediate_size": 64,
    "max_position_embeddings": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "torch_dtype": "float32",
    "transformers_version": "4.6.0",
    "vocab_size": 100,
    "anything_of_the_authors": True,
}
CLIP = {
    "model_type": "clip",
    "projection_dim": 8,
    "text_config": {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 50},
    "vision_config": {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "image_size": 32},
}
UNET = {
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.1.0",
    "block_out_channels": [8, 16],
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 16,
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
}
PIPELINE = {"_class_name": "DDPMPipeline", "scheduler": ["diffusers", "DDPMScheduler"], "unet": ["diffusers", "UNet"]}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reaches for the network fails."""

    def refuse(*args: object) -> None:
        raise AssertionError(f"a connection to {args[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for library in ("transformers", "diffusers"):
        pytest.importorskip(library)
    files = {"bert": BERT, "clip": CLIP, "unet": UNET, "model_index": PIPELINE, "list": [], "empty": {}}
    files |= {"custom": BERT | {"architectures": ["MyBert"], "auto_map": {"AutoModel": "code.MyBert"}}}
    files |= {
        "unknown": {"model_type": "brt"},
        "odd": {"model_type": ["bert"]},
        "no_architectures": {**BERT, "architectures": None},
    }
    for name, values in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    (tmp_path / "broken.json").write_text("{")
    return tmp_path


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# By hand, with width 32: embeddings 100*32 + 16*32 + 2*32 + 64 = 3,840; a layer has 4*(32*32+32) + 64 for attention and
# 32*64+64 + 64*32+32 + 64 behind it, 8,544; the head 32*32+32 + 64 + 100 with the embedding's weights, a pooler 1,056.
EMBEDDINGS, LAYER, HEAD, POOLER = 3_840, 8_544, 1_220, 1_056


@pytest.mark.parametrize(
    ("target", "args", "kind", "parameters"),
    [
        ("bert.json", {}, "BertForMaskedLM", EMBEDDINGS + 2 * LAYER + HEAD),
        ("bert.json", {"num_hidden_layers": 1}, "BertForMaskedLM", EMBEDDINGS + LAYER + HEAD),
        ("bert.json:BertModel", {}, "BertModel", EMBEDDINGS + 2 * LAYER + POOLER),
        ("bert.json:BertModel", {"add_pooling_layer": False}, "BertModel", EMBEDDINGS + 2 * LAYER),
        ("bert.json:AutoModel", {}, "BertModel", EMBEDDINGS + 2 * LAYER + POOLER),
        ("no_architectures.json", {}, "BertModel", EMBEDDINGS + 2 * LAYER + POOLER),
        ("custom.json:AutoModel", {}, "BertModel", EMBEDDINGS + 2 * LAYER + POOLER),
        ("bert.json:BertForSequenceClassification", {}, "BertForSequenceClassification",
         EMBEDDINGS + 2 * LAYER + POOLER + 3 * 33),
        ("bert.json:AutoModelForSequenceClassification", {"num_labels": 7}, "BertForSequenceClassification",
         EMBEDDINGS + 2 * LAYER + POOLER + 7 * 33),
    ],
)  # fmt: skip
def test_a_network_of_transformers(target: str, args: dict[str, Any], kind: str, parameters: int, models: Path) -> None:
    network = build_network(f"transformers:{target}", args, models)
    assert (type(network).__name__, num_parameters(network)) == (kind, parameters)


def test_settings_that_are_no_fields(models: Path) -> None:
    args = {"attn_implementation": "eager", "torch_dtype": "bfloat16", "output_attentions": True}
    config: Any = build_network("transformers:bert.json", args, models).config
    assert (config._attn_implementation, config.dtype, config.output_attentions) == ("eager", torch.bfloat16, True)
    network = build_network("transformers:bert.json", {"dtype": "torch.float16"}, models)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float16}


def test_a_configuration_within_a_configuration_keeps_what_the_file_says(models: Path) -> None:
    config: Any = build_network("transformers:clip.json", {"text_config": {"vocab_size": 60}}, models).config
    assert (config.text_config.vocab_size, config.text_config.hidden_size) == (60, 16)


def test_a_network_of_diffusers(models: Path) -> None:
    import diffusers

    values = {key: value for key, value in UNET.items() if not key.startswith("_")}
    made: Any = diffusers.UNet2DModel
    theirs = made(**{**values, "sample_size": 8, "layers_per_block": 2})
    ours = build_network("diffusers:unet.json", {"sample_size": 8, "layers_per_block": 2}, models)
    assert type(ours).__name__ == "UNet2DModel"
    assert {key: one.shape for key, one in ours.state_dict().items()} == {
        key: one.shape for key, one in theirs.state_dict().items()
    }
    conditional = build_network("diffusers:unet.json:UNet2DConditionModel", {"sample_size": 8}, models)
    assert type(conditional).__name__ == "UNet2DConditionModel"


def test_a_map_for_an_argument_that_is_a_configuration(models: Path) -> None:
    args = {
        "config": {key: value for key, value in BERT.items() if "2" not in key and key != "anything_of_the_authors"}
    }
    network = build_network("transformers:BertModel", args, models)
    assert num_parameters(network) == EMBEDDINGS + 2 * LAYER + POOLER


def test_a_users_own_class_of_transformers_names_its_configuration(models: Path) -> None:
    (models / "mine.py").write_text(
        "from torch import nn\nfrom transformers import BertConfig, PreTrainedModel\n"
        "class Mine(PreTrainedModel):\n    config_class = BertConfig\n"
        "    def __init__(self, config):\n        super().__init__(config)\n"
        "        self.fc = nn.Linear(config.hidden_size, 1)\n"
    )
    network = build_network("mine.py:Mine", {"config": {"hidden_size": 7}}, models)
    assert num_parameters(network) == 8
    assert failure("mine.py:Mine", models, {"config": {"hiden_size": 7}}).keys == ("config", "hiden_size")


def test_each_build_has_a_configuration_of_its_own(models: Path) -> None:
    build = prepare_network("transformers:clip.json", {"text_config": {"vocab_size": 60}}, models)
    first, second = build(), build()
    assert first.config is not second.config


@pytest.mark.parametrize(
    ("target", "args", "message", "keys"),
    [
        ("transformers:bert.json", {"hiden_size": 1}, "transformers:bert.json accepts no argument 'hiden_size': did you"
         " mean 'hidden_size'?", ("hiden_size",)),
        ("transformers:bert.json:BertModel", {"add_poling_layer": True}, "transformers:bert.json:BertModel accepts no"
         " argument 'add_poling_layer': did you mean 'add_pooling_layer'?", ("add_poling_layer",)),
        ("transformers:clip.json", {"text_config": {"hiden_size": 1}}, "text_config: CLIPTextConfig accepts no argument"
         " 'hiden_size': did you mean 'hidden_size'?", ("text_config", "hiden_size")),
        ("transformers:BertModel", {"config": {"hiden_size": 1}}, "config: BertConfig accepts no argument 'hiden_size':"
         " did you mean 'hidden_size'?", ("config", "hiden_size")),
        ("diffusers:unet.json", {"sampl_size": 1}, "diffusers:unet.json accepts no argument 'sampl_size': did you mean"
         " 'sample_size'?", ("sampl_size",)),
    ],
)  # fmt: skip
def test_a_key_that_no_configuration_has(
    target: str, args: dict[str, Any], message: str, keys: tuple[str, ...], models: Path
) -> None:
    error = failure(target, models, args)
    told, _, accepted = str(error).partition(" (it accepts ")
    assert (told, error.keys) == (message, keys)
    assert accepted.endswith(" in all))")


@pytest.mark.parametrize(
    ("target", "args", "keys", "said"),
    [
        ("transformers:bert.json", {"hidden_size": "wide"}, ("hidden_size",), "expected int"),
        ("transformers:bert.json", {"num_hidden_layers": 1, "torch_dtype": "flaot16"}, ("torch_dtype",), "flaot16"),
        ("transformers:clip.json", {"text_config": {"vocab_size": "many"}}, ("text_config", "vocab_size"), "int"),
        ("transformers:BertModel", {"config": {"hidden_size": "wide"}}, ("config", "hidden_size"), "expected int"),
    ],
)
def test_a_value_that_the_configuration_refuses(
    target: str, args: dict[str, Any], keys: tuple[str, ...], said: str, models: Path
) -> None:
    error = failure(target, models, args)
    assert error.keys == keys
    assert str(error).startswith(f"{'.'.join(keys)}: ")
    assert said in str(error)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("transformers:nope/config.json", "no file nope/config.json in ROOT"),
        ("transformers:broken.json", "broken.json is no JSON: JSONDecodeError: Expecting property name enclosed in"
         " double quotes: line 1 column 2 (char 1)"),
        ("diffusers:list.json", "list.json: expected a JSON map, found a list"),
        ("transformers:empty.json", "transformers:empty.json: the file has neither a `model_type` nor `architectures`"),
        ("transformers:unknown.json", "transformers:unknown.json: transformers has no model type 'brt': did you mean"
         " 'bert'?"),
        ("transformers:odd.json", "transformers:odd.json: transformers has no model type ['bert']: did you mean"
         " 'bert'?"),
        ("transformers:custom.json", "transformers:custom.json: transformers has no class 'MyBert'; name another after"
         " the file, as in transformers:custom.json:AutoModel"),
        ("transformers:bert.json:BertModl", "transformers:bert.json:BertModl: transformers has no class 'BertModl': did"
         " you mean 'BertModel'?"),
        ("transformers:bert.json:BertConfig", "transformers:bert.json:BertConfig: transformers.BertConfig is no"
         " network: expected a torch.nn.Module's class"),
        ("diffusers:empty.json", "diffusers:empty.json: the file has no `_class_name`"),
        ("diffusers:bert.json:DDPMScheduler", "diffusers:bert.json:DDPMScheduler: diffusers.DDPMScheduler is no"
         " network: expected a torch.nn.Module's class"),
        ("diffusers:model_index.json", "diffusers:model_index.json is of a whole pipeline: name the file of one of its"
         " parts (scheduler, unet)"),
    ],
)  # fmt: skip
def test_a_file_that_builds_no_network(target: str, message: str, models: Path) -> None:
    error = failure(target, models)
    assert (str(error), error.keys) == (message.replace("ROOT", str(models)), ())
