"""Pairs of networks that are one function: `networks` are libraries', `handwritten` others, `pairs` lists them."""
