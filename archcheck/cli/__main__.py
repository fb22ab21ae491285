"""Run the command line: `python -m archcheck.cli`."""

import sys

from archcheck.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())
