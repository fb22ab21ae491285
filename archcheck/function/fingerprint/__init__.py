"""A network run with fixed weights on a fixed input, and summed up in a few numbers of each layer.

- `number_pool` has the fixed numbers: `fixed_inputs` and, by `weight_filler` in the order of their first use, weights
  are made of them, and `deterministic_random` replaces random draws by them.
- `config` says how a network is run, `preparation` builds one to be filled, `exact_computation` sets torch.
- `fingerprint` has it run by `forward_pass`, `gradients` and `large_values`; `call_digests` reads what its modules
  return, `digests` makes numbers of tensors, and `record_assembly` makes the record.
- `grouped_convolution` is for speed.
"""
