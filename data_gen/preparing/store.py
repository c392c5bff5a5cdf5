"""Moved to data_gen.writer."""

from common import UserError as StoreError
from data_gen.writer import StoreWriter

__all__ = ["StoreError", "StoreWriter"]
