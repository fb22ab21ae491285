"""Checks run elsewhere: by anything with a `submit` whose result has a `result`.

This machine's side: `targets` makes the executor that a name stands for, `dispatch` submits the checks and takes what
comes back, whatever becomes of hosts. What travels: `records`. A host's side: `host` has the one function that is
submitted, and `checkout` finds and compares the sources there. `thread_executor`, `ray_executor` and
`submitit_executor` are executors on existing engines.
"""
