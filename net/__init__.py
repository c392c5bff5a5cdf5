"""The network. This file names the modalities, without an import of torch."""

MODALITIES = ("joint", "bone", "motion")
