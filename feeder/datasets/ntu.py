"""NTU RGB+D 60 and 120: splits, action names, official numbers of clips.

Sources: Shahroudy et al., CVPR 2016 (NTU RGB+D 60); Liu et al., TPAMI 2019 (NTU RGB+D 120);
https://github.com/shahroudy/NTURGB-D.
"""

from dataclasses import replace

from feeder.description import Description, Split
from feeder.skeletons import NTU

LAST_SETUP = {"ntu60": 17, "ntu120": 32}  # a data set has setups 1 to its last setup

# NTU-60 has subjects 1 to 40; its training subjects are the first 20 in this list.
TRAIN_SUBJECTS = (
    *(1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38),
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83),
    *(84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
)


ACTION_NAMES = (  # the name of action A001, A002, ...
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

DATASETS = {
    "ntu60": Description(
        "NTU RGB+D 60",
        NTU,
        ACTION_NAMES[:60],
        {
            "cross_subject": Split("subject", TRAIN_SUBJECTS[:20]),
            "cross_view": Split("camera", (2, 3)),
        },
        "recordings of NTU RGB+D",
        "python data_gen/ntu_gendata.py --dataset ntu60",
        {"cross_subject": (40_091, 16_487), "cross_view": (37_646, 18_932)},
    ),
    "ntu120": Description(
        "NTU RGB+D 120",
        NTU,
        ACTION_NAMES,
        {
            "cross_subject": Split("subject", TRAIN_SUBJECTS),
            "cross_setup": Split("setup", "even"),
        },
        "recordings of NTU RGB+D",
        "python data_gen/ntu_gendata.py --dataset ntu120",
        {"cross_subject": (63_026, 50_919), "cross_setup": (54_468, 59_477)},
    ),
}


def synthetic(dataset: str) -> Description:
    """The description of synthetic recordings, whose file names and actions are those of `dataset`.

    dataset: "ntu60" or "ntu120"
    """
    made = "data_gen/synthetic.py"
    return replace(DATASETS[dataset], title="synthetic recordings", origin=made, official={})
