"""What an error tells of the input that it refuses: sizes, numbers of dimensions, kinds of values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from archcheck.discovery.layers import Intake
from archcheck.structure.crashes import find_size_mismatch

_SIZES: Final = (
    re.compile(r"size of tensor a \((?P<actual>\d+)\) must match the size of tensor b \((?P<expected>\d+)\)"),
    re.compile(r"Expected size (?P<expected>\d+) but got size (?P<actual>\d+)"),
    re.compile(r"expected input with shape \[\*,[\d ,]*?(?P<expected>\d+)\], but got input of size ?\[[\d, ]*?"
               r"(?P<actual>\d+)\]"),
    re.compile(r"(?i)expected hidden\S* size [(\[][\d, ]*?(?P<expected>\d+)[)\]], "
               r"got [(\[][\d, ]*?(?P<actual>\d+)[)\]]"),
    re.compile(r"must be equal to input_size\. Expected (?P<expected>\d+), got (?P<actual>\d+)"),
    re.compile(r"running_mean should contain (?P<actual>\d+) elements not (?P<expected>\d+)"),
    re.compile(r"(?i)expect\w*\D{0,60}?(?P<expected>\d+)\D{1,60}?(?:got|found|received|given|but|not)\D{0,40}"
               r"(?P<actual>\d+)"),
    re.compile(r"(?i)(?:got|found|received)\D{0,40}(?P<actual>\d+)\D{1,60}?expect\w*\D{0,40}(?P<expected>\d+)"),
    re.compile(r"(?P<actual>\d+) ?!= ?(?P<expected>\d+)"),
)  # fmt: skip
_EITHER_WAY: Final = 2  # of these patterns, which don't tell what was expected
_RANKS: Final = (
    re.compile(r"values to unpack \(expected (\d)"),
    re.compile(r"(?i)expected \dD \(unbatched\) or (\d)D \(batched\)"),
    re.compile(r"(?i)expected (\d)D?(?:-dim\w*)?(?: dim\w*)?(?:\.| input| tensor|,| \(got)"),
    re.compile(r"(?i)(?:must|should) (?:be|have)(?: a| an)? (\d)[ -]?(?:D\b|dim)"),
    re.compile(r"same number of dimensions: got (\d) and \d"),
    re.compile(r"same number of dimensions: got \d and (\d)"),
    re.compile(r"number of dimensions in the tensor input does not match .*? i\.e\. input\.dim\(\) = \d is not equal "
               r"to len\(dims\) = (\d)"),
)  # fmt: skip
_RANK_PAIRS: Final = (
    re.compile(r"(?i)expected (?P<expected>\d)[ -]?(?:D|dim).*?(?:got|received) (?:a )?(?P<actual>\d)[ -]?(?:D|dim)"),
    re.compile(r"(?i)batched (?P<expected>\d)-?D.*?(?:got|received|found)\D{0,40}(?P<actual>\d)-?D"),
    re.compile(r"Wrong shape: expected (?P<expected>\d) dims\. Received (?P<actual>\d)-dim"),
    re.compile(r"same number of dimensions: got (?P<actual>\d) and (?P<expected>\d)"),
    re.compile(r"same number of dimensions: got (?P<expected>\d) and (?P<actual>\d)"),
    re.compile(r"sizes provided \((?P<expected>\d)\) must be greater or equal to the number .*? \((?P<actual>\d)\)"),
    re.compile(r"sizes provided \((?P<actual>\d)\) must be greater or equal to the number .*? \((?P<expected>\d)\)"),
    re.compile(r"not enough values to unpack \(expected (?:at least )?(?P<expected>\d), got (?P<actual>\d)\)"),
)
_TOO_SMALL: Final = re.compile(
    r"(?i)kernel size can't be greater|padding size should be less|output size is too small|too (short|small)"
    r"|non-?zero size|non-empty|maximum size for tensor|should be at least|must be (greater|larger|at least|>)"
    r"|input size .* smaller|expected more than 1 (value|spatial)|exceeds dimension|ZeroDivisionError|by zero"
)
_TOO_FEW: Final = re.compile(r"Dimension out of range \(expected to be in range of \[-(\d)")
_TOO_MANY_INDICES: Final = re.compile(r"too many indices for tensor of dimension (\d)")
_WHOLE: Final = re.compile(
    r"scalar types?: Long|[Tt]ensors used as indices must be|expected scalar type (Long|Int)\b|to be of type .*Long"
    r"|only integer tensors|(index\w*|gather|scatter\w*)\(\): Expected dtype int"
    r"|must be (an? )?(long|int\w*)\b|one_hot is only applicable"
)
_REAL: Final = re.compile(
    r"expected (scalar type|m1 and m2|mat1 and mat2).*(Float|dtype)|same dtype, but got: ?(Long|Int|long|int)"
    r"|Float can't be cast to the desired output type|to have the same dtype|must be Float|only floating"
    r"|not implemented for '(Long|Int)'|(dtype|floating point).*[Gg]ot:? .*(Long|Int|int)|Long did not match Float"
)
_DOUBLE: Final = re.compile(
    r"(?i)float (and|!=) double|type float but found double|\(float\) and (weight|bias) type \(double\)"
    r"|float32\) does not match weight dtype \(torch.float64"
)
_COMPLEX: Final = re.compile(r"(?i)complex")
_LOOKED_UP: Final = re.compile(r"KeyError: '([A-Za-z_]\w*)'")
_QUOTED: Final = re.compile(r"[`'\"]([A-Za-z_]\w*)[`'\"]")
_MAX_NAMES: Final = 4
_BY_NAME: Final = re.compile(
    r"__contains__ only supports|indices must be integers or slices, not str|[Tt]oo many indices.*str|"
    r"valid indices \(got str|tensor indices|'Tensor' object has no attribute '(items|keys|values|get|pop|copy)'"
    r"|too many indices for tensor|(?i:expected|must be|should be) (?:a |an )?(?:dict|mapping)"
    r"|argument after \*\* must be a mapping|\(got str"
)
_NOTHING: Final = re.compile(
    r"NoneType|must be Tensor, not|\bNone\b|(?i:(must|should) (be given|provide|pass|specify|receive)|is required)"
    r"|(?i:not provided)|(?i:needs? to be (present|given|passed|set))"
)
_INDEX: Final = re.compile(r"index (?:out of range in self|-?\d+ is out of bounds.* with size (\d+))|out of bounds")


def refused_sizes(error: str, intake: Intake | None) -> list[tuple[int | None, int]]:
    """Return pairs of sizes, what came in (None where nobody says) and what is taken, the likeliest first."""
    pairs: list[tuple[int | None, int]] = []
    told = find_size_mismatch(error)
    if told is not None:
        pairs.append((told.actual, told.expected))
    for i, pattern in enumerate(_SIZES):
        for match in pattern.finditer(error):
            actual, expected = int(match["actual"]), int(match["expected"])
            pairs += [(actual, expected)] + ([(expected, actual)] if i < _EITHER_WAY else [])
    if intake is not None and not any(expected == intake.size for _, expected in pairs):
        pairs.append((None, intake.size))
    if not pairs:
        pairs += [(None, int(number)) for number in re.findall(r"(?<![\w.])\d{1,4}(?![\w.]\d)", error)[:3]]
    return list(dict.fromkeys((actual, expected) for actual, expected in pairs if actual != expected and expected > 0))


def refused_ranks(error: str) -> list[int]:
    """Return the numbers of dimensions that an error asks for."""
    found = [int(match[1]) for pattern in _RANKS if (match := pattern.search(error))]
    found += [int(match[1]) + 1 for pattern in (_TOO_FEW, _TOO_MANY_INDICES) if (match := pattern.search(error))]
    return list(dict.fromkeys(rank for rank in found if 0 < rank <= 6))


def refused_rank_changes(error: str) -> list[int]:
    """Return by how many dimensions what came in has to have more."""
    found = (match for pattern in _RANK_PAIRS if (match := pattern.search(error)))
    return [int(match["expected"]) - int(match["actual"]) for match in found]


def is_too_small(error: str) -> bool:
    """Return whether there is not enough of what came in."""
    return _TOO_SMALL.search(error) is not None


def refused_kinds(error: str) -> Iterator[str]:
    """Yield the kinds of values that an error asks for: `whole`, `real`, `double`, `complex`."""
    if _WHOLE.search(error):
        yield "whole"
    if _REAL.search(error):
        yield "real"
    if _DOUBLE.search(error):
        yield "double"
    if _COMPLEX.search(error):
        yield "complex"


def missing_names(error: str) -> list[str]:
    """Return the names that may be missing in a map of inputs: one that was looked up, those that an error quotes."""
    return list(dict.fromkeys([*_LOOKED_UP.findall(error), *_QUOTED.findall(error)]))[:_MAX_NAMES]


def is_asked_by_name(error: str) -> bool:
    """Return whether a tensor was used as if it were a map of tensors."""
    return _BY_NAME.search(error) is not None


def misses_argument(error: str) -> bool:
    """Return whether something that was left out is needed."""
    return _NOTHING.search(error) is not None


def index_bound(error: str, intake: Intake | None) -> int | None:
    """Return the number below which indices have to be, where one wasn't; None where the error isn't of that kind."""
    match = _INDEX.search(error)
    if match is None:
        return None
    if match[1]:
        return int(match[1])
    return intake.size if intake is not None and "Embedding" in intake.layer else None
