"""Whether a network has become slower: what to compare with, and the verdict. Without torch.

- `interval`: pure; ratios to a confidence interval and a verdict.
- `saved`: the runs that pytest-benchmark saved, and the one to compare with.
- `storage`: pytest-benchmark's folder, written at once.
- `history`: saved runs to text.
- `worktree`: another revision of this repository, checked out beside it.
- `workers`: processes that measure when they are asked to, and their end.
- `duel`: two of them taking turns until the verdict is clear, or one beside its reference.
"""
