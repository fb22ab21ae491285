"""What a structure trace stands on: torch without weights and without values.

`tensors` asks and makes meta tensors, `pointwise` and `matmul` compute the results of the common operations directly,
`layers` does so for whole layers, `ops` holds the tables of all three, `modes` intercepts what a build and a forward
pass call, `counting` counts multiply-adds where the tables know no better, `watching` stands between modules and their
forwards, `recorder` notes their calls, `skeleton` copies a live network without its weights, and `world` keeps the
caller's global state as it was.
"""
