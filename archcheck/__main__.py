"""The command `archcheck` as `python -m archcheck`, for where scripts aren't on the PATH."""

import sys

from archcheck.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
