"""How fast a network is: one step of its training, or of inference, timed.

- `clock`: seconds without those that the machine was busy with something else.
- `workload`: what is timed: a network, a batch, and the step.
- `reference`: the operations of a step, written down and done again: the yardstick of saved runs.
- `peak`: the machine's own best at multiplying matrices.
- `memory`: the most that a step holds.
- `machine`: what device and processor are called.
- `figures`: examples per second and what goes with it.
- `provenance`: where the code that is timed was imported from.
- `worker`: the process that measures when it is asked to.
"""
