"""A network run with fixed weights on a fixed input, and summed up in a few numbers of each layer.

- `number_pool` has the fixed numbers: `fixed_inputs` and, by `weight_filler` in the order of their first use, weights
  are made of them, and `deterministic_random` replaces random draws by them; `late_values` are made only when they are
  read. `spectral_norm` has vectors that go with a weight.
- `given_weights` are those that a network gets from another one, of which `derived_weights` are computed.
- `config` says how a network is run, `preparation` builds one to be filled, `written_constants` finds which
  of its constants are state, `exact_computation` sets torch, and `double_precision` what a network asks of it, of
  which `named_dtypes` keeps count. `storages` tells tensors by their memory.
- `fingerprint` has it run by `forward_pass`, `gradients`, `large_values`, `extreme_inputs`, `opened_gates` and
  `other_weights`, between which `network_state` puts it back; `call_digests` reads what its modules return, `digests`
  makes numbers of tensors, and `record_assembly` makes the record.
- `fast_convolution` is for speed; `grouped_products` are those of experts, which torch has in single precision only.
"""
