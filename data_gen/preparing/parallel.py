"""Moved to data_gen.gendata."""

from common import UserError as WorkerDied
from data_gen.gendata import end_with_parent, ordered_map, usable_cpus

__all__ = ["WorkerDied", "end_with_parent", "ordered_map", "usable_cpus"]
