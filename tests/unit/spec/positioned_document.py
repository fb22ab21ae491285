"""A document with every style of YAML that a spec is written in."""

from __future__ import annotations

SPEC = """\
# a comment
name: "x"   # another

layers:
  b1: [B, 64, H/4]   # flow
  b2.0:
    type: Residual
    output:
    - B
    - 64

  # between
  7: {parameters: 74_112, output: [B, 'q']}

text: |
  two
  lines

after: 1
"""
