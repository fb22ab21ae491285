"""A network run with fixed weights on a fixed input, and summed up in a few numbers of each layer.

`number_pool` has the fixed numbers that everything is filled with, `weight_filler` fills weights in the order in which
they are first used, `deterministic_random` replaces random draws, `grouped_convolution` is for speed, and `digests`
makes numbers of tensors. `preparation` builds a network to be filled, `forward_pass`, `gradients` and `large_values`
run it, `call_digests` reads what its modules return, and `record_assembly` makes the record of all that.
"""
