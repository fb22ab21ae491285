"""The `archcheck` command: `command_line` has the parser and runs a command.

`networks` builds what a command looks at; `new`, `show`, `diff`, `calibrate`, `bench`, `history` and `schema` are the
commands.
"""
