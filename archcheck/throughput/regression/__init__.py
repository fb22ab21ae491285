"""Whether a network has become slower: what to compare with, how, and the verdict. Without torch.

- `workers`: processes that measure on request. `paired_benchmark`: two of them in turns, or one in turns with its
  reference workload, until the verdict is clear. `interval`: ratios of times to a confidence interval and a verdict.
- `worktree`: another revision of the repository, checked out for as long as it is measured.
- `saved_runs`: the runs that pytest-benchmark saved, and the one to compare with. `benchmark_storage`: saved at once.
- `gate`: a `throughput` section measured and compared. `verdicts`: measurements to mismatches.
- `history`: saved runs to text.
"""
