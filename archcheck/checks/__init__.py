"""The checks: `registry` has their names, and each is the `CHECK` of the module of its name.

- `check`: the interface of a check, and the context that it is given. `outcome`: what a check found.
- `network_under_test`: a spec's network, built and traced once for all of its checks.
- `spec`, `shapes`, `parameters`, `compute`: by the trace. `recording`: sections that an update records from it.
  `moved_layers`: where the listed layers are now: `renamed_layers` under other names, `shifted_layers` under other
  numbers, `repacked_layers` in several parts or merged, and `named_elsewhere` than in the table. `new_layers`: layers
  to list, and `added_rows` what their rows say. `consequences`: which outputs only follow from others.
  `repacked_weights`: what was recorded of the weights of layers that were split or merged.
- `health`, `function`, `state_dict`, `equivalence`: by running the network with values.
- `cost`: by a step without values. `compile`, `export`: by having torch capture it.
- `accuracy`: by training it. `throughput`, `claims`: by timing it.
"""
