"""Text from outside made harmless to look at: what would turn its direction, hide in it or end its line is shown."""

from __future__ import annotations

import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"  # scripts and emoji are written with them
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str, keep: str = "\n\t") -> str:
    r"""Return a text whose control and direction characters are written as escapes: `\u202e`; `keep` stay."""
    if text.isprintable():  # nearly all are
        return text
    return "".join(one if one in keep or one in _JOINERS or not _is_hidden(one) else _escaped(one) for one in text)


def _is_hidden(character: str) -> bool:
    return not character.isprintable() and unicodedata.category(character) in _HIDDEN


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
