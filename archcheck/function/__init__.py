"""What a network computes, told by a few numbers.

`pool` has the fixed numbers that everything is filled with, `first_use` fills weights in the order in which they are
first used, `steady` replaces random draws, `digests` makes numbers of tensors, and `passes` runs a network.
"""
