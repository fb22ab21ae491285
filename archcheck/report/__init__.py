"""Results as text.

`mismatches` has the messages of failures, `verification` the result of `archcheck.verify`, `terminal` the tables that a
run ends with, and `calibration` those of `archcheck calibrate`.
"""
