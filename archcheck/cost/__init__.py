"""What a step of a network costs, told without running a kernel: memory, traffic, operations, waits.

- `plan` completes what a spec's `cost` measures; `measure` does so, without values or on the CPU; `step` is the step.
- `meter` watches a step operation by operation. `operations` says what each does with its tensors, `places` in which
  layer and on which line it is; `stand_ins` are tensors without values that torch takes for ones on the CPU.
- `bound` is the least time of a step on a device, by the device's `peaks`.
- `records` are the results. `comparison` says which layers have changed and how, `table` puts costs into text.
"""
