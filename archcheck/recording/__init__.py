"""Spec files written.

`spec_writer` makes the text of a spec from a trace, `edits` replaces or adds recorded values in place, and
`calibration` does so for a minimum accuracy and its settings.
"""
