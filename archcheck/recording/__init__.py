"""Spec files written: new ones, and recorded values edited in place."""
