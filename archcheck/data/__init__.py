"""Data sets by name, and batches of them on the device.

- `splits`: what a loaded data set is. `context`: where data may lie, and how files of images are read.
- `registry`: the names, and loading by them. The loaders: `fashion` (over `idx`, the format), `torchvision_sets`,
  `digits`, `folder` and `table` (both over `images`, files of images), and `targets` for a user's own callable.
- `transforms`: resizing, normalising and augmenting a batch on the device.
- `batches`: a split as shuffled batches on the device, resident there or streamed (`stream`, with its workers).
- `randomness`: random numbers apart from the process's own. `failures`: what foreign code raised, in one line.
"""
