"""Synthetic recordings: raw NTU `.skeleton` files of people who do not exist.

    python data_gen/synthetic.py --out_folder data/nturgbd_raw/nturgb+d_skeletons

Articulated bodies (`body`) do actions (`actions`) in front of a Kinect v2 that is modelled here:
where it stands, what it hides, how noisy it is, what it loses. Every file depends on the seed and
its own name alone, so any selection of names, written by any number of workers, has the same bytes.
"""

import argparse
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

if not __package__:  # started as a script, from wherever
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data_gen import actions, body

ACTIONS = list(actions.ACTIONS)
VIEW = {1: {1: 45, 2: 0, 3: 90}, 2: {1: -45, 2: -90, 3: 0}}  # [replication][camera], degrees
HANDS = [7, 11, 21, 22, 23, 24]
LEAVES = [3, 15, 19, 21, 22, 23, 24]  # joints without an orientation of their own
LIMBS = [*body.ARM_JOINTS["l"], *body.ARM_JOINTS["r"], *body.LEG_JOINTS["l"][1:]]
LIMBS += body.LEG_JOINTS["r"][1:]
NOISE = np.full(25, 0.003)  # metres at 3 m
NOISE[[6, 10, 14, 15, 18, 19]] = 0.007
NOISE[HANDS] = 0.012


class Sample(NamedTuple):
    """What an NTU file name says."""

    setup: int
    camera: int
    subject: int
    replication: int
    action: int

    @property
    def name(self):
        """SsssCcccPpppRrrrAaaa."""
        return "S{:03d}C{:03d}P{:03d}R{:03d}A{:03d}".format(*self)


class Recording(NamedTuple):
    """What a Kinect saw in T frames of M bodies."""

    ids: list  # M numbers of the tracked bodies
    present: np.ndarray  # (T, M) bool, whether the body was seen
    rows: np.ndarray  # (T, M, 25, 12) x y z, depth x y, colour x y, orientation w x y z, state


def sample_list(subjects=12, num_actions=16, setups=2, replications=1):
    """The samples of a data set: every subject, action, camera and replication, sorted by name.

    Who stands in front of which camera moves on to the next setup each time, so that every subject,
    action and camera is in every setup. From 3 subjects and 2 setups on, each protocol of
    NTU RGB+D 60 and 120 has every action in both of its halves.
    """
    return sorted(
        Sample(1 + (subject + camera + replication) % setups, camera, subject, replication, action)
        for subject in range(1, subjects + 1)
        for camera in (1, 2, 3)
        for replication in range(1, replications + 1)
        for action in ACTIONS[:num_actions]
    )


# ---------------------------------------------------------------- what happens


def perform(sample, seed=0):
    """What the people of a sample do, without any camera.

    Returns joints (T, M, 25, 3) in metres, the floor at y = 0, the first person facing -z, and
    orientations (T, M, 25, 4), quaternions.
    """
    action = actions.ACTIONS[sample.action]
    rng = np.random.default_rng((seed, *sample))
    person = body.draw_person(np.random.default_rng((seed, sample.subject)))
    manner = actions.draw_manner(np.random.default_rng((seed, sample.subject, sample.action)))
    times, keys = actions.schedule(action, person.tempo * manner.haste, rng)
    frames = int(np.clip(round(times[-1] * actions.FPS), *actions.FRAMES))
    t = np.linspace(0, times[-1], frames)
    mirrored = person.left_handed != (rng.random() < 0.1)
    poses = actions.animate(action, 0, person, manner, times, keys, t, mirrored, rng)
    cast = [body.forward_kinematics(person, poses)]
    if action.people == 2:
        other, manner = body.draw_person(rng), actions.draw_manner(rng)
        late = t - rng.uniform(0, 0.25)
        poses = actions.animate(action, 1, other, manner, times, keys, late, mirrored, rng)
        cast.append(body.forward_kinematics(other, poses))
        meet = np.searchsorted(t, times[1 + action.meet if action.meet >= 0 else -2])
        _face_each_other(cast, action, min(meet, frames - 1), rng)
    elif rng.random() < 0.05:
        cast.append(_bystander(t, rng))
    return np.stack([c[0] for c in cast], 1), np.stack([c[1] for c in cast], 1)


def _place(joints, turned, frame, yaw, x, z):
    """Turn a body around the vertical by yaw degrees; at the frame its spine base is above x, z."""
    base = joints[frame, 0] * (1, 0, 1)
    turn = body.rotation(y=yaw)
    return body.rotate(turn, joints - base) + np.array([x, 0, z]), body.multiply(turn, turned)


def _face_each_other(cast, action, meet, rng):
    """Put two bodies opposite each other, as far apart as their action wants where they meet."""
    gap = action.gap
    for (joints, _), touches in zip(cast, action.reach, strict=True):
        gap += touches * (joints[meet, 0, 2] - joints[meet, [7, 11], 2].min())
    aim, slip = rng.normal(0, 6, 2), rng.normal(0, 0.04)
    cast[0] = _place(*cast[0], meet, aim[0], 0, gap / 2)
    cast[1] = _place(*cast[1], meet, aim[1] + 180, slip, -gap / 2)


def _bystander(t, rng):
    person = body.draw_person(rng)
    pose = person.posture + person.habit + actions.idle(person, t, rng)
    side, behind = rng.choice([-1, 1]) * rng.uniform(0.8, 1.3), rng.uniform(0, 0.8)
    return _place(*body.forward_kinematics(person, pose), 0, rng.uniform(-90, 90), side, behind)


# ---------------------------------------------------------------- what a Kinect sees of it


def record(sample, seed=0):
    """The `Recording` of a sample."""
    joints, turned = perform(sample, seed)
    rng = np.random.default_rng((seed, *sample, 1))
    if joints.shape[1] == 2 and rng.random() < 0.5:  # the sensor lists bodies in any order
        joints, turned = joints[:, ::-1], turned[:, ::-1]
    points, turned = _from_camera(sample, joints, turned, rng)
    hidden = _hidden(points)
    points = points + _errors(points, hidden, rng)
    turned = turned.copy()
    turned[:, :, LEAVES] = 0
    state = np.where(hidden > 0.5, 1, 2)[..., None]
    rows = np.concatenate([points, _pixels(points, rng), turned, state], axis=-1)
    ids = 72057594037927936 + rng.choice(90_000, joints.shape[1], replace=False)
    return Recording(ids.tolist(), _presence(joints.shape[:2], rng), rows)


def _from_camera(sample, joints, turned, rng):
    """Points and orientations in the axes of the sample's camera.

    A setup is a height and a distance, as in NTU RGB+D; a camera looks from the left, the front or
    the right, and more or less down at the middle of the scene.
    """
    height = 1.2 + 0.1 * (7 * sample.setup % 9)
    distance = 2.7 + 0.2 * (5 * sample.setup % 6)
    yaw = VIEW[sample.replication][sample.camera] + rng.normal(0, 6)
    down = 0.5 * np.rad2deg(np.arctan2(height - 0.9, distance)) + rng.normal(0, 1)
    centre = joints[:, :, 0].mean(axis=(0, 1)) * (1, 0, 1)
    aim = body.rotation(x=-down)
    view = body.multiply(aim, body.rotation(y=yaw))
    stand = (rng.normal(0, 0.15), -height, distance + rng.normal(0, 0.1))
    points = body.rotate(body.rotation(y=yaw), joints - centre) + stand
    return body.rotate(aim, points), body.multiply(view, turned)


def _hidden(points):
    """How much each joint is hidden behind a trunk, its own or another's: (T, M, 25) in 0 … 1."""
    hidden = np.zeros(points.shape[:3])
    limbs = points[:, :, LIMBS]
    for m in range(points.shape[1]):
        low, high = points[:, m, None, None, 0], points[:, m, None, None, 20]
        plane = limbs[..., :2] / limbs[..., 2:]  # where the joint is seen, at a depth of 1
        a, b = low[..., :2] / low[..., 2:], high[..., :2] / high[..., 2:]
        along = ((plane - a) * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1)
        along = along.clip(0, 1.1)[..., None]
        aside = np.linalg.norm(plane - a - along * (b - a), axis=-1) * limbs[..., 2]
        behind = limbs[..., 2] - (low + along * (high - low))[..., 2]
        cover = (1.5 - aside / 0.1).clip(0, 1) * (behind / 0.1 - 0.5).clip(0, 1)
        hidden[:, :, LIMBS] = np.maximum(hidden[:, :, LIMBS], cover)
    return hidden


def _smooth(noise, width):
    """Running mean of independent noise over `width` frames, of the same deviation."""
    total = np.cumsum(noise, axis=0)
    return (total[width:] - total[:-width]) / np.sqrt(width)


def _errors(points, hidden, rng):
    """Sensor noise (T, M, 25, 3): jitter, greater in depth and far away; guesses if hidden."""
    frames, *rest = points.shape
    jitter = _smooth(rng.standard_normal((frames + 2, *rest)), 2) * (1, 1, 1.5)
    guess = _smooth(rng.standard_normal((frames + 12, *rest)), 12)
    scale = NOISE[:, None] * points[..., 2:] / 3
    return scale * jitter + 0.07 * hidden[..., None] * guess


def _pixels(points, rng):
    """Depth (512 × 424) and colour (1920 × 1080) image coordinates of points, (T, M, 25, 4).

    A Kinect v2's focal lengths in pixels; now and then a point that it could not map is NaN.
    """
    x, y = np.moveaxis(points[..., :2] / points[..., 2:], -1, 0)
    aside = 0.052 / points[..., 2]
    pixels = np.stack(
        [256 + 365 * x, 212 - 365 * y, 960 + 1060 * (x + aside), 540 - 1060 * y], axis=-1
    )
    if rng.random() < 0.1:
        pixels[rng.random(pixels.shape[:3]) < 0.02] = np.nan
    return pixels


def _presence(shape, rng):
    """Which of M bodies is seen in which of T frames, (T, M) bool."""
    frames, bodies = shape
    present = np.ones(shape, dtype=bool)
    chance, when = rng.random(), int(frames * rng.uniform(0.1, 0.4))
    if bodies == 2 and chance < 0.15:
        present[:when, 1] = False
    elif bodies == 2 and chance < 0.25:
        present[-when:, 1] = False
    if rng.random() < 0.12:
        start = rng.integers(frames)
        present[start : start + rng.integers(1, 5)] = False
    return present


# ---------------------------------------------------------------- files

ROW = "%.6f %.6f %.6f %.3f %.3f %.3f %.3f %.5f %.5f %.5f %.5f %d\n"
BODY = "{} 0 1 1 1 1 0 %.6f %.6f 2\n25\n" + 25 * ROW


def to_text(recording):
    """The text of a raw NTU file, lines ending in LF."""
    rows = recording.rows
    back = rows[:, :, 20, :3] - rows[:, :, 0, :3]
    lean = back[..., [0, 2]] / np.linalg.norm(back, axis=-1, keepdims=True) * (1, -1)
    values = np.concatenate([lean, rows.reshape(*rows.shape[:2], -1)], axis=-1).tolist()
    bodies = [BODY.format(number) for number in recording.ids]
    parts = [f"{len(rows)}\n"]
    for frame, present in zip(values, recording.present.tolist(), strict=True):
        parts.append(f"{sum(present)}\n")
        seen = zip(bodies, frame, present, strict=True)
        parts += [template % tuple(numbers) for template, numbers, here in seen if here]
    return "".join(parts).replace("nan", "NaN")


def write_recording(sample, folder, seed=0):
    """Write one raw file (of some, lines end in CRLF) and return its path."""
    text = to_text(record(sample, seed))
    if np.random.default_rng((seed, *sample, 2)).random() < 0.3:
        text = text.replace("\n", "\r\n")
    path = Path(folder) / f"{sample.name}.skeleton"
    path.write_bytes(text.encode("ascii"))
    return path


def write_recordings(folder, samples, seed=0, workers=1):
    """Write raw files of samples to a new folder, all or none, and return their paths.

    Raises FileExistsError where the folder already holds something: real recordings, perhaps.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is not empty: name a new folder, or delete it first")
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write = partial(write_recording, folder=unfinished, seed=seed)
    bar = partial(tqdm, total=len(samples), desc="recordings", unit="clip", disable=None)
    try:
        if workers > 1:
            with ProcessPoolExecutor(workers) as pool:
                paths = list(bar(pool.map(write, samples, chunksize=4)))
        else:
            paths = list(bar(map(write, samples)))
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return [folder / path.name for path in paths]


def main():
    args = parse_args()
    samples = sample_list(args.subjects, args.actions, args.setups, args.replications)
    try:
        paths = write_recordings(args.out_folder, samples, args.seed, args.workers)
    except OSError as error:
        sys.exit(f"synthetic.py: {error}")
    size = sum(path.stat().st_size for path in paths) / 1e6
    print(f"{len(paths)} recordings ({size:.0f} MB) are in {args.out_folder}")
    print("next: prepare them with data_gen/ntu_gendata.py --dataset ntu60 --data_path", end=" ")
    print(args.out_folder)


def parse_args(argv=None):
    def within(low, high):
        def number(text):
            if not low <= int(text) <= high:
                raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
            return int(text)

        return number

    parser = argparse.ArgumentParser(
        description="Write synthetic recordings as raw NTU .skeleton files.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--out_folder", type=Path, required=True, help="new folder for the .skeleton files")
    add("--subjects", type=within(1, 40), default=12, help="people; from 3 on, x-sub splits them")
    add("--actions", type=within(1, len(ACTIONS)), default=len(ACTIONS), help="kinds of action")
    add("--setups", type=within(1, 17), default=2, help="camera heights and distances")
    add("--replications", type=within(1, 2), default=1, help="times each action is done")
    add("--seed", type=within(0, 2**63), default=0, help="same seed, same files")
    add("--workers", type=within(1, 256), default=2, help="processes; changes no file")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
