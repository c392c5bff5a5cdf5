"""The actions of synthetic people, as key poses.

An action is a list of keys (seconds since the last key, pose, pose of the partner if it differs). A
pose names some degrees of freedom of body.py; the others stay at rest. Each action has the number
of the action of NTU RGB+D that it imitates.
"""

from typing import NamedTuple

from data_gen.people.body import INDEX, vector


class Action(NamedTuple):
    """Key poses of one person, or of two."""

    keys: list  # (seconds, pose) or (seconds, pose, partner's pose)
    cycle: tuple = (0, 0)  # keys[i:j] are repeated
    times: tuple = (1, 1)  # smallest and greatest number of repetitions
    loose: float = 1.0  # how much people differ in the size of the movement, 0 to 1
    gap: float | None = None  # metres between two people at the key `meet`; None for one person
    reach: tuple = (0, 0)  # 1 if the reach of the first, the second person's hand adds to the gap
    meet: int = 0  # the key at which two people meet

    @property
    def left_arm_idle(self) -> bool:
        """Whether no pose of the action moves the left arm."""
        arm = [INDEX[d] for d in ("l_fwd", "l_out", "l_turn", "l_elbow")]
        return not any(pose[arm].any() for _, *poses in self.keys for pose in poses)

    @property
    def people(self) -> int:
        """The number of people, 1 or 2."""
        return 1 if self.gap is None else 2


P = vector
REST = P()
SEATED = P(hip=88, knee=88, bend=8, fwd=28, elbow=50, turn=15)
LEANING = P(hip=55, knee=65, bend=42, fwd=30, elbow=30)
CUP = P(r_fwd=20, r_turn=25, r_elbow=75)
MOUTH = P(r_fwd=80, r_out=12, r_turn=20, r_elbow=114)
EAR = P(r_fwd=76, r_out=36, r_turn=-22, r_elbow=127)
TEMPLE = P(r_fwd=60, r_out=70, r_turn=-39, r_elbow=113)
CROUCH = P(hip=50, knee=75, bend=35, fwd=-25, elbow=20)
GUARD = P(r_fwd=20, r_turn=25, r_elbow=120, l_fwd=25, l_turn=25, l_elbow=100, twist=-15)
WIND_UP = P(r_out=95, r_turn=-75, r_elbow=95, twist=-30, bend=-8, l_fwd=35, r_hip=-8)
RELEASE = P(r_fwd=115, r_out=10, r_elbow=20, twist=25, bend=22, l_fwd=-15, l_hip=22, l_knee=18)
CLASP = P(r_fwd=37, r_out=-4, r_turn=34, r_elbow=34)
BOW = P(bend=48, nod=22, fwd=22)
STEP = [
    (0.28, P(r_hip=30, r_knee=55, l_hip=-4, l_fwd=14, r_fwd=-10)),
    (0.24, P(r_hip=24, r_knee=4, l_hip=-22, l_knee=12, l_fwd=22, r_fwd=-20, elbow=12)),
    (0.28, P(l_hip=30, l_knee=55, r_hip=-4, r_fwd=14, l_fwd=-10)),
    (0.24, P(l_hip=24, l_knee=4, r_hip=-22, r_knee=12, r_fwd=22, l_fwd=-20, elbow=12)),
]

# Standard deviations, in degrees, of how people stand before and after the action.
STANCE = P(
    twist=20, shake=16, bend=5, side=5, nod=10, tilt=5, fwd=10, out=6, turn=15, elbow=15, apart=4
)

# The first actions differ much from each other, since `--actions N` takes the first N.
ACTIONS = {
    23: Action(  # hand waving
        [
            (0, REST),
            (0.6, P(r_out=75, r_fwd=20, r_turn=-75, r_elbow=95)),
            (0.25, P(r_out=78, r_fwd=20, r_turn=-100, r_elbow=85)),
            (0.25, P(r_out=78, r_fwd=20, r_turn=-55, r_elbow=105)),
            (0.6, REST),
        ],
        cycle=(2, 4),
        times=(2, 5),
    ),
    59: Action(  # walking towards each other
        [(0, REST), *STEP, (0.35, REST)],
        cycle=(1, 5),
        times=(1, 2),
        loose=0.2,
        gap=0.9,
        meet=5,
    ),
    24: Action(  # kicking something
        [
            (0, REST),
            (0.45, P(r_hip=-25, r_knee=55, bend=8, l_fwd=25, r_fwd=-20)),
            (0.32, P(r_hip=62, r_knee=8, r_foot=25, bend=-10, l_fwd=-30, r_fwd=30, l_knee=10)),
            (0.35, P(r_hip=15, r_knee=35)),
            (0.25, REST),
        ],
        cycle=(1, 4),
        times=(1, 2),
    ),
    8: Action(  # sitting down
        [(0, REST), (0.6, LEANING), (0.6, SEATED), (0.5, SEATED + P(bend=-8))],
        loose=0.2,
    ),
    50: Action(  # punching/slapping other person
        [
            (0, REST, REST),
            (0.5, GUARD, REST),
            (0.22, P(r_fwd=85, r_turn=20, r_elbow=10, twist=25, bend=8, l_elbow=90), REST),
            (0.25, GUARD, P(bend=-22, nod=-15, fwd=30, elbow=70, l_hip=-18, l_knee=15)),
            (0.5, REST, P(bend=5)),
        ],
        cycle=(1, 4),
        times=(1, 2),
        gap=0.15,
        reach=(1, 0),
        meet=2,
    ),
    1: Action(  # drink water
        [
            (0, REST),
            (0.6, CUP),
            (0.7, MOUTH),
            (0.5, MOUTH + P(r_fwd=6, r_wrist=20, nod=-20)),
            (0.6, MOUTH + P(r_fwd=6, r_wrist=20, nod=-20)),
            (0.6, CUP),
            (0.5, REST),
        ],
        cycle=(2, 5),
        times=(1, 2),
        loose=0.2,
    ),
    10: Action(  # clapping
        [
            (0, REST),
            (0.5, P(fwd=26, out=12, turn=6, elbow=88)),
            (0.16, P(fwd=27, out=6, turn=28, elbow=85)),
            (0.18, P(fwd=25, out=14, turn=3, elbow=90)),
            (0.5, REST),
        ],
        cycle=(2, 4),
        times=(3, 7),
        loose=0.3,
    ),
    27: Action(  # jump up
        [
            (0, REST),
            (0.45, CROUCH),
            (0.32, P(fwd=60, elbow=25, foot=-25)),
            (0.2, P(fwd=85, elbow=30, foot=-45, knee=12, flight=28)),
            (0.2, P(fwd=60, elbow=30, foot=-15, knee=10)),
            (0.2, P(hip=35, knee=52, bend=22, fwd=10)),
            (0.35, REST),
        ],
        cycle=(1, 6),
        times=(1, 2),
    ),
    58: Action(  # handshaking
        [
            (0, REST),
            (0.7, CLASP),
            (0.18, CLASP + P(r_fwd=8, r_elbow=6)),
            (0.18, CLASP - P(r_fwd=8, r_elbow=6)),
            (0.6, REST),
        ],
        cycle=(2, 4),
        times=(2, 4),
        loose=0.3,
        gap=-0.06,
        reach=(1, 1),
        meet=1,
    ),
    6: Action(  # pickup
        [
            (0, REST),
            (0.8, P(bend=72, hip=48, knee=72, r_fwd=78, l_fwd=45, r_elbow=8, nod=-15)),
            (0.3, P(bend=76, hip=50, knee=76, r_fwd=84, l_fwd=45, r_elbow=12, nod=-15)),
            (0.7, P(r_fwd=30, r_elbow=80, r_turn=20, bend=5)),
            (0.4, P(r_fwd=12, r_elbow=60, r_turn=20)),
        ],
        loose=0.6,
    ),
    7: Action(  # throw
        [(0, REST), (0.6, WIND_UP), (0.32, RELEASE), (0.3, P(r_fwd=45, l_hip=10)), (0.4, REST)],
    ),
    9: Action(  # standing up (from sitting position)
        [(0, SEATED), (0.4, SEATED), (0.5, LEANING), (0.6, P(bend=8)), (0.4, REST)],
        loose=0.2,
    ),
    28: Action(  # make a phone call/answer phone
        [
            (0, REST),
            (0.5, CUP),
            (0.7, EAR + P(tilt=8)),
            (0.8, EAR + P(tilt=12, nod=8)),
            (0.8, EAR + P(tilt=8, nod=-2)),
        ],
        cycle=(3, 5),
        times=(1, 2),
        loose=0.2,
    ),
    55: Action(  # hugging other person
        [
            (0, REST),
            (0.4, P(fwd=60, out=35, elbow=30, r_hip=18, r_knee=30)),
            (0.4, P(fwd=72, out=30, turn=45, elbow=50, r_hip=16, l_hip=-14, bend=6)),
            (0.5, P(fwd=66, out=14, turn=62, elbow=82, bend=12, side=5, nod=10)),
            (0.6, P(fwd=66, out=12, turn=64, elbow=86, bend=12, side=6, nod=10)),
            (0.6, P(fwd=20, out=15, elbow=30, r_hip=8)),
            (0.3, REST),
        ],
        loose=0.5,
        gap=0.42,
        meet=3,
    ),
    35: Action(  # nod head/bow
        [(0, REST), (0.7, BOW), (0.4, BOW + P(bend=2)), (0.7, REST)],
        cycle=(1, 4),
        times=(1, 2),
    ),
    38: Action(  # salute
        [
            (0, REST),
            (0.6, TEMPLE),
            (0.9, TEMPLE + P(bend=-4)),
            (0.55, REST),
        ],
        loose=0.2,
    ),
}
