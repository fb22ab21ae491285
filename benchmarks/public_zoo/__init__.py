"""Networks that others wrote, small: `public_networks.py` records and verifies them.

`entry` says what a network is; each of the other modules has those of one library, or of a few: `vision` (torchvision
and timm), `language` (transformers), `diffusion` (diffusers), `assorted` (the rest). Their `build` functions are what
specs call: networks are described by configurations, and drawn at random.
"""
