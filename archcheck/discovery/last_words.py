"""What to write where no input was found: an example of `--input` for this network, or a function that makes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from archcheck.discovery.arguments import Argument

_OF_AN_OBJECT: Final = re.compile(r"'(Tensor|dict|list|tuple)' object has no attribute|KeyError: ")
_ONLY_KEYWORDS: Final = re.compile(r"takes 1 positional argument but \d+ were given")


def how_to_say(arguments: Sequence[Argument], example: str, closest: str | None, *, is_refused: bool = False) -> str:
    """Return how to say what goes in.

    example: options that fit what is known; is_refused: they were tried. closest: how the best guess stopped.
    """
    if _ONLY_KEYWORDS.search(closest or ""):
        named = example.replace('--input "', '--input "NAME=', 1)
        return f"it takes keywords alone: give the shape of each with its name, such as {named}"
    objects = [argument for argument in arguments if argument.kind == "object"]
    if not objects and not _OF_AN_OBJECT.search(closest or ""):
        written = f"written like {example}, which was refused" if is_refused else f"such as {example}"
        return f"give its shape, {written}"
    told = ", ".join(f"{argument.name} is a {argument.class_name.rpartition('.')[2]}" for argument in objects)
    made = ", ".join(argument.name for argument in arguments)
    return (
        f"{told or 'no tensor seems to do'}; write a function that makes it, and give --inputs-from FILE.py:make:\n"
        f"  def make(sizes, seed):\n"
        f"      random = torch.Generator().manual_seed(seed)\n"
        f'      return ({made},)  # made with sizes["B"] examples, from torch.randn(..., generator=random)'
    )
