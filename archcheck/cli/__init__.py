"""The `archcheck` command, a file for each of its commands."""
