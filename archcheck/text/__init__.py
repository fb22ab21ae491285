"""Text for messages and files.

- `words`: values, names and counts as messages show them, did-you-mean. `paths`: paths. `tables`: tables.
- `visible`: text from outside, made harmless to look at.
- `units`: numbers with their units, parsed and formatted.
- `yaml_scalars`, `yaml_flow`: plain YAML to values, and values to YAML on one line.
"""
