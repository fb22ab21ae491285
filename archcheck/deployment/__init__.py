"""Where a network may go: to another device, through torch.compile and torch.export.

- `device_probe` runs a network whose weights and inputs alone are on a device that it pretends to have.
  `placed_network` builds it, `device_modes` watch what a forward pass calls, by `device_rules`; `origins` tell where a
  tensor came from, and `device_autocast` is the autocast that there is on that device. `shadow_values` compute what a
  network asks for, `blank_results` save time where it asks for nothing.
- `compilation` counts the graphs that torch.compile makes of a network, `exporting` takes it through torch.export and
  `onnx_file` on to ONNX. `own_networks` builds what may be changed, `free_sizes` are those at which it's run,
  `agreement` tells whether two networks compute the same, and `dynamo_state` keeps what torch captures from the rest of
  the process.
- `records`: what was found, as plain values.
"""
