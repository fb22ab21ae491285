"""Which torch function is computed how: by a shortcut, by torch itself without counting, or (all others) counted.

A shortcut takes the counter and then exactly what the torch function takes, and returns what torch would return on the
meta device: same shape, dtype and strides. It adds the multiply-adds to `counter.macs` where `torch.utils.flop_counter`
has a formula for them. Anything out of the ordinary (an odd layout, another dtype, a keyword that is rarely used,
arguments that torch would refuse) is declined with NotImplemented before anything is counted, and torch takes over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from archcheck.structure.meta import attention, convolution, matmul, normalization, pointwise, pooling, recurrent

_ZERO_MAC_MODULES: Final = frozenset({pointwise.__name__, normalization.__name__, pooling.__name__})
_OWNERS: Final = (torch, Tensor, F, torch._C._nn, torch.special)

_UNARY = (
    "relu relu6 elu selu leaky_relu silu mish gelu hardswish hardsigmoid softplus sigmoid tanh exp log log1p expm1 "
    "sqrt rsqrt sin cos erf abs neg square reciprocal pow clamp clamp_min clamp_max clip __pow__"
)
_INPLACE_UNARY = "relu_ sigmoid_ tanh_ exp_ sqrt_ neg_ abs_ square_ rsqrt_"

_HANDLERS: Final[tuple[tuple[str, Callable[..., Any]], ...]] = (
    (_UNARY, pointwise.unary),
    (_INPLACE_UNARY, pointwise.unary_inplace),
    ("hardtanh", pointwise.hardtanh),
    ("dropout alpha_dropout", pointwise.dropout),
    ("softmax log_softmax", pointwise.softmax),
    ("prelu", pointwise.prelu),
    ("roll", pointwise.roll),
    ("normalize", pointwise.normalize),
    ("add sub mul div true_divide multiply subtract divide __radd__ __rmul__ __add__ __mul__ __sub__ __truediv__",
     pointwise.binary),
    ("rsub __rsub__ __rdiv__ __rtruediv__", pointwise.binary_reversed),
    ("add_ sub_ mul_ div_ __iadd__ __isub__ __imul__ __itruediv__", pointwise.binary_inplace),
    ("eq ne lt le gt ge __eq__ __ne__ __lt__ __le__ __gt__ __ge__", pointwise.compare),
    ("masked_fill", pointwise.masked_fill),
    ("cat concat concatenate", pointwise.cat),
    ("stack", pointwise.stack),
    ("mean", pointwise.mean),
    ("batch_norm", normalization.batch_norm),
    ("layer_norm", normalization.layer_norm),
    ("rms_norm", normalization.rms_norm),
    ("group_norm", normalization.group_norm),
    ("avg_pool1d", pooling.avg_pool(1)),
    ("avg_pool2d", pooling.avg_pool(2)),
    ("avg_pool3d", pooling.avg_pool(3)),
    ("max_pool1d", pooling.max_pool(1, indices=False)),
    ("max_pool2d", pooling.max_pool(2, indices=False)),
    ("max_pool3d", pooling.max_pool(3, indices=False)),
    ("max_pool1d_with_indices", pooling.max_pool(1, indices=True)),
    ("max_pool2d_with_indices", pooling.max_pool(2, indices=True)),
    ("max_pool3d_with_indices", pooling.max_pool(3, indices=True)),
    ("adaptive_avg_pool2d", pooling.adaptive_avg_pool2d),
    ("interpolate", pooling.interpolate),
    ("conv1d conv2d conv3d", convolution.conv),
    ("conv_transpose1d conv_transpose2d conv_transpose3d", convolution.conv_transpose),
    ("linear", matmul.linear),
    ("matmul __matmul__", matmul.matmul),
    ("mm", matmul.mm),
    ("bmm", matmul.bmm),
    ("addmm", matmul.addmm),
    ("baddbmm", matmul.baddbmm),
    ("grouped_mm _grouped_mm", matmul.grouped_mm),
    ("scaled_dot_product_attention", attention.attention),
    ("multi_head_attention_forward", attention.multi_head_attention),
    ("lstm", recurrent.recurrent(4, has_cell=True)),
    ("gru", recurrent.recurrent(3, has_cell=False)),
    ("rnn_tanh rnn_relu", recurrent.recurrent(1, has_cell=False)),
)  # fmt: skip

# Functions that never multiply matrices, whatever their arguments: torch computes them, nobody has to watch.
_ZERO_MAC = """
view view_as reshape reshape_as flatten unflatten permute transpose transpose_ swapaxes swapdims movedim moveaxis t mT
adjoint contiguous squeeze unsqueeze squeeze_ unsqueeze_ expand expand_as broadcast_to narrow select chunk split
split_with_sizes tensor_split unbind unfold as_strided diagonal ravel alias detach detach_ clone view_as_real
view_as_complex real imag repeat repeat_interleave tile rot90 flip fliplr flipud __getitem__ __setitem__ index_select
gather scatter scatter_ scatter_add scatter_add_ take take_along_dim index_fill index_copy index_add index_put
index_put_ masked_fill_ masked_scatter where pad dim ndimension size stride numel nelement element_size storage_offset
is_contiguous is_floating_point is_complex is_signed data_ptr get_device type_as to type float double half bfloat16
int long short bool byte char cpu cuda requires_grad_ zero_ fill_ copy_ uniform_ normal_ bernoulli_ random_ new_empty
new_zeros new_ones new_full new_tensor empty zeros ones full empty_like zeros_like ones_like full_like rand randn
rand_like randn_like randint arange linspace tensor as_tensor eye tril triu tril_indices triu_indices meshgrid
broadcast_tensors sum prod amax amin max min maximum minimum argmax argmin sort argsort topk kthvalue median std var
std_mean var_mean logsumexp cumsum cumprod all any isnan isinf isfinite count_nonzero unique clamp_ clip_ exp_
floor ceil round trunc frac sign sgn remainder fmod floor_divide __floordiv__ __rfloordiv__ __mod__ __pow__ __rpow__
__rsub__ __rtruediv__ __rdiv__ __neg__ __invert__ __and__ __or__ __xor__ __iand__ __ior__ __bool__ __len__ __int__
__float__ __index__ __format__ __repr__ __contains__ __iter__ __hash__ item tolist logical_not logical_and logical_or
logical_xor bitwise_not bitwise_and bitwise_or bitwise_xor pow_ log2 log10 exp2 tan atan atan2 asin acos sinh cosh
asinh acosh atanh erfc erfinv lerp addcmul addcdiv addcmul_ addcdiv_ rsub logit logaddexp hypot nan_to_num glu elu_
celu threshold rrelu hardshrink softshrink tanhshrink softsign logsigmoid softmin gumbel_softmax celu_ leaky_relu_
hardtanh_ _threshold dropout1d dropout2d dropout3d feature_alpha_dropout feature_dropout one_hot embedding
embedding_bag pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle adaptive_avg_pool1d
adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d adaptive_max_pool1d_with_indices
adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices max_unpool1d max_unpool2d max_unpool3d lp_pool1d
lp_pool2d lp_pool3d upsample fold instance_norm local_response_norm grid_sample is_nonzero numpy _assert _assert_async
is_tensor is_same_size equal allclose result_type promote_types get_default_dtype hstack vstack dstack cartesian_prod
block_diag diag diag_embed diff bucketize searchsorted outer cross is_grad_enabled _set_grad_enabled nonzero argwhere
"""
_ZERO_MAC_PROPERTIES = (
    "shape dtype device is_meta is_cuda is_cpu is_nested is_sparse is_quantized layout ndim grad grad_fn requires_grad "
    "is_leaf data T mT H mH real imag itemsize nbytes names _version output_nr is_mps is_xpu"
)


def functions_named(names: str) -> Iterator[Any]:
    """Yield every function, method and operator of torch with one of these names."""
    for name in names.split():
        for owner in _OWNERS:
            found = getattr(owner, name, None)
            if callable(found):
                yield found
        if name.startswith("_set"):
            yield getattr(torch._C, name)


def property_getters(names: str) -> Iterator[Any]:
    """Yield what a function mode sees when one of these attributes of a tensor is read."""
    for name in names.split():
        getter = getattr(getattr(Tensor, name, None), "__get__", None)
        if getter is not None:
            yield getter


@cache
def shortcuts() -> Mapping[Any, Callable[..., Any]]:
    """Return by torch function its shortcut(counter, *args, **kwargs), which returns the result or NotImplemented."""
    table = {found: handler for names, handler in _HANDLERS for found in functions_named(names)}
    return MappingProxyType(table)


@cache
def zero_mac_functions() -> frozenset[Any]:
    """Return the torch functions without multiply-adds: the listed ones, and those whose shortcuts count nothing."""
    uncounted = " ".join(names for names, handler in _HANDLERS if handler.__module__ in _ZERO_MAC_MODULES)
    return frozenset(
        {*functions_named(_ZERO_MAC), *functions_named(uncounted), *property_getters(_ZERO_MAC_PROPERTIES)}
    )
