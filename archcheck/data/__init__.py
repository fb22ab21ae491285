"""Data sets by name, and batches of them on the device.

- `splits`: what a loaded data set consists of. `context`: settings of loading, such as folders to look in.
- `registry`: the names of data sets, and loading by name. The loaders: `fashion_mnist` (reads `idx_format`),
  `torchvision_datasets`, `digits`, `image_folder` and `image_table` (both read `image_files`), and `user_datasets` for
  a user's own callable. `arguments`: a spec's arguments checked against a loader's signature.
- `same_examples`: whether both splits hold the same ones.
- `transforms`: resizing, normalising and augmenting a batch on the device.
- `batches`: a split as shuffled batches, resident on the device or streamed to it. `streaming`: a map-style data set
  fetched item by item, in worker processes. `seeds`: seeds derived from others. `epoch_loader`: batches for a loop of
  the user's own.
"""
