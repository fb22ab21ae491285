"""archcheck: a neural network's architecture, written down once as a spec file and verified for ever."""

__version__ = "0.1.0"
