"""A watcher stands between modules and their forwards, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from archcheck.network.forward_watcher import ForwardWatcher, uncompiled_forward


class Listing(ForwardWatcher):
    """Lists the calls of modules and the outputs that their hooks leave."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.final: dict[str, Any] = {}

    def wrap_forward(self, name: str, module: nn.Module) -> Callable[..., Any]:
        run = uncompiled_forward(module)

        def forward(*args: Any) -> Any:
            self.calls.append(name)
            try:
                return run(*args)
            except Exception as error:
                self.note_failure(name, error)
                raise

        return forward

    def note_final_output(self, name: str, out: Any) -> None:
        self.final[name] = out


def watch(model: nn.Module, *args: Any) -> Listing:
    watcher = Listing()
    with watcher.watching(dict(model.named_modules())):
        watcher.callable_for(model)(*args)
    return watcher


def test_modules_are_called_from_outside_to_inside_and_are_as_they_were() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    model[1].forward = own = model[1].forward  # a forward of the instance's own stays
    assert watch(model, torch.ones(1, 2)).calls == ["", "0", "1"]
    assert "forward" not in {**vars(model), **vars(model[0])}
    assert vars(model[1])["forward"] is own


def test_an_output_that_a_hook_replaces_is_noted() -> None:
    model = nn.Sequential(nn.Identity(), nn.Identity())
    model[0].register_forward_hook(lambda module, args, out: out + 1)
    watcher = watch(model, torch.zeros(2))
    assert watcher.final.keys() == {"0"}
    assert watcher.final["0"].tolist() == [1, 1]
    assert len(model[0]._forward_hooks) == 1


def test_the_innermost_module_that_raised_is_named() -> None:
    model, watcher = nn.Sequential(nn.Sequential(nn.Linear(2, 3))), Listing()
    with watcher.watching(dict(model.named_modules())):
        with pytest.raises(RuntimeError, match="mat1") as caught:
            model(torch.ones(1, 5))
        assert watcher.failing_module(caught.value) == "0.0"
        assert watcher.failing_module(ValueError()) == ""
        watcher.forget_failure()
        assert watcher.failing_module(caught.value) == ""


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:.*torch.jit:FutureWarning")
def test_torchscript_is_called_as_a_whole() -> None:
    model = torch.jit.trace(nn.Sequential(nn.Linear(2, 3)), torch.ones(1, 2))  # type: ignore[no-untyped-call]
    assert watch(model, torch.ones(1, 2)).calls == [""]
