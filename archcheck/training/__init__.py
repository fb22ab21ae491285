"""Training: a recipe, a network and data in, a `TrainingRecord` out.

- `components`: optimizers, schedulers, losses and initialisation by their names in torch, and whether these exist.
- `metrics`: accuracy or R², gathered on the device.
- `faults`: what goes wrong in a run, in one line.
- `contract`: whether data, network and recipe go together.
- `forward`: a network on its device, in its precision and layout.
- `step`: one step of training; what is timed where speed is measured.
- `interrupts`: Ctrl-C, remembered.
- `devices`: the device to train on.
- `loop`: epochs, early stop, time budget.
- `checkpoints`: the best network so far, kept in a file.
"""
