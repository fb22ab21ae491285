"""The function of a network: recorded as a few numbers of each layer, and compared. `records` has their types.

- `planning` chooses the sizes, `measure` runs a network as its spec says or as planned, by `fingerprint`, and
  `section` writes what was recorded. `made_inputs` looks at inputs that a user's callable makes,
  `domain_search` for values with which a network runs that fails with others.
- `comparison` finds the first of the `digested_layers` that differs by more than the `tolerances`, paired by
  `layer_matching`; `equivalence` compares two builds, whose weights match by `weight_matching` as a spec says, or by
  `renaming`; `matching_search` finds what a spec should say, and `weight_lines` writes it;
  `repacking` runs a network with recorded weights that are packed otherwise now. `origin` follows a difference back
  past layers that agree. `diagnosis` looks for the mistake behind one. `dtype_comparison` compares what double
  precision doesn't show.
- `initial_values` measures what drawn weights start from, by `late_draws` with no more numbers than it looks at, and
  `initial_comparison` tells chance from a difference.
- `health_probe` looks for defects while a network is run, `object_equality` helps it to compare outputs.
"""
