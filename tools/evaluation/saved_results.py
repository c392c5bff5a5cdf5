"""Old names of tools.evaluation.results; to be removed when no room uses them."""

from tools.evaluation import paper
from tools.evaluation.results import read, read_json

__all__ = ["read_json", "results"]


def results(folder):
    return [result | {"paper": paper.figure(result)} for result in read(folder)], []
