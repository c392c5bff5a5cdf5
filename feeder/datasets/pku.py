"""PKU-MMD, phases I and II: action names and splits.

Source of the names: Actions.xlsx of the data set (Liu et al., 2017, arXiv 1703.07475), taken from
three public readers, which agree on names and order. Phase II uses 41 of the 51 numbers.
"""

from pathlib import Path

from feeder.description import Description, Split
from feeder.skeletons import NTU

_names = Path(__file__).with_name("pku_actions.txt").read_text(encoding="utf-8")
ACTION_NAMES = tuple(_names.splitlines())  # the name of class 1, 2, ... in the label files


def _phase(dataset: str, title: str) -> Description:
    return Description(
        title=title,
        layout=NTU,
        classes=ACTION_NAMES,
        # A list of videos, not a rule, says which clips are training clips. So each protocol is a
        # column of samples.csv.
        splits={protocol: Split(protocol) for protocol in ("cross_subject", "cross_view")},
        origin=f"recordings of {title}",
        command=f"python data_gen/pku_gendata.py --dataset {dataset}",
    )


DATASETS = {
    "pkummd1": _phase("pkummd1", "PKU-MMD I"),
    "pkummd2": _phase("pkummd2", "PKU-MMD II"),
}
