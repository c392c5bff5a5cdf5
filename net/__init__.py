"""The network. Here, without torch, are the names of what it is given of a clip."""

MODALITIES = ("joint", "bone", "motion")
