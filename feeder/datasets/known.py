"""The data sets whose older stores have no store.json: the name of the folder identifies them."""

from feeder.datasets import ntu, pku

KNOWN = ntu.DATASETS | pku.DATASETS
