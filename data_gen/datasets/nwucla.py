"""Facts of NW-UCLA: the names of its actions, its splits, its joints as those of NTU RGB+D.

Source: Wang et al., Cross-view Action Modeling, Learning and Recognition, CVPR 2014
(Northwestern-UCLA Multiview Action 3D).
"""

from data_gen.datasets.description import Description, Split
from data_gen.datasets.skeletons import KINECT_V1, NTU, Layout

ACTIONS = {  # number in a file's name: the name of the action; labels count them from 1
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
# The 20 joints of Kinect v1 are the first 20 of Kinect v2, but that v2's neck is v1's center of the
# shoulders. The five that are missing: the spine at the shoulders is that center, too, and tip and
# thumb of a hand are where the hand is.
CENTER_OF_SHOULDERS, LEFT_HAND, RIGHT_HAND = 2, 7, 11
KINECT_V1_AS_V2 = (
    *range(20),
    CENTER_OF_SHOULDERS,
    *(LEFT_HAND, LEFT_HAND),
    *(RIGHT_HAND, RIGHT_HAND),
)
_SPLITS = {
    "cross_view": Split("camera", (1, 2)),  # the field's protocol
    "cross_subject": Split("subject", "odd"),  # ours: 724 and 760 clips, five subjects in each
}


def _dataset(title: str, layout: Layout, flags: str) -> Description:
    return Description(
        title,
        layout,
        tuple(ACTIONS.values()),
        _SPLITS,
        "Northwestern-UCLA Multiview Action 3D, Kinect v1, JSON files of public codes",
        f"python data_gen/ucla_gendata.py{flags}",
        {"cross_view": (1_020, 464)},
    )


# By the number of joints that are kept: the store's name and what it is.
DATASETS = {
    25: ("nwucla", _dataset("NW-UCLA", NTU, "")),
    20: ("nwucla20", _dataset("NW-UCLA (20 joints)", Layout(KINECT_V1, 1), " --joints 20")),
}
