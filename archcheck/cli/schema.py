"""`archcheck schema`: the JSON Schema of spec files, and of reports."""

from __future__ import annotations

import argparse
import json
from typing import Any

EXAMPLES = """\
archcheck schema > arch.schema.json
archcheck schema --report
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "schema", help="print the JSON Schema of spec files, for editors, or of reports"
    )
    command.add_argument(
        "--report", action="store_true", help="that of the JSON which pytest --archcheck-report FILE.json writes"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the schema."""
    from archcheck.report.run_record import run_json_schema
    from archcheck.spec.json_schema import spec_json_schema

    print(json.dumps(run_json_schema() if options.report else spec_json_schema(), indent=2))
    return 0
