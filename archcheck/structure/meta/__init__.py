"""Torch without weights and without values, which a structure trace stands on.

- Building: `building` makes a network on meta, under `build_mode`; `model_copy` copies a live one without its weights.
- Running: `inputs` makes the arguments; `forward_modes` intercepts what a forward pass calls of torch, `placement` says
  where tensors live meanwhile. `recorder` records the modules' calls, `flow_recorder` where what they take comes from
  besides; `network_snapshot` puts a network back to what it was, `function_caches` the caches of its functions;
  `failures` tells why a build or a forward pass failed.
- Operations: `ops` says which one is computed how. `pointwise`, `normalization`, `pooling`, `matmul`, `convolution`,
  `attention` and `recurrent` compute results from shapes, `layers` does so for whole layers; `tensors` asks and makes
  meta tensors. `counting` counts multiply-adds of all other operations, by `formulas`.
- `module_tree`: the modules of a network, and what is counted of them.
"""
