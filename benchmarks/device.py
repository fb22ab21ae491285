"""Does `health` find what would stop a network on a GPU, and nothing else? `python benchmarks/device.py [NAME...]`.

Device bugs are planted in the sources of torchvision, timm and transformers, one at a time: a `device=` that is left
out, a buffer that becomes a plain attribute, a parameter that becomes a plain tensor, a ModuleList that becomes a list,
a line at the beginning of a forward. Whether a rewritten network stops on a GPU is said by torch's own fake tensors,
which know the rules of a CUDA device without having one; some rewrites don't, as what is left on the CPU is an index,
or is moved later on. The networks as they are stand for those that mustn't be told of.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from archcheck.deployment.device_probe import probe_device
from archcheck.deployment.records import DeviceRecord
from archcheck.spec.models import Spec
from archcheck.structure.meta.inputs import make_inputs

IMAGE: Final = ["B", 3, 64, 64]
TEXT: Final = {"input_ids": {"shape": ["B", 12], "dtype": "int64", "below": 90}, "use_cache": False}
SMALL: Final = {
    "vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 37,
}  # fmt: skip
KINDS: Final = {
    "device= left out": (re.compile(r",\s*device=(?!None)[\w.]+(?=[,)\s])"), ""),
    "a buffer is an attribute": (
        re.compile(r'self\.register_buffer\(\s*"(\w+)",\s*([^\n]+?)(?:,\s*persistent=\w+)?,?\s*\)\n'), r"self.\1 = \2\n"
    ),
    "a parameter is a tensor": (re.compile(r"nn\.Parameter\((?=torch\.(?:zeros|ones|randn|empty)\()"), "("),
    "layers in a list": (re.compile(r"nn\.ModuleList\("), "list("),
}  # fmt: skip
_FORWARD: Final = re.compile(
    r"(    def forward\(self, (\w+)(?:: [\w.]+)?[,)][^\n]*:\n(?:        \"\"\"[^\"]*\"\"\"\n)?)"
)
WRITTEN: Final = {  # a line at the beginning of a forward
    "made in a forward": "{x} = {x} + torch.zeros({x}.shape[-1:])",
    "a mask made in a forward": "{x} = {x} * (torch.rand({x}.shape[-1:]) >= 0)",
    "to the CPU and not back": "{x} = {x} + 0 * {x}.detach().cpu()",
    "made where x is": "{x} = {x} + torch.zeros({x}.shape[-1:], device={x}.device)",
    "made like x": "{x} = {x} + torch.zeros_like({x})",
    "a number on the CPU": "{x} = {x} * torch.tensor(1.0)",
    "an index on the CPU": "{x} = {x}[torch.arange({x}.shape[0])]",
    "to the CPU and back": "{x} = {x}.cpu().to({x}.device)",
}
MAX_OF_A_KIND: Final = 12  # in one source
MAX_WRITTEN: Final = 2


class Case(NamedTuple):
    """A network: the module with its source, what builds it from that module, and what goes in."""

    source: str
    build: Callable[[Any], nn.Module]
    input: Any = IMAGE


def _transformer(name: str, **config: Any) -> Callable[[Any], nn.Module]:
    def build(module: Any) -> nn.Module:
        import transformers

        made: nn.Module = getattr(module, f"{name}Model")(getattr(transformers, f"{name}Config")(**config))
        return made

    return build


def _named(name: str, **args: Any) -> Callable[[Any], nn.Module]:
    return lambda module: getattr(module, name)(**args)


CASES: Final[Mapping[str, Case]] = {
    "resnet18": Case("torchvision.models.resnet", _named("resnet18")),
    "googlenet": Case("torchvision.models.googlenet", _named("googlenet", init_weights=False, aux_logits=False)),
    "densenet121": Case("torchvision.models.densenet", _named("densenet121")),
    "vit_b_16": Case("torchvision.models.vision_transformer", _named("vit_b_32", image_size=64)),
    "swin_v2_t": Case("torchvision.models.swin_transformer", _named("swin_v2_t")),
    "convnext_tiny": Case("torchvision.models.convnext", _named("convnext_tiny")),
    "maxvit_t": Case("torchvision.models.maxvit", lambda m: m.maxvit_t(input_size=(224, 224)), ["B", 3, 224, 224]),
    "timm swin": Case("timm.models.swin_transformer", _named("SwinTransformer", img_size=64, window_size=4)),
    "timm vit": Case("timm.models.vision_transformer", _named("VisionTransformer", img_size=64, depth=2)),
    "timm beit": Case("timm.models.beit", _named("Beit", img_size=64, depth=2, use_rel_pos_bias=True)),
    "timm xcit": Case("timm.models.xcit", _named("Xcit", img_size=64, depth=2)),
    "timm levit": Case("timm.models.levit", _named("levit_128s"), ["B", 3, 224, 224]),
    "timm cait": Case("timm.models.cait", _named("Cait", img_size=64, depth=2)),
    "Bert": Case("transformers.models.bert.modeling_bert", _transformer("Bert", **SMALL), TEXT),
    "GPT2": Case("transformers.models.gpt2.modeling_gpt2", _transformer("GPT2", n_embd=32, n_layer=2, n_head=4), TEXT),
    "Llama": Case("transformers.models.llama.modeling_llama", _transformer("Llama", **SMALL), TEXT),
    "T5 encoder": Case(
        "transformers.models.t5.modeling_t5",
        lambda m: m.T5EncoderModel(_config("T5", vocab_size=99, d_model=32, d_kv=8, num_layers=2, num_heads=4)),
        {"input_ids": TEXT["input_ids"]},
    ),
    "Bloom": Case(
        "transformers.models.bloom.modeling_bloom",
        _transformer("Bloom", vocab_size=99, hidden_size=32, n_layer=2, n_head=4), TEXT,
    ),
    "DistilBert": Case(
        "transformers.models.distilbert.modeling_distilbert",
        _transformer("DistilBert", vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=37),
        {"input_ids": TEXT["input_ids"]},
    ),
    "GPTNeoX": Case("transformers.models.gpt_neox.modeling_gpt_neox", _transformer("GPTNeoX", **SMALL), TEXT),
    "Falcon": Case("transformers.models.falcon.modeling_falcon", _transformer("Falcon", **SMALL), TEXT),
}  # fmt: skip


def _config(name: str, **args: Any) -> Any:
    import transformers

    return getattr(transformers, f"{name}Config")(**args)


class Result(NamedTuple):
    """A rewritten network: whether torch's fake tensors stop, and whether we tell; None where it doesn't run."""

    case: str
    kind: str
    text: str
    stops: bool | None
    record: DeviceRecord | None


def main(names: Sequence[str]) -> int:
    """Plant the bugs, and print the table. Returns the number of those missed, and of sound networks told of."""
    warnings.simplefilter("ignore")
    begun = time.process_time()
    results = [one for name in names or CASES for one in _results(name)]
    print(_table(results))
    wrong = [one for one in results if one.stops is not None and one.stops != _is_told(one)]
    for one in wrong:
        found = one.record.mixes[:1] if one.record else one.record
        print(f"{'missed' if one.stops else 'false'}: {one.case}: {one.kind}: {one.text!r} {found}")
    print(f"{time.process_time() - begun:.0f} s of processor time")
    return len(wrong)


def _results(name: str) -> Iterator[Result]:
    case = CASES[name]
    source = inspect.getsource(importlib.import_module(case.source))
    source = re.sub(r"^@register_model.*\n", "", source, flags=re.MULTILINE)
    yield _judged(name, "as it is", "", case, source)
    for kind, (pattern, replacement) in KINDS.items():
        for match in list(pattern.finditer(source))[:MAX_OF_A_KIND]:
            rewritten = source[: match.start()] + match.expand(replacement) + source[match.end() :]
            yield _judged(name, kind, match[0].strip(), case, rewritten)

    for kind, line in WRITTEN.items():
        for match in list(_FORWARD.finditer(source))[-MAX_WRITTEN:]:
            rewritten = f"{source[: match.end()]}        {line.format(x=match[2])}\n{source[match.end() :]}"
            yield _judged(name, kind, match[0].strip(), case, rewritten)


def _judged(name: str, kind: str, text: str, case: Case, source: str) -> Result:
    """Run a network from its source as on a GPU, by torch's fake tensors and by ours."""
    spec = Spec(build="a:b", input=case.input)
    try:
        module = _executed(case.source, source)
        case.build(module).eval()(*make_inputs(spec.forward_inputs()[0], "cpu")[0], **_keywords(spec))
    except Exception:  # it doesn't even run on a CPU
        return Result(name, kind, text, None, None)
    record = probe_device(lambda: case.build(module), spec, needs_values=False)
    stops = stops_on_gpu(case.build(module), spec)
    return Result(name, kind, text, stops, record)


def _keywords(spec: Spec) -> dict[str, Any]:
    return make_inputs(spec.forward_inputs()[0], "cpu")[1]


def _executed(name: str, source: str) -> types.ModuleType:
    original = importlib.import_module(name)
    module = types.ModuleType(name)
    module.__package__, module.__file__ = original.__package__, original.__file__
    exec(compile(source, str(original.__file__), "exec"), vars(module))
    return module


def stops_on_gpu(network: nn.Module, spec: Spec) -> bool | None:
    """Return whether torch's fake tensors refuse a network moved to a CUDA device; None where they can't say."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in network.modules():
            for held in (module._parameters, module._buffers):
                held.update({key: _faked(one) for key, one in held.items() if one is not None})
        args, kwargs = make_inputs(spec.forward_inputs()[0], "cpu")
        args = [_faked(one) for one in args]
        kwargs = {key: _faked(one) for key, one in kwargs.items()}
        for training in (False, True):
            try:
                network.train(training)(*args, **kwargs)
            except Exception as error:
                told = str(error)
                return True if "same device" in told or "two different devices" in told else None
    return False


def _faked(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    made = torch.empty(value.shape, dtype=value.dtype, device="cuda")
    return nn.Parameter(made, value.requires_grad) if isinstance(value, nn.Parameter) else made


def _is_told(result: Result) -> bool:
    return result.record is not None and bool(result.record.mixes)


def _table(results: Sequence[Result]) -> str:
    lines = [
        "| rewrite | tried | stops on a GPU | told | runs there | told | can't be run |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in ("as it is", *KINDS, *WRITTEN):
        of_kind = [one for one in results if one.kind == kind]
        stops, runs = ([one for one in of_kind if one.stops is is_bug] for is_bug in (True, False))
        told = [sum(map(_is_told, some)) for some in (stops, runs)]
        unknown = sum(one.stops is None for one in of_kind)
        lines.append(f"| {kind} | {len(of_kind)} | {len(stops)} | {told[0]} | {len(runs)} | {told[1]} | {unknown} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
