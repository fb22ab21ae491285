"""Training: a recipe, a network and data in, a `TrainingRecord` out.

- `options`: the options of a session. `recipe`: a spec's recipe, complete. `records`: runs as plain values.
- `components`: optimizers, losses and initialisations by their names in torch, `schedules`: schedulers.
  `component_kinds`: where torch has them, and whether it takes their arguments.
- `failures`: exceptions as the failure of a run, in one line. `interrupt_recorder`: Ctrl-C, never lost.
- `forward_pass`: a network on its device, in its precision and memory format. `step`: one step of training, the one
  that `throughput` times too; `graphed_pass`: as a graph that the device runs by itself.
- `batch_validation`: whether data, network and recipe go together. `metrics`: accuracy or R², summed on the device.
- `loop`: a run, epoch by epoch. `loss_monitor` ends it where the loss diverges, `step_rate` times it, `callbacks` tell
  of it, `checkpoints` saves the best network.
- `user_loop`: the user's own loop instead, `lightning_loop`: PyTorch Lightning's; `loop_report`: what they report.
  `untrained`: the parameters that they leave as they were; `kept_process`: what they change of the process, put back.
- `trainer`: a spec's network, recipe, device and data brought together. `session`: the runs of one session.
- `evaluation`: the accuracy of a network with given weights. `accuracy`: runs compared with minima and claims.
- `early_stopping`: a run's end once its minimum is reached and confirmed.
- `calibration`: a minimum accuracy from several seeds, and the fastest settings. `tolerance_bound`: its statistics.
"""
