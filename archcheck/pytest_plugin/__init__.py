"""The pytest plugin behind `--archcheck`: session hooks, items, progress, the fixture."""
