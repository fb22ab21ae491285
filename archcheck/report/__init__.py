"""Results as text.

`mismatches` has the messages of failures, `verification` the result of `archcheck.verify`, `summary_tables` the
tables that a run ends with, and `calibration` those of `archcheck calibrate`.
"""
