"""NTU RGB+D 60 and 120: splits, action names, official numbers of clips.

Sources: Shahroudy et al., CVPR 2016 (NTU RGB+D 60); Liu et al., TPAMI 2019 (NTU RGB+D 120);
https://github.com/shahroudy/NTURGB-D.
"""

from dataclasses import replace
from pathlib import Path

from feeder.description import Description, Split
from feeder.skeletons import NTU

LAST_SETUP = {"ntu60": 17, "ntu120": 32}  # a data set has setups 1 to its last setup

# NTU-60 has subjects 1 to 40; its training subjects are the first 20 in this list.
TRAIN_SUBJECTS = (
    *(1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38),
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83),
    *(84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
)
_names = Path(__file__).with_name("ntu_actions.txt").read_text(encoding="utf-8")
ACTION_NAMES = tuple(_names.splitlines())  # the name of action A001, A002, ...

DATASETS = {
    "ntu60": Description(
        title="NTU RGB+D 60",
        layout=NTU,
        classes=ACTION_NAMES[:60],
        splits={
            "cross_subject": Split("subject", TRAIN_SUBJECTS[:20]),
            "cross_view": Split("camera", (2, 3)),
        },
        origin="recordings of NTU RGB+D",
        command="python data_gen/ntu_gendata.py --dataset ntu60",
        official={"cross_subject": (40_091, 16_487), "cross_view": (37_646, 18_932)},
    ),
    "ntu120": Description(
        title="NTU RGB+D 120",
        layout=NTU,
        classes=ACTION_NAMES,
        splits={
            "cross_subject": Split("subject", TRAIN_SUBJECTS),
            "cross_setup": Split("setup", "even"),
        },
        origin="recordings of NTU RGB+D",
        command="python data_gen/ntu_gendata.py --dataset ntu120",
        official={"cross_subject": (63_026, 50_919), "cross_setup": (54_468, 59_477)},
    ),
}


def synthetic(dataset: str) -> Description:
    """The description of synthetic recordings with the file names and actions of `dataset`."""
    made = "data_gen/synthetic.py"
    return replace(DATASETS[dataset], title="synthetic recordings", origin=made, official={})
