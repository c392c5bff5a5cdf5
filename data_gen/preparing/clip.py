"""Moved to data_gen.clip."""

from data_gen.clip import align, center, choose_slots, is_empty, prepare_clip, repair

__all__ = ["align", "center", "choose_slots", "is_empty", "prepare_clip", "repair"]
