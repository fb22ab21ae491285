"""Dynamo's state in this process, which is the user's own: kept as it was, and quiet."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch

from archcheck.deployment.records import Refusal
from archcheck.errors import NotMeasured
from archcheck.network.exceptions import is_torchs_or_pythons, one_line, raised_outside_torch
from archcheck.network.running_code import current_line
from archcheck.structure.meta.failures import chain
from archcheck.text.paths import path_below
from archcheck.text.words import clip

_MAX_REASON: Final = 200
_EXPLANATION: Final = re.compile(r"Explanation: (.*?)(?=\n\s*\n|\n\s*Hint:|\Z)", re.DOTALL)
_FIXED: Final = re.compile(r"constant \((\d+)\)")
_COLOUR: Final = re.compile(r"\x1b\[\d*m")
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")
_LINE: Final = re.compile(r'File "([^"]+)", line (\d+)')
_BRANCHES: Final = ("generic_jump", "Data-dependent branching", "Could not guard on data-dependent expression")
_BRANCH: Final = "a branch that depends on a tensor's values"


@contextmanager
def own_dynamo() -> Iterator[None]:
    """Give the block a dynamo of its own: nothing compiled before, torch's own settings; and forget it afterwards.

    Settings of torch that it changes are restored by `default_torch_settings`, in which it has to be used.

    Raises:
        NotMeasured: torch.compile does nothing here.
    """
    try:
        from torch._dynamo import config
        from torch._dynamo.utils import counters

        torch.compile(lambda x: x, backend="eager")
    except Exception as error:
        raise NotMeasured(f"torch.compile doesn't work here: {one_line(error)}") from None
    if config.disable:
        raise NotMeasured("torch.compile is switched off (TORCHDYNAMO_DISABLE)")
    kept = {name: Counter(one) for name, one in counters.items()}
    settings = {
        "suppress_errors": False, "automatic_dynamic_shapes": True, "assume_static_by_default": True,
        "error_on_recompile": False, "capture_scalar_outputs": False, "capture_dynamic_output_shape_ops": False,
    }  # fmt: skip
    known = {name: value for name, value in settings.items() if hasattr(config, name)}
    torch.compiler.reset()
    torch.distributions.Distribution.set_default_validate_args(False)  # as torch.compile does, but only once
    try:
        with config.patch(known), torch.compiler.set_stance("default"), quiet_torch():
            yield
    finally:
        torch.compiler.reset()
        counters.clear()
        counters.update(kept)


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Keep torch's log and warnings of what can't be captured from the terminal: it's told in a line of ours."""

    def drop(_: logging.LogRecord) -> bool:
        return False

    loggers = [one for name, one in logging.root.manager.loggerDict.items() if name.partition(".")[0] == "torch"]
    handlers = [handler for one in loggers if isinstance(one, logging.Logger) for handler in one.handlers]
    for handler in handlers:
        handler.addFilter(drop)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):  # torch prints graphs there
            warnings.simplefilter("ignore")
            yield
    finally:
        for handler in handlers:
            handler.removeFilter(drop)


class GuardedLines(logging.Handler):
    """Notes the lines of a network's code that hold a size to a number, while torch captures it.

    torch logs each such guard as it's made; who asked for it is still on the stack then.
    """

    _LOGGER: Final = "torch.fx.experimental.symbolic_shapes"

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note the line that is running, if this tells of a guard."""
        line = current_line() if record.getMessage().startswith("eval Eq(") else None
        if line is not None:
            self.lines.append(line)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what torch logs in the block."""
        logger = logging.getLogger(self._LOGGER)
        level = logger.level
        logger.addHandler(self)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.setLevel(level)


def in_a_line(text: str) -> str:
    """Return the first line of a message of torch's, and its explanation."""
    text = _ADDRESS.sub("", text.strip())
    if text.startswith(_BRANCHES):
        return _BRANCH
    first = text.partition("\n")[0].strip()
    told = _EXPLANATION.search(text)
    return clip(f"{first}: {' '.join(told[1].split())}" if told else first, _MAX_REASON)


def line_of(stack: Sequence[traceback.FrameSummary]) -> str | None:
    """Return the innermost line of a network's code in a stack, as `net.py:12`."""
    own = [frame for frame in stack if not is_torchs_or_pythons(frame.filename)] or list(stack)
    return f"{path_below(Path(own[-1].filename))}:{own[-1].lineno}" if own else None


def refusal_of(error: BaseException) -> Refusal:
    """Return why torch can't capture a network that runs as it is, and the network's line."""
    errors = list(chain(error))
    texts = [_COLOUR.sub("", str(one)) for one in errors]
    files = [place for text in texts for place in _LINE.findall(text) if not is_torchs_or_pythons(place[0])]
    where = f"{path_below(Path(files[-1][0]))}:{files[-1][1]}" if files else raised_outside_torch(error)
    fixed = _FIXED.search(texts[0])
    if fixed and "dynamic" in texts[0]:
        return Refusal(f"the code takes a free dimension to be {fixed[1]}", where)
    position = len(errors) - 1 if "onnx" in type(error).__module__ else 0  # which wraps what it couldn't do
    told = in_a_line(texts[position])
    return Refusal(told if told == _BRANCH else f"{type(errors[position]).__name__}: {told}", where)
