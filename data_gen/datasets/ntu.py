"""Facts of the data sets: protocols, training splits, action names.

Sources: Shahroudy et al., CVPR 2016 (NTU RGB+D 60); Liu et al., TPAMI 2019 (NTU RGB+D 120);
https://github.com/shahroudy/NTURGB-D; Liu et al., 2017 (PKU-MMD, arXiv 1703.07475).
"""

from typing import NamedTuple

import numpy as np

from data_gen.datasets import pku


class Dataset(NamedTuple):
    """One of the data sets that this code prepares, and the protocols that split it."""

    name: str
    num_classes: int
    max_setup: int  # the data set holds the clips of setups 1 to max_setup
    protocols: dict[str, tuple[int, int] | None]  # official numbers of (training, test) clips

    @property
    def num_clips(self) -> int | None:
        """Official number of clips, those with missing skeletons left out; None if not known."""
        counts = next(iter(self.protocols.values()))
        return sum(counts) if counts else None


DATASETS = {  # NTU RGB+D
    "ntu60": Dataset(
        "ntu60", 60, 17, {"cross_subject": (40_091, 16_487), "cross_view": (37_646, 18_932)}
    ),
    "ntu120": Dataset(
        "ntu120", 120, 32, {"cross_subject": (63_026, 50_919), "cross_setup": (54_468, 59_477)}
    ),
}
# PKU-MMD: which clips train is no rule but a list, kept as columns of the store. Phase II uses 41
# of the 51 class numbers.
PKU = {
    name: Dataset(name, 51, 0, {"cross_subject": None, "cross_view": None})
    for name in ("pkummd1", "pkummd2")
}
ALL_DATASETS = DATASETS | PKU
PROTOCOLS = ("cross_subject", "cross_view", "cross_setup")

# NTU-60 trains on the 20 of them up to 40: those that took part in its recordings.
TRAIN_SUBJECTS = (
    *(1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38),
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83),
    *(84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
)
NTU60_LAST_SUBJECT = 40
TRAIN_CAMERAS = (2, 3)


def train_mask(protocol: str, dataset: str, *, setup, camera, subject) -> np.ndarray:
    """Which clips of a data set train under a protocol; the others test.

    setup, camera, subject: (N,) integers, columns of samples.csv. Returns (N,) bool.
    Raises ValueError for an unknown data set, for a protocol that the data set does not have, and
    for a data set whose split follows no rule.
    """
    if dataset not in ALL_DATASETS:
        raise ValueError(f"data set {dataset!r} is unknown; there are {', '.join(ALL_DATASETS)}")
    protocols = ALL_DATASETS[dataset].protocols
    if protocol not in protocols:
        raise ValueError(
            f"{dataset} has no protocol {protocol!r}; it has {' and '.join(protocols)}"
        )
    if dataset in PKU:
        raise ValueError(f"{dataset} is split by lists, so its store needs a column {protocol}")
    if protocol == "cross_view":
        return np.isin(camera, TRAIN_CAMERAS)
    if protocol == "cross_setup":
        return np.asarray(setup) % 2 == 0
    train = np.isin(subject, TRAIN_SUBJECTS)
    return train & (np.asarray(subject) <= NTU60_LAST_SUBJECT) if dataset == "ntu60" else train


ACTION_NAMES = (  # ACTION_NAMES[action - 1], the action as in the file name
    "drink water",
    "eat meal/snack",
    "brushing teeth",
    "brushing hair",
    "drop",
    "pickup",
    "throw",
    "sitting down",
    "standing up (from sitting position)",
    "clapping",
    "reading",
    "writing",
    "tear up paper",
    "wear jacket",
    "take off jacket",
    "wear a shoe",
    "take off a shoe",
    "wear on glasses",
    "take off glasses",
    "put on a hat/cap",
    "take off a hat/cap",
    "cheer up",
    "hand waving",
    "kicking something",
    "reach into pocket",
    "hopping (one foot jumping)",
    "jump up",
    "make a phone call/answer phone",
    "playing with phone/tablet",
    "typing on a keyboard",
    "pointing to something with finger",
    "taking a selfie",
    "check time (from watch)",
    "rub two hands together",
    "nod head/bow",
    "shake head",
    "wipe face",
    "salute",
    "put the palms together",
    "cross hands in front (say stop)",
    "sneeze/cough",
    "staggering",
    "falling",
    "touch head (headache)",
    "touch chest (stomachache/heart pain)",
    "touch back (backache)",
    "touch neck (neckache)",
    "nausea or vomiting condition",
    "use a fan (with hand or paper)/feeling warm",
    "punching/slapping other person",
    "kicking other person",
    "pushing other person",
    "pat on back of other person",
    "point finger at the other person",
    "hugging other person",
    "giving something to other person",
    "touch other person's pocket",
    "handshaking",
    "walking towards each other",
    "walking apart from each other",
    "put on headphone",
    "take off headphone",
    "shoot at the basket",
    "bounce ball",
    "tennis bat swing",
    "juggling table tennis balls",
    "hush (quite)",
    "flick hair",
    "thumb up",
    "thumb down",
    "make ok sign",
    "make victory sign",
    "staple book",
    "counting money",
    "cutting nails",
    "cutting paper (using scissors)",
    "snapping fingers",
    "open bottle",
    "sniff (smell)",
    "squat down",
    "toss a coin",
    "fold paper",
    "ball up paper",
    "play magic cube",
    "apply cream on face",
    "apply cream on hand back",
    "put on bag",
    "take off bag",
    "put something into a bag",
    "take something out of a bag",
    "open a box",
    "move heavy objects",
    "shake fist",
    "throw up cap/hat",
    "hands up (both hands)",
    "cross arms",
    "arm circles",
    "arm swings",
    "running on the spot",
    "butt kicks (kick backward)",
    "cross toe touch",
    "side kick",
    "yawn",
    "stretch oneself",
    "blow nose",
    "hit other person with something",
    "wield knife towards other person",
    "knock over other person (hit with body)",
    "grab other person’s stuff",
    "shoot at other person with a gun",
    "step on foot",
    "high-five",
    "cheers and drink",
    "carry something with other person",
    "take a photo of other person",
    "follow other person",
    "whisper in other person’s ear",
    "exchange things with other person",
    "support somebody with hand",
    "finger-guessing game (playing rock-paper-scissors)",
)


def action_names(dataset: str) -> tuple[str, ...]:
    """Names of a data set's actions 1, 2, ..."""
    return pku.ACTION_NAMES if dataset in PKU else ACTION_NAMES
