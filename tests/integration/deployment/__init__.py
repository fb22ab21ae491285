"""Runs of pytest on what torch.compile and torch.export make of a network."""
