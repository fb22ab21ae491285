"""Data sets by name, and batches of them on the device.

- `splits`: what a loaded data set is.
- `registry`: the names, and loading by them; `idx`, `files` and `torchvision_sets` hold the loaders.
- `transforms`: resizing, normalising and augmenting a batch on the device.
- `batches`: a split as shuffled batches on the device, resident there or streamed.
"""
