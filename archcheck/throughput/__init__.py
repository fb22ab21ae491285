"""The speed of networks: steps of training or inference, timed and compared.

- `plan`: what a spec's `throughput` section times, complete. `records`: measurements as plain values.
- `device_clock`: a clock that doesn't count the time that other processes had the processor.
- `workload`: a network, a batch and the step that is timed. `reference_workload`: a step's operations, recorded and run
  again, which saved runs are measured against.
- `peak_macs`: the device's best rate of multiply-adds. `peak_memory`: the most memory that a step holds.
- `machine`: the names of device and processor. `code_provenance`: checks where timed code was imported from.
- `speed_measurement`: examples per second of a spec, with peak and memory.
- `worker`: the main function of a process that measures on request; `regression.workers` starts it.
- `session`: the measurements of one session, compared with minima, revisions, saved runs and other specs.
- `regression`: whether a network has become slower.
"""
