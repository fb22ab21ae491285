"""The `archcheck` command: `command_line` has the parser and runs a command.

`networks` builds what a command looks at, and `assumed_inputs` finds out what goes in. `new_spec` writes the text of a
spec, `spec_names` its name, and `manifest` does so for a list of networks. `new_tasks` are what a run of `new` does;
`new_run` has them done, here or by `new_pool` in processes of which `new_process` is the main function, with a
`live_line` on the terminal. `new`, `show`, `diff`, `calibrate`, `bench`, `history`, `lint`, `report` and `schema` are
the commands.
"""
