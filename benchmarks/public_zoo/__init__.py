"""Networks that others wrote, small: `public_networks.py` and `ecosystem.py` record and verify them.

`entry` says what a network is, and `catalogue` which there are. Each of the other modules has those of one library, or
of a few: `vision` (torchvision and timm), `language` (transformers), `diffusion` (diffusers), `assorted`
(x-transformers, monai and others), `images`, `sound`, `attention` (sequences and diffusion, too), `tables`,
`science`, `training` (fine-tuned, with targets, on graphs, on videos). Their functions are what specs call:
networks are described by configurations, and drawn at random. `changes` are those of the configurations.

`sweep` goes over them with `driver`'s processes, in each of which `worker` answers; `report` and `ecosystem_report`
make the tables.
"""
