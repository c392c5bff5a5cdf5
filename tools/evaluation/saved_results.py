"""Old name of tools.evaluation.results; to be removed when no room uses it."""

from tools.evaluation.results import read_json

__all__ = ["read_json"]
