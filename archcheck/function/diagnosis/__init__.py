"""A likely cause of a difference: operations replaced one by one until the recorded numbers come back.

- `likely_cause` searches within a `budget`, `candidates` orders the operations, and `rules` has what may be tried in an
  operation's place (`activations`, `settings`, `operators`, `operands`, `constants`, `axes`). `confirmation` tries what
  was found in the other passes, too. `rebuilds` are what may have been built otherwise, and
  `unused` what may not be used any more, by its `roles`. `padding` is of gradients.
- `op_calls` are operations as they were called, `substitutions` what takes their place.
- `rerun` runs the network each time; `op_watcher` and `call_probe` watch its operations and modules, and `pass_notes`
  are what they note.
"""
