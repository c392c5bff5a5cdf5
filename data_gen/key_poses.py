"""Sixteen actions of NTU RGB+D as key poses, for data_gen/synthetic.py.

A pose (25, 3) holds, for each joint, the degrees by which the bone that ends there turns about the
axes of the body (x to its own right, y up, z to its back), from a person who stands with hanging
arms. Row 0, where no bone ends, holds the height of the feet above the floor in centimetres.
"""

from typing import NamedTuple

import numpy as np

# The rows that turn, as joints count in NTU RGB+D, from 0; an arm turns at the shoulder, its elbow
# turns the forearm, a leg turns at the hip, its knee turns the shank.
ROWS = {"rise": 0, "spine": 1, "chest": 20, "neck": 2}
ROWS |= {"l_arm": 5, "l_elbow": 6, "l_hand": 7, "l_leg": 13, "l_knee": 14, "l_foot": 15}
ROWS |= {"r_arm": 9, "r_elbow": 10, "r_hand": 11, "r_leg": 17, "r_knee": 18, "r_foot": 19}


def pose(**turns: float | tuple[float, float, float]) -> np.ndarray:
    """A pose from degrees about x, or about x, y and z.

    `arm` turns both arms, `l_arm` and `r_arm` one of them; the left one is the mirror image of what
    the degrees say.
    """
    degrees = np.zeros((25, 3))
    for name, turn in turns.items():
        for key in (name,) if name in ROWS else (f"l_{name}", f"r_{name}"):
            mirror = (1, -1, -1) if key.startswith("l_") else (1, 1, 1)
            degrees[ROWS[key]] = np.multiply((turn, 0, 0) if np.isscalar(turn) else turn, mirror)
    return degrees


class Action(NamedTuple):
    """Key poses of one person, or of two who face each other and do the same."""

    keys: list[tuple[float, np.ndarray]]  # (seconds since the last key, pose)
    repeat: tuple[int, int, int, int] = (0, 0, 1, 1)  # keys[i:j] come `least` to `most` times
    gap: tuple[float, float] | None = None  # metres between two people, when they begin and end


P = pose
REST = P()
SEATED = P(leg=88, knee=-88, spine=-4, chest=-4, arm=(28, 15, 0), elbow=50)
LEANING = P(leg=55, knee=-65, spine=-23, chest=-19, arm=30, elbow=30)
CUP = P(r_arm=(20, 25, 0), r_elbow=75)
MOUTH = P(r_arm=(80, 20, 12), r_elbow=114)
SIP = MOUTH + P(r_arm=6, r_hand=20, neck=20)
EAR = P(r_arm=(76, -22, 36), r_elbow=127)
TEMPLE = P(r_arm=(60, -39, 70), r_elbow=113)
CLASP = P(r_arm=(37, 34, -4), r_elbow=34)
PUMP = P(r_arm=8, r_elbow=6)
LOW = P(spine=-40, chest=-32, leg=48, knee=-72, r_arm=78, l_arm=45, r_elbow=8, neck=15)
BOW = P(spine=-26, chest=-22, neck=-22, arm=22)
WIND_UP = P(r_arm=(0, -75, 95), r_elbow=95, chest=(4, -30, 0), l_arm=35, r_leg=-8)
RELEASE = P(r_arm=(115, 0, 10), r_elbow=20, chest=(-22, 25, 0), l_arm=-15, l_leg=22, l_knee=-18)
GUARD = P(r_arm=(20, 25, 0), r_elbow=120, l_arm=(25, 25, 0), l_elbow=100, chest=(0, -15, 0))
PUNCH = P(r_arm=(85, 20, 0), r_elbow=10, chest=(-8, 25, 0), l_elbow=90)
RAISED = P(r_arm=(20, -75, 75), r_elbow=95)
WAVED = P(r_arm=(20, -100, 78), r_elbow=85)
APART = P(arm=(25, 3, 14), elbow=90)
CLAPPED = P(arm=(27, 28, 6), elbow=85)
EMBRACE = P(arm=(66, 62, 14), elbow=82, spine=-6, chest=-6, neck=-10)
STEPS = [
    (0.28, P(r_leg=30, r_knee=-55, l_leg=-4, l_arm=14, r_arm=-10)),
    (0.24, P(r_leg=24, r_knee=-4, l_leg=-22, l_knee=-12, l_arm=22, r_arm=-20, elbow=12)),
    (0.28, P(l_leg=30, l_knee=-55, r_leg=-4, r_arm=14, l_arm=-10)),
    (0.24, P(l_leg=24, l_knee=-4, r_leg=-22, r_knee=-12, r_arm=22, l_arm=-20, elbow=12)),
]
KICK = [
    (0.45, P(r_leg=-25, r_knee=-55, chest=-8, l_arm=25, r_arm=-20)),
    (0.32, P(r_leg=62, r_knee=-8, r_foot=25, spine=10, l_arm=-30, r_arm=30, l_knee=-10)),
    (0.35, P(r_leg=15, r_knee=-35)),
]
JUMP = [
    (0.45, P(leg=50, knee=-75, spine=-19, chest=-16, arm=-25, elbow=20)),
    (0.32, P(arm=60, elbow=25, foot=-25)),
    (0.25, P(arm=85, elbow=30, foot=-45, knee=-12, rise=28)),
    (0.35, P(leg=35, knee=-52, spine=-12, chest=-10, arm=10)),
]
WAVE = [(0.6, RAISED), (0.25, WAVED), (0.25, RAISED)]
CLAP = [(0.5, APART), (0.16, CLAPPED), (0.18, APART)]
DRINK = [(0.6, CUP), (0.7, MOUTH), (0.5, SIP), (0.6, SIP), (0.6, CUP)]
PUNCHES = [(0.5, GUARD), (0.22, PUNCH), (0.25, GUARD)]
SHAKE = [(0.7, CLASP), (0.18, CLASP + PUMP), (0.18, CLASP - PUMP)]
START, END = (0, REST), (0.5, REST)

# {number in NTU RGB+D: Action}. The first ones differ most, since `--actions N` takes the first N.
ACTIONS = {
    23: Action([START, *WAVE, END], (2, 4, 2, 5)),  # hand waving
    59: Action([START, *STEPS, END], (1, 5, 1, 2), gap=(2.1, 0.9)),  # walking to each other
    24: Action([START, *KICK, END], (1, 4, 1, 2)),  # kicking something
    8: Action([START, (0.6, LEANING), (0.6, SEATED), (0.5, SEATED)]),  # sitting down
    50: Action([START, *PUNCHES, END], (1, 4, 1, 2), gap=(0.7, 0.7)),  # punching other person
    1: Action([START, *DRINK, END], (2, 5, 1, 2)),  # drink water
    10: Action([START, *CLAP, END], (2, 4, 3, 7)),  # clapping
    27: Action([START, *JUMP, END], (1, 5, 1, 2)),  # jump up
    58: Action([START, *SHAKE, END], (2, 4, 2, 4), gap=(0.8, 0.8)),  # handshaking
    6: Action([START, (0.8, LOW), (0.3, LOW), (0.7, CUP), (0.4, CUP)]),  # pickup
    7: Action([START, (0.6, WIND_UP), (0.32, RELEASE), (0.3, CUP), END]),  # throw
    9: Action([(0, SEATED), (0.4, SEATED), (0.5, LEANING), (0.6, REST), END]),  # standing up
    28: Action([START, (0.5, CUP), (0.7, EAR), (0.8, EAR), (0.8, EAR)]),  # make a phone call
    55: Action([START, (0.8, EMBRACE), (0.9, EMBRACE), END], gap=(0.42, 0.42)),  # hugging other
    35: Action([START, (0.7, BOW), (0.4, BOW), END], (1, 4, 1, 2)),  # nod head/bow
    38: Action([START, (0.6, TEMPLE), (0.9, TEMPLE), END]),  # salute
}
