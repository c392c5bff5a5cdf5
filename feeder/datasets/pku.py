"""PKU-MMD, phases I and II: action names and splits.

Source of the names: Actions.xlsx of the data set (Liu et al., 2017, arXiv 1703.07475), taken from
three public readers, which agree on names and order. Phase II uses 41 of the 51 numbers.
"""

from feeder.description import Description, Split
from feeder.skeletons import NTU

ACTION_NAMES = (  # the name of class 1, 2, ... in the label files
    "bow",
    "brushing hair",
    "brushing teeth",
    "check time (from watch)",
    "cheer up",
    "clapping",
    "cross hands in front (say stop)",
    "drink water",
    "drop",
    "eat meal/snack",
    "falling",
    "giving something to other person",
    "hand waving",
    "handshaking",
    "hopping (one foot jumping)",
    "hugging other person",
    "jump up",
    "kicking other person",
    "kicking something",
    "make a phone call/answer phone",
    "pat on back of other person",
    "pickup",
    "playing with phone/tablet",
    "point finger at the other person",
    "pointing to something with finger",
    "punching/slapping other person",
    "pushing other person",
    "put on a hat/cap",
    "put something inside pocket",
    "reading",
    "rub two hands together",
    "salute",
    "sitting down",
    "standing up",
    "take off a hat/cap",
    "take off glasses",
    "take off jacket",
    "take out something from pocket",
    "taking a selfie",
    "tear up paper",
    "throw",
    "touch back (backache)",
    "touch chest (stomachache/heart pain)",
    "touch head (headache)",
    "touch neck (neckache)",
    "typing on a keyboard",
    "use a fan (with hand or paper)/feeling warm",
    "wear jacket",
    "wear on glasses",
    "wipe face",
    "writing",
)
# A list of videos, not a rule, says which clips are training clips. So each protocol is a column of
# samples.csv.
_SPLITS = {protocol: Split(protocol) for protocol in ("cross_subject", "cross_view")}


def _phase(dataset: str, title: str) -> Description:
    command = f"python data_gen/pku_gendata.py --dataset {dataset}"
    return Description(title, NTU, ACTION_NAMES, _SPLITS, f"recordings of {title}", command)


DATASETS = {
    "pkummd1": _phase("pkummd1", "PKU-MMD I"),
    "pkummd2": _phase("pkummd2", "PKU-MMD II"),
}
