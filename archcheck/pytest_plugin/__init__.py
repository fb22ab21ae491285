"""The pytest plugin behind `--archcheck`.

`session` has the hooks of a run, `options` its command line, `items` the nodes, `stopwatch` the timing by
pytest-benchmark, `progress` the live line of a training run, and `fixture` what tests get as `archcheck`.
"""
