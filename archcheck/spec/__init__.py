"""The spec file: YAML text to validated models that know where they were written. Nothing of torch.

- Text to values: `document`, built by `document_builder`, with `positions` in the text.
- Values to models: `models` and their `field_types`, parsed by `values`, `inputs`, `layer_keys`, `weight_expressions`
  and `target`, which may have one of the `schemes`; `validation` of the whole; `messages` of what is wrong;
  `known_keys` and `json_schema`, read off the models.
- `spec_file` reads a file by all of these, `lock` what was recorded beside it, and `lookup` finds another spec, about
  which `claims` may be made. `orphaned_lock` says what to do with a lock that has no spec. `file_names`: how they are
  called.
- `manifest` reads a list of networks.
- `dims`: one dimension, parsed and evaluated. `dim_inference`: dimensions from sizes that were seen, by `dim_forms`.
- `domains`: what values an input may have. `tree`: the walk over nested inputs and outputs. `input_option`: inputs as
  the command line has them.
"""
