"""Results as text, and as files.

`mismatches` has the messages of failures, `verification` the result of `archcheck.verify`, `summary_tables` the
tables that a run ends with, and `calibration` those of `archcheck calibrate`.

Of `--archcheck-report`: `run_record` is the record of a run, and JSON. `spec_record` and `network_record` make what it
has of a spec and of its network where the checks run, `joining` puts parts together. `markdown` makes a summary of it,
`page` HTML; `files` knows which name asks for which format.

Of pages: `rendering` fills `templates`; `picture` draws a network, of the rows of `layer_tree`, and `charts` curves and
intervals. `network_page` has those of `archcheck show` and `diff`, and what a notebook shows.
"""
