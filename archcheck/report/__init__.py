"""Results as text, and as files.

`mismatches` has the messages of failures, `verification` the result of `archcheck.verify`, `summary_tables` the
tables that a run ends with, and `calibration` those of `archcheck calibrate`.

Of `--archcheck-report`: `run_record` is the record of a run, and JSON. `spec_record` makes what it has of a spec
where the checks run, `joining` puts parts together. `markdown` makes a summary of it, `page` HTML with `templates`,
`layer_tree` and `charts`; `files` knows which name asks for which format.
"""
