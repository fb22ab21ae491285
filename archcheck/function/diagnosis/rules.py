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
from archcheck.function.diagnosis.axes import missing_reordering, other_axes, other_index, other_layout
from archcheck.function.diagnosis.constants import (
    common_factor,
    kept_factor,
    missing_factor,
    other_number,
    sign_of_weights,
)
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

# In groups that are tried one after the other, at the nearest operations first. Within a group: the simplest first, as
# many an operation does nothing to the values at hand and would fit as well; then mistakes that are often made.
SUBSTITUTION_RULES: Final[tuple[tuple[SubstitutionRule, ...], ...]] = (
    (unused_operand, kept_factor, sign_of_weights, missing_function_of_a_weight),  # nothing that would fit by chance
    (  # a few computations each
        other_settings,
        other_sign,
        exchanged_difference,
        one_too_many,
        other_pooling,
        other_order,
        other_softmax,
        exchanged_operands,
    ),
    (
        other_activation,
        other_number,
        common_factor,
        other_operator,
        other_index,
        other_reduction,
        missing_skip,
        missing_activation,
        other_axes,
        other_normalisation,
        other_dropout,
    ),
    (  # many each, at any operation
        other_convolution,
        missing_function,
        missing_operand,
        other_tensor,
        missing_factor,
        missing_reordering,
        other_layout,
    ),
)
