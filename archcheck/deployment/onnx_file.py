"""An ONNX file of a network, and a session of onnxruntime that runs it."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import ConstantArgument, OutputKind
from torch.utils._pytree import tree_leaves, tree_unflatten

from archcheck.network.signatures import signature_of

PACKAGES: Final = ("onnx", "onnxscript", "onnxruntime")


def absent_packages() -> list[str]:
    """Return what isn't installed of what it takes."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


class OnnxFile:
    """A network written to a file in a folder of its own, which goes when it's left."""

    def __init__(
        self, network: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], dynamic_shapes: Any | None
    ) -> None:
        self._network = network
        self._folder = tempfile.TemporaryDirectory(prefix="archcheck-onnx-")
        path = Path(self._folder.name) / "network.onnx"
        with contextlib.redirect_stdout(io.StringIO()):
            program = torch.onnx.export(
                network, tuple(args), kwargs=dict(kwargs), dynamo=True, dynamic_shapes=dynamic_shapes, verbose=False
            )
            program.save(path)  # type: ignore[union-attr]
        self._exported: ExportedProgram = program.exported_program  # type: ignore[union-attr, assignment]
        self._session = self._open(path)

    @staticmethod
    def _open(path: Path) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the file on what the network takes, and return what it makes in the form of the network's output."""
        bound = signature_of(self._network.forward).bind(*args, **kwargs).arguments
        tensors = [one for one in tree_leaves(list(bound.values())) if isinstance(one, Tensor)]
        names = [one.name for one in self._session.get_inputs()]
        if len(names) == len(tensors):
            feeds = dict(zip(names, tensors, strict=True))
        else:  # the file has no inputs that play no part
            feeds = {name: bound[name] for name in names}
        made = self._session.run(None, {name: one.numpy() for name, one in feeds.items()})
        return self._in_form([torch.from_numpy(one) for one in made])

    def _in_form(self, tensors: Sequence[Tensor]) -> Any:
        """Put the file's tensors, one after another, where the network has them; constants aren't in the file."""
        left = iter(tensors)
        specs = [one for one in self._exported.graph_signature.output_specs if one.kind is OutputKind.USER_OUTPUT]
        leaves = [one.arg.value if isinstance(one.arg, ConstantArgument) else next(left) for one in specs]
        return tree_unflatten(leaves, self._exported.call_spec.out_spec)

    def __enter__(self) -> OnnxFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._folder.cleanup()
