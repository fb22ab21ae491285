"""A network run with fixed weights on a fixed input, told by a few numbers of each layer."""
