"""Unit tests of the room `deployment`."""
