"""How a synthetic person performs an action: in a manner of his own, from key pose to key pose."""

from typing import NamedTuple

import numpy as np

from data_gen.people.actions import STANCE, Action
from data_gen.people.body import DOF, INDEX, MIRROR_FROM, MIRROR_SIGN

FPS = 30
FRAMES = (40, 120)  # shortest and longest recording
LIMITS = {"elbow": (0, 152), "knee": (0, 145), "wrist": (-70, 80), "flight": (0, 60)}
LOW = np.array([LIMITS.get(d.split("_")[-1], (-np.inf, np.inf))[0] for d in DOF])
HIGH = np.array([LIMITS.get(d.split("_")[-1], (-np.inf, np.inf))[1] for d in DOF])


class Manner(NamedTuple):
    """How one person does one action: the same each time, unlike the next person."""

    shift: np.ndarray  # (D,) degrees added to what an action moves
    gain: np.ndarray  # (D,) factor on it
    haste: float  # factor on its duration


def deviations(rng):
    """Normal draws (D,), of which left and right have much in common."""
    both = [INDEX[f"r_{d[2:]}"] if d.startswith("l_") else i for i, d in enumerate(DOF)]
    return 0.8 * rng.standard_normal(len(DOF))[both] + 0.6 * rng.standard_normal(len(DOF))


def draw_manner(rng):
    """A random manner."""
    return Manner(
        shift=14 * deviations(rng),
        gain=np.exp(0.2 * deviations(rng)),
        haste=float(np.exp(0.12 * rng.standard_normal())),
    )


class Course(NamedTuple):
    """One performance of an action: when which key pose is reached."""

    action: Action
    times: np.ndarray  # (K,) seconds, rising from 0
    keys: np.ndarray  # (K,) numbers of the action's keys
    mirrored: bool  # whether left and right are exchanged

    def frame_times(self):
        """Seconds (T,) of the recorded frames; one too long or too short is done faster, slower."""
        frames = np.clip(round(self.times[-1] * FPS), *FRAMES)
        return np.linspace(0, self.times[-1], int(frames))

    def meeting_time(self):
        """When two people are where they meet."""
        return self.times[list(self.keys[1:]).index(self.action.meet) + 1]


def draw_course(action, tempo, mirrored, rng):
    """A random course of an action, with rest before and after it."""
    i, j = action.cycle
    repeated = [*range(i, j)] * int(rng.integers(action.times[0], action.times[1] + 1))
    keys = [*range(i), *repeated, *range(j, len(action.keys))]
    seconds = tempo * np.array([action.keys[k][0] for k in keys])
    seconds *= np.exp(0.1 * rng.standard_normal(len(keys)))
    before, after = rng.uniform(0.05, 0.9), rng.uniform(0.05, 0.6)
    times = before + seconds.cumsum()
    times = np.array([0, *times, times[-1] + after])
    return Course(action, times, np.array([keys[0], *keys, keys[-1]]), mirrored)


def animate(course, role, person, manner, t, rng):
    """Poses (T, D) of a person who does an action.

    role: 0 whom the keys describe, 1 the partner. t: (T,) seconds.
    """
    action, times = course.action, course.times
    # What an action moves is done by everyone in his own manner.
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


def idle(person, t, rng):
    """Slow sway (T, D) of a person who does nothing in particular: three waves, any phases."""
    hertz, phase = rng.uniform(0.1, 0.7, (3, 1, 1)), rng.uniform(0, 2 * np.pi, (3, 1, len(DOF)))
    weight = rng.dirichlet(np.ones(3))[:, None, None]
    waves = np.sin(2 * np.pi * hertz * t[:, None] + phase)  # (3, T, D)
    return person.sway * (weight * waves).sum(axis=0)
