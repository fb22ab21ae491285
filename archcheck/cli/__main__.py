"""`python -m archcheck.cli`."""

import sys

from archcheck.cli.command_line import main

sys.exit(main())
