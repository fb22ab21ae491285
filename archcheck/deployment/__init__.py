"""Where a network may go: to another device, through torch.compile and torch.export.

- `device_probe` runs a network whose weights and inputs alone are on a device that it pretends to have.
  `placed_network` builds it, `placement` says which tensors are where, `device_modes` watch what a forward pass calls,
  by `device_rules`; `origins` tell where a tensor came from, and `shadow_values` compute what a network asks for.
- `records`: what was found, as plain values.
"""
