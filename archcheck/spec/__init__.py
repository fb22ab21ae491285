"""The spec file: YAML text to validated models that know where they were written. Nothing of torch."""
