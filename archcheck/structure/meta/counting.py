"""Multiply-adds of operations that no shortcut knows, by their formulas; products without one are named."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, Protocol

from torch import Tensor
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode, is_traceable_wrapper_subclass_type

from archcheck.structure.meta.formulas import flop_formulas

_TORCHS: Final = (  # what else is there is somebody's own, and anybody's guess
    "aten prim prims quantized _quantized quantization mkl mkldnn mkldnn_prepacked onednn prepacked sparse inductor "
    "inductor_prims rngprims debugprims profiler c10d _c10d_functional _c10d_functional_autograd _dtensor fsdp export "
    "static_runtime symm_mem quantized_decomposed torchvision image higher_order"
)
_PRODUCTS_OF_ATEN: Final = (  # matrix products, solvers and Fourier transforms
    "_compute_linear_combination _fft_r2c _fft_c2r _fft_c2c _foreach_mm "
    "_scaled_grouped_mm _scaled_grouped_mm_v2 _scaled_mm_v2 _scaled_addmm _scaled_addmm_ "
    "_mixed_dtypes_linear _weight_int4pack_mm _weight_int4pack_mm_for_cpu _weight_int4pack_mm_with_scales_and_zeros "
    "_weight_int8pack_mm _dyn_quant_matmul_4bit _sparse_mm _sparse_addmm _sparse_sparse_matmul _sparse_mm_reduce_impl "
    "_cslt_sparse_mm _sparse_semi_structured_mm _sparse_semi_structured_addmm _sparse_semi_structured_linear hspmm "
    "sparse_sampled_addmm sspaddmm _spsolve mkldnn_linear mkldnn_convolution mkldnn_rnn_layer miopen_rnn _cudnn_rnn "
    "_lstm_mps quantized_lstm quantized_gru _thnn_fused_lstm_cell _thnn_fused_gru_cell _native_multi_head_attention "
    "_transformer_encoder_layer_fwd _triton_multi_head_attention _triton_scaled_dot_attention cudnn_convolution_relu "
    "cudnn_convolution_add_relu cudnn_convolution_transpose miopen_convolution miopen_convolution_relu "
    "miopen_convolution_transpose cholesky_inverse cholesky_solve _cholesky_solve_helper geqrf ormqr triangular_solve "
    "_linalg_det _linalg_slogdet _linalg_eigh _linalg_eigvals _linalg_solve_ex _linalg_svd linalg_cholesky_ex "
    "linalg_eig linalg_eigvals linalg_householder_product linalg_inv_ex linalg_ldl_factor_ex linalg_ldl_solve "
    "linalg_lstsq linalg_lu linalg_lu_factor_ex linalg_lu_solve linalg_matrix_exp linalg_matrix_sqrth linalg_pinv "
    "linalg_polar linalg_qr linalg_solve_triangular"
)
_PRODUCT: Final = re.compile(r"conv|linear|matmul|mm(?![a-z])|lstm|gru|rnn|attention")
_NO_PRODUCT: Final = re.compile(r"pack$|pack_|unpack|reorder|convert|_(stride|padding|dilation|groups|transpose)$")


@cache
def is_uncounted(name: str) -> bool:
    """Whether an operation without a formula may multiply matrices: torch's own by name, any other one."""
    namespace, _, op = name.partition("::")
    if namespace in ("aten", "prim", "prims"):
        return op in _PRODUCTS_OF_ATEN.split()
    if namespace in _TORCHS.split():
        return _PRODUCT.search(op) is not None and _NO_PRODUCT.search(op) is None
    return True


class MacCounter(Protocol):
    """Adds up multiply-adds, and holds the names of the operations whose multiply-adds are unknown."""

    macs: int
    uncounted: set[str]


class UnreadCounter:
    """A counter that nobody reads."""

    macs = 0
    uncounted: set[str] = set()  # noqa: RUF012  (nobody reads it either)


class CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds the multiply-adds of everything that runs inside to a counter, as `FlopCounterMode` would count them.

    That class itself hooks every module of the process while it counts; this one only sees the calling thread.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch from importing dynamo for it, which takes seconds: nothing is compiled while it's on."""
        return False

    def __init__(self, counter: MacCounter) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counter, self._formulas = counter, flop_formulas()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(map(is_traceable_wrapper_subclass_type, types)):  # a nested tensor, for one: counted is what it runs
            return NotImplemented
        kwargs = kwargs or {}
        higher_order = isinstance(func, HigherOrderOperator)
        if higher_order and func.name() == "cond":
            chosen, if_true, if_false, operands = args
            with self:
                return (if_true if chosen else if_false)(*operands)
        key = func if higher_order else func._overloadpacket
        formula = self._formulas.get(key)
        nested = any(type(arg) is Tensor and arg.is_nested for arg in args)  # has no sizes to ask for
        if formula is None and not higher_order and not nested and str(func) != "prim.device.default":
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        out = func(*args, **kwargs)
        name = func.name() if higher_order else func._schema.name
        if formula is not None and not nested:
            self._counter.macs += formula(*args, **kwargs, out_val=out) // 2
        elif (formula is not None or _PRODUCT.search(name)) if nested else (higher_order or is_uncounted(name)):
            self._counter.uncounted.add(name)
        return out
