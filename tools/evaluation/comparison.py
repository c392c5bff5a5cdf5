"""Old names of tools.evaluation.compare; to be removed when no room uses them."""

from tools.evaluation.compare import ELSEWHERE, spread

__all__ = ["ELSEWHERE", "spread"]
