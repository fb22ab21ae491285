"""Small networks of many families, each with defects to plant in it and with rewrites that change nothing.

A family is two files: `NAME.py` is the network, whose text is what gets edited, and `NAME_cases.py` lists the edits.
"""
