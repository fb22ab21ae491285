"""The pytest plugin behind `--archcheck`.

`session` has the hooks of a run, `options` its command line (`usage` tells what is wrong with it, `rootdir` where it
has led pytest astray), `spec_paths` where specs are looked for, `items` the nodes, `scheduling` which worker of
pytest-xdist gets which, `worker_devices` where it computes, `device_lock` keeps those apart that share a device,
`timing` the stopwatch by pytest-benchmark, `progress` the live line of a training run, `changed` leaves out what would
come out as before, `reporting` gathers and writes reports, `run_environment` says what a run was made with, and
`fixture` what tests get as `archcheck`. `workers` tells whether a process runs items for another one, `executing` has
an executor run the checks, in `host_process` on its hosts, and `sharding` chooses one job's part of the specs.
"""
