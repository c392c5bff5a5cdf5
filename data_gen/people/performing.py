"""How a synthetic person performs an action: from key pose to key pose, in a personal manner."""

from typing import NamedTuple

import numpy as np

from data_gen.people.actions import STANCE, Action
from data_gen.people.body import DOF, INDEX, MIRROR_FROM, MIRROR_SIGN, Person

FPS = 30
FRAMES = (40, 120)  # frames of the shortest and of the longest recording
LIMITS = {"elbow": (0, 152), "knee": (0, 145), "wrist": (-70, 80), "flight": (0, 60)}
LOW = np.array([LIMITS.get(d.split("_")[-1], (-np.inf, np.inf))[0] for d in DOF])
HIGH = np.array([LIMITS.get(d.split("_")[-1], (-np.inf, np.inf))[1] for d in DOF])


class Manner(NamedTuple):
    """How one person performs one action, the same in each recording."""

    shift: np.ndarray  # (D,) degrees added to each degree of freedom that the action moves
    gain: np.ndarray  # (D,) factor on each degree of freedom that the action moves
    haste: float  # factor on the duration of the action


def deviations(rng: np.random.Generator) -> np.ndarray:
    """Draw normal numbers (D,); those of left and right are correlated."""
    both = [INDEX[f"r_{d[2:]}"] if d.startswith("l_") else i for i, d in enumerate(DOF)]
    return 0.8 * rng.standard_normal(len(DOF))[both] + 0.6 * rng.standard_normal(len(DOF))


def draw_manner(rng: np.random.Generator) -> Manner:
    """Draw a random Manner; rng: a numpy generator."""
    return Manner(
        shift=14 * deviations(rng),
        gain=np.exp(0.2 * deviations(rng)),
        haste=float(np.exp(0.12 * rng.standard_normal())),
    )


class Course(NamedTuple):
    """One performance of an action: the time of each key pose."""

    action: Action
    times: np.ndarray  # (K,) seconds, rising from 0
    keys: np.ndarray  # (K,) numbers of the action's keys
    mirrored: bool  # whether left and right are exchanged

    def frame_times(self) -> np.ndarray:
        """The times of the recorded frames: (T,), seconds.

        T is within FRAMES: a performance that is too long or too short is played faster or slower.
        """
        frames = np.clip(round(self.times[-1] * FPS), *FRAMES)
        return np.linspace(0, self.times[-1], int(frames))

    def meeting_time(self) -> float:
        """The time, in seconds, of the key pose at which two people meet."""
        return self.times[list(self.keys[1:]).index(self.action.meet) + 1]


def draw_course(action: Action, tempo: float, mirrored: bool, rng: np.random.Generator) -> Course:
    """Draw a random Course of an action, with rest before and after the action.

    tempo: factor on the duration
    mirrored: whether left and right are exchanged
    rng: a numpy generator
    """
    i, j = action.cycle
    repeated = [*range(i, j)] * int(rng.integers(action.times[0], action.times[1] + 1))
    keys = [*range(i), *repeated, *range(j, len(action.keys))]
    seconds = tempo * np.array([action.keys[k][0] for k in keys])
    seconds *= np.exp(0.1 * rng.standard_normal(len(keys)))
    before, after = rng.uniform(0.05, 0.9), rng.uniform(0.05, 0.6)
    times = before + seconds.cumsum()
    times = np.array([0, *times, times[-1] + after])
    return Course(action, times, np.array([keys[0], *keys, keys[-1]]), mirrored)


def animate(
    course: Course,
    role: int,
    person: Person,
    manner: Manner,
    t: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The poses of a person who performs an action: (T, D), in the units of DOF.

    course: the Course of the action
    role: 0 for the first person of the action, 1 for the partner
    person: the Person
    manner: the person's Manner for this action
    t: (T,), the times of the frames in seconds
    rng: a numpy generator
    """
    action, times = course.action, course.times
    # The manner changes only the degrees of freedom that the action moves.
    poses = np.array([key[min(role + 1, len(key) - 1)] for key in action.keys])  # (keys, D)
    size = (manner.gain * person.vigor) ** action.loose
    shift = action.loose * (manner.shift + 6 * deviations(rng))
    shift[INDEX["flight"]] = 0
    poses = np.where(poses != 0, poses * size + shift, 0)[course.keys]
    poses[:2] += STANCE * deviations(rng)
    poses[-2:] += STANCE * deviations(rng)

    # From pose to pose with minimum jerk (Flash and Hogan 1985).
    k = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
    u = np.clip((t - times[k]) / (times[k + 1] - times[k]), 0, 1)[:, None]
    pose = poses[k] + (poses[k + 1] - poses[k]) * (u**3 * (10 + u * (6 * u - 15)))

    if action.left_arm_idle:
        pose += person.habit
    if course.mirrored:
        pose = MIRROR_SIGN * pose[:, MIRROR_FROM]
    return np.clip(pose + person.posture + idle(person, t, rng), LOW, HIGH)


def idle(person: Person, t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The slow sway of an idle person: (T, D), degrees; three waves with random phases.

    t: (T,), seconds
    """
    hertz, phase = rng.uniform(0.1, 0.7, (3, 1, 1)), rng.uniform(0, 2 * np.pi, (3, 1, len(DOF)))
    weight = rng.dirichlet(np.ones(3))[:, None, None]
    waves = np.sin(2 * np.pi * hertz * t[:, None] + phase)  # (3, T, D)
    return person.sway * (weight * waves).sum(axis=0)
