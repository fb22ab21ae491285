"""Spec files written.

`spec_writer` makes the text of a spec from a trace, `edits` replaces or adds recorded values in place, `entries`
renames or removes what stands in a map, `rows` adds to one as what stands there is written, and `calibration` writes a
minimum accuracy and its settings. `lock_writer` writes what was recorded of the function, which `inline_records` takes
out of older specs, and `ignored_locks` are those that git leaves behind.
"""
