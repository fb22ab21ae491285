"""`archcheck schema`: the JSON Schema of spec files."""

from __future__ import annotations

import argparse
import json
from typing import Any

from archcheck.spec.json_schema import spec_json_schema

EXAMPLES = """\
archcheck schema > arch.schema.json
"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    command: argparse.ArgumentParser = commands.add_parser(
        "schema", help="print the JSON Schema of spec files, for editors"
    )
    command.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(spec_json_schema(), indent=2))
    return 0
