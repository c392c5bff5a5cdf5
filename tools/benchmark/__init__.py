"""Measures each stage of this code beside the literal version: `python -m tools.benchmark`."""
