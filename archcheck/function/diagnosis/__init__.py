"""A likely cause of a difference: operations replaced one by one until the recorded numbers come back.

`likely_cause` searches, `candidates` orders the operations, and `rules` has what may be tried in an operation's place
(`activations`, `settings`, `operators`, `operands`, `constants`, `axes`). `rerun` runs the network each time, and
`op_watcher` and `call_probe` watch its operations and modules.
"""
