"""The registry of checks, and one file for each check."""
