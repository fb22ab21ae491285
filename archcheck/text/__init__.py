"""Text for messages and files.

- `words`: values, names and counts as messages show them, did-you-mean. `paths`: paths. `tables`: tables.
- `units`: numbers with their units, parsed and formatted.
- `yaml_scalars`, `yaml_flow`: plain YAML to values, and values to YAML on one line.
"""
