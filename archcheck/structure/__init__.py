"""The structure of a network: forward passes traced without weights, compared and shown."""
