"""The data sets whose stores may lack a store.json: older ones are told by their folder's name."""

from data_gen.datasets import ntu, pku

KNOWN = ntu.DATASETS | pku.DATASETS
