"""What a network computes, told by a few numbers.

`planning` says on what, `pool` has the fixed numbers that everything is filled with, `first_use` fills weights in the
order in which they are first used, `steady` replaces random draws, `grouped` is for speed, `digests` makes numbers of
tensors, and `passes` runs a network, with `soundness` looking after its health. Once something differs, `causes` looks
for what people do wrong: `operations` are what a network called, `alternatives` and `rearrangements` what it may have
been meant to call.
"""
