"""The rules by which mistakes that people make are undone, in the order in which they are tried.

Each rule looks at an operation as it was called, and proposes what to compute in its place.
"""

from __future__ import annotations

from typing import Final

from archcheck.function.diagnosis.activations import (
    missing_activation,
    missing_function,
    missing_function_of_a_weight,
    other_activation,
)
from archcheck.function.diagnosis.axes import other_axes, other_index, other_layout
from archcheck.function.diagnosis.constants import common_factor, missing_factor, other_number
from archcheck.function.diagnosis.operands import (
    exchanged_difference,
    exchanged_operands,
    missing_operand,
    missing_skip,
    other_order,
    other_tensor,
    unused_operand,
)
from archcheck.function.diagnosis.operators import (
    one_too_many,
    other_dropout,
    other_normalisation,
    other_operator,
    other_pooling,
    other_reduction,
    other_sign,
    other_softmax,
)
from archcheck.function.diagnosis.settings import other_convolution, other_settings
from archcheck.function.diagnosis.substitutions import SubstitutionRule

# Tried at all operations before the others are at any: they propose little, and nothing that would fit by chance.
FIRST_RULES: Final[tuple[SubstitutionRule, ...]] = (unused_operand, missing_function_of_a_weight)

# In the order in which they are tried: the simplest first, as many an operation does nothing to the values at hand and
# would fit as well; then mistakes that are often made and cost few runs to undo.
SUBSTITUTION_RULES: Final[tuple[SubstitutionRule, ...]] = (
    other_settings,
    other_sign,
    exchanged_difference,
    one_too_many,
    other_activation,
    other_pooling,
    other_order,
    other_softmax,
    other_number,
    common_factor,
    other_operator,
    other_index,
    other_reduction,
    missing_skip,
    missing_activation,
    other_convolution,
    missing_function,
    missing_operand,
    other_normalisation,
    other_dropout,
    exchanged_operands,
    missing_factor,
    other_axes,
    other_layout,
    other_tensor,
)
