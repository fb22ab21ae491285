"""Bugs that really happened in public repositories, each rebuilt in a small network of the same kind.

As in `defect_zoo`, `NAME.py` is the sound network and `NAME_cases.py` lists the edits: the bugs, each with the
repository and the number of the issue or pull request that tells of it, and refactorings that change nothing. The
networks are written anew; nothing but the facts is taken from there.
"""
