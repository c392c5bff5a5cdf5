"""The data sets: action names, splits, official numbers of clips.

NTU RGB+D 60 and 120: Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019;
https://github.com/shahroudy/NTURGB-D.
PKU-MMD I and II: Liu et al., arXiv 1703.07475. The names of Actions.xlsx are taken from three
public readers, which agree on names and order. Phase II uses 41 of the 51 numbers.
NW-UCLA (Northwestern-UCLA Multiview Action 3D): Wang et al., CVPR 2014.
"""

from dataclasses import replace
from pathlib import Path

from feeder.description import Description, Split
from feeder.skeletons import NTU


def _lines(file: str) -> tuple[str, ...]:
    return tuple(Path(__file__).with_name(file).read_text(encoding="utf-8").splitlines())


# ---- NTU RGB+D

NTU_ACTIONS = _lines("ntu_actions.txt")  # the name of action A001, A002, ...
LAST_SETUP = {"ntu60": 17, "ntu120": 32}  # a data set has setups 1 to its last setup
# NTU-60 has subjects 1 to 40; its training subjects are the first 20 in this list.
TRAIN_SUBJECTS = (
    *(1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38),
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83),
    *(84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
)
NTU_DATASETS = {
    "ntu60": Description(
        title="NTU RGB+D 60",
        layout=NTU,
        classes=NTU_ACTIONS[:60],
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
        classes=NTU_ACTIONS,
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
    return replace(NTU_DATASETS[dataset], title="synthetic recordings", origin=made, official={})


# ---- PKU-MMD

PKU_ACTIONS = _lines("pku_actions.txt")  # the name of class 1, 2, ... in the label files
PKU_DATASETS = {
    dataset: Description(
        title=title,
        layout=NTU,
        classes=PKU_ACTIONS,
        # A list of videos, not a rule, says which clips are training clips. So each protocol is a
        # column of samples.csv.
        splits={protocol: Split(protocol) for protocol in ("cross_subject", "cross_view")},
        origin=f"recordings of {title}",
        command=f"python data_gen/pku_gendata.py --dataset {dataset}",
        reading={"by_energy": False},  # bodies stay in the order of the file
    )
    for dataset, title in {"pkummd1": "PKU-MMD I", "pkummd2": "PKU-MMD II"}.items()
}

# ---- NW-UCLA

UCLA_ACTIONS = {  # {number in the file name: name of the action}; labels count the actions from 1
    1: "pick up with one hand",
    2: "pick up with two hands",
    3: "drop trash",
    4: "walk around",
    5: "sit down",
    6: "stand up",
    8: "donning",
    9: "doffing",
    11: "throw",
    12: "carry",
}
UCLA = Description(
    title="NW-UCLA",
    layout=NTU,
    classes=tuple(UCLA_ACTIONS.values()),
    splits={
        "cross_view": Split("camera", (1, 2)),  # the published protocol
        "cross_subject": Split("subject", "odd"),  # our own: 724 and 760 clips of five subjects
    },
    origin="Northwestern-UCLA Multiview Action 3D, Kinect v1, JSON files of public codes",
    command="python data_gen/ucla_gendata.py",
    official={"cross_view": (1_020, 464)},
)

# Data sets whose older stores have no store.json: the name of the folder identifies them.
KNOWN = NTU_DATASETS | PKU_DATASETS
