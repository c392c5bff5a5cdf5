"""NW-UCLA: action names and splits.

Source: Wang et al., Cross-view Action Modeling, Learning and Recognition, CVPR 2014
(Northwestern-UCLA Multiview Action 3D).
"""

from feeder.description import Description, Split
from feeder.skeletons import KINECT_V1, NTU, Layout

ACTIONS = {  # {number in the file name: name of the action}; labels count the actions from 1
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


def _dataset(title: str, layout: Layout, flags: str) -> Description:
    return Description(
        title=title,
        layout=layout,
        classes=tuple(ACTIONS.values()),
        splits={
            "cross_view": Split("camera", (1, 2)),  # the published protocol
            "cross_subject": Split("subject", "odd"),  # our own: 724 and 760 clips of five subjects
        },
        origin="Northwestern-UCLA Multiview Action 3D, Kinect v1, JSON files of public codes",
        command=f"python data_gen/ucla_gendata.py{flags}",
        official={"cross_view": (1_020, 464)},
    )


# {number of joints in the store: (name of the store, its description)}
DATASETS = {
    25: ("nwucla", _dataset("NW-UCLA", NTU, "")),
    20: ("nwucla20", _dataset("NW-UCLA (20 joints)", Layout(KINECT_V1, 1), " --joints 20")),
}
