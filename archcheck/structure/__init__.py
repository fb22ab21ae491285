"""The structure of a network: forward passes traced without weights, compared and shown.

- `trace`: a network to its trace, by `trace_run` on one device; `meta` is what both stand on. `records`: the trace.
  `as_if`: a trace in which some layers put out something else. `flow`: where what each layer takes comes from.
- `patterns`: what a spec would say of values that were seen. `layer_selection`: the layers that a spec's keys name.
- `layer_groups`: the rows of a layer table that reads at a glance, layers that repeat in one.
- `crashes`: forward passes that stopped, in words. `layer_pairing`, `diff`: two traces side by side.
- `layer_table`: the layer table as text. `work`: what a forward pass costs, and as many threads as it is worth.
"""
