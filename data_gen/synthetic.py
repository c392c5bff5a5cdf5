"""Write synthetic recordings: raw `.skeleton` files of people who do not exist.

With --skeleton coco_17: the same people as arrays with the joints of COCO, and a table of clips for
data_gen/own_gendata.py. A file depends on the seed and on its name only.
"""

import argparse
import csv
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation
from tqdm import tqdm

if not __package__:  # started as a script, in any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from common import UserError, atomic, run
from data_gen.gendata import ordered_map, usable_cpus
from data_gen.key_poses import ACTIONS, pose
from data_gen.readers.skeleton_file import MISSING_LIST, SYNTHETIC_MARK, SampleName
from feeder.datasets import NTU_ACTIONS, NTU_DATASETS
from feeder.skeletons import COCO_17, KINECT_V2

# The body at rest: each joint's parent, and the way from there in metres for a stature of 1.
PARENT = (0, 0, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 1, 7, 7, 11, 11)
ORDER = (0, 1, 20, *range(2, 20), *range(21, 25))  # parents first
STANDING = (0, 12, 15, 16, 19)  # hips and feet do not turn with the bones above
LEFT, RIGHT = [4, 5, 6, 7, 21, 22, 12, 13, 14, 15], [8, 9, 10, 11, 23, 24, 16, 17, 18, 19]
OFFSETS = np.zeros((25, 3))
OFFSETS[[1, 20, 2, 3]] = (0, 0.171, 0), (0, 0.126, 0), (0, 0.042, 0), (0, 0.082, -0.012)
OFFSETS[RIGHT] = [
    *((0.1, -0.03, 0), (0, -0.155, 0), (0, -0.143, 0), (0, -0.044, 0)),  # arm
    *((0, -0.045, 0), (-0.008, -0.018, -0.028)),  # tip and thumb
    *((0.046, -0.02, 0), (0, -0.232, 0), (0, -0.228, 0), (0, -0.03, -0.066)),  # leg
]
OFFSETS[LEFT] = OFFSETS[RIGHT] * (-1, 1, 1)

# Degrees of a person's posture (mean and deviation), of the stance before and after an action in
# one clip (deviation), and of idle movements (amplitude).
POSTURE = pose(spine=-2, neck=-5, arm=(0, 10, 10), elbow=16, leg=(0, 0, 5), knee=-4)
POSTURE_STD = pose(spine=(4, 0, 2), chest=(0, 5, 0), neck=8, arm=(5, 10, 4), elbow=6)
STANCE_STD = pose(spine=(5, 0, 5), chest=(0, 20, 0), neck=(10, 16, 0), arm=(10, 15, 6), elbow=15)
SWAY = pose(spine=(2, 0, 2), chest=(0, 6, 0), neck=(6, 12, 0), arm=(5, 6, 3), elbow=6, hand=8)

# {replication: {camera: degrees by which the first person is turned away from it}}. As in NTU
# RGB+D, people face camera 2 in replication 1 and camera 3 in replication 2.
VIEW = {1: {1: 45, 2: 0, 3: 90}, 2: {1: -45, 2: -90, 3: 0}}
NOISE = np.full((25, 1), 0.004)  # standard deviation in metres, 3 m from the camera
NOISE[[6, 7, 10, 11, 14, 15, 18, 19, 21, 22, 23, 24]] = 0.012


def sample_names(
    subjects: int = 12, actions: int = 16, setups: int = 2, replications: int = 1
) -> list[SampleName]:
    """The clips of a data set, sorted: each subject performs each action before each camera."""
    return sorted(
        SampleName(1 + (subject + camera + replication) % setups, camera, subject, replication, a)
        for subject in range(1, subjects + 1)
        for replication in range(1, replications + 1)
        for camera in VIEW[replication]
        for a in [*ACTIONS][:actions]
    )


def forward_kinematics(offsets: np.ndarray, poses: np.ndarray) -> np.ndarray:
    """Joints (T, 25, 3) in metres, on the floor y = 0; offsets: (25, 3), poses: (T, 25, 3)."""
    joints, turned = np.zeros(poses.shape), {}
    for j in ORDER:  # a bone turns about y, swings about x and z, and follows the bone above
        turned[j] = Rotation.from_rotvec(poses[:, j] * (1, 0, 1), degrees=True)
        turned[j] *= Rotation.from_rotvec(poses[:, j] * (0, 1, 0), degrees=True)
        if j not in STANDING:
            turned[j] = turned[PARENT[j]] * turned[j]
        joints[:, j] = joints[:, PARENT[j]] + turned[j].apply(offsets[j])
    joints[..., 1] += poses[:, 0, :1] / 100 - joints[:, [15, 19], 1].min(axis=1, keepdims=True)
    return joints


def move(poses, times, t, who, manner, rng) -> np.ndarray:
    """The joints (T, 25, 3) in metres of a person who goes through key poses.

    poses: (K, 25, 3) at the times (K,) in seconds; between them minimum jerk (Flash, Hogan 1985)
    t: (T,) times of the frames in seconds
    who, manner, rng: generators of what a person has, of how it does the action, and of the rest
    """
    shape = OFFSETS.shape
    offsets = OFFSETS * who.uniform(1.54, 1.9)
    offsets[4:12] *= who.uniform(0.9, 1.1)  # arms
    offsets[12:20] *= who.uniform(0.9, 1.1)  # legs
    posture = POSTURE + POSTURE_STD * who.standard_normal(shape)
    gain = who.uniform(0.6, 1.15) * np.exp(0.2 * manner.standard_normal(shape))
    shift = 14 * manner.standard_normal(shape) + 6 * rng.standard_normal(shape)
    shift[0] = 0  # centimetres
    poses = np.where(poses != 0, poses * gain + shift, 0)
    poses[:2] += STANCE_STD * rng.standard_normal(shape)
    poses[-2:] += STANCE_STD * rng.standard_normal(shape)
    if (who.random() < 0.35) != (rng.random() < 0.15):  # left-handed
        poses[:, LEFT + RIGHT] = poses[:, RIGHT + LEFT]
        poses *= (1, -1, -1)
    at = np.interp(t, times, np.arange(len(times)))
    k = at.astype(int).clip(max=len(times) - 2)
    u = (at - k)[:, None, None]
    hertz, phase = rng.uniform(0.1, 0.7, shape), rng.uniform(0, 2 * np.pi, shape)
    sway = SWAY * np.sin(2 * np.pi * hertz * t[:, None, None] + phase)
    poses = poses[k] + (poses[k + 1] - poses[k]) * u**3 * (10 + u * (6 * u - 15)) + posture + sway
    poses[:, [0, 6, 10], 0] = poses[:, [0, 6, 10], 0].clip(0, 150)  # elbows and knees bend one way
    poses[:, [14, 18], 0] = poses[:, [14, 18], 0].clip(-150, 0)
    return forward_kinematics(offsets, poses)


def perform(sample: SampleName, seed: int = 0) -> np.ndarray:
    """The joints (T, M, 25, 3) in metres of the people in a clip; the first one faces -z."""
    action, rng = ACTIONS[sample.action], np.random.default_rng((seed, *sample))
    who = np.random.default_rng((seed, sample.subject))
    manner = np.random.default_rng((seed, sample.subject, sample.action))
    i, j, least, most = action.repeat
    again = [*range(i, j)] * int(rng.integers(least, most + 1))
    keys = [0, *range(i), *again, *range(j, len(action.keys)), -1]  # people wait before and after
    seconds = np.array([action.keys[k][0] for k in keys])
    seconds[[1, -1]] = 0.5
    seconds *= manner.uniform(0.65, 1.25) * np.exp(0.25 * rng.standard_normal(len(keys)))
    times = seconds.cumsum()
    t = np.linspace(0, times[-1], int(np.clip(30 * times[-1], 40, 150)))
    poses = np.array([action.keys[k][1] for k in keys])
    people = [move(poses, times, t, who, manner, rng)]
    if action.gap is not None:
        people.append(move(poses, times, t - rng.uniform(0, 0.25), rng, rng, rng) * (-1, 1, -1))
        people[1][..., 2] -= np.interp(t, times[[1, -2]], action.gap)[:, None]
    return np.stack(people, axis=1)


def record(sample: SampleName, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What a Kinect sees of a clip: joints (T, M, 25, 3) in metres, and who is seen (T, M) bool.

    It looks along +z. Bodies come in any order; all but the first may come late or leave early; a
    few frames may have none. Noise grows with the distance and behind the trunk.
    """
    joints, rng = perform(sample, seed), np.random.default_rng((seed, *sample, 1))
    frames, bodies = joints.shape[:2]
    turn = VIEW[sample.replication][sample.camera] + rng.normal(0, 6), rng.normal(-12, 3)
    turn = Rotation.from_euler("yx", turn, degrees=True).as_matrix()
    place = 0, 0.1 * (7 * sample.setup % 9) - 0.5, 2.7 + 0.2 * (5 * sample.setup % 6)
    joints = joints[:, rng.permutation(bodies)] - joints[:, :, 0].mean(axis=(0, 1))
    joints = joints @ turn.T + rng.normal(place, 0.15)
    deviation = NOISE * joints[..., 2:] / 3 + 0.05 * (joints - joints[:, :, 1:2] > 0.08)[..., 2:]
    noise = rng.standard_normal((frames + 9, *joints.shape[1:])).cumsum(axis=0)
    joints = joints + deviation * (1, 1, 1.5) * (noise[9:] - noise[:-9]) / 3
    late, early, lost = rng.uniform(0.1, 0.4, 3) * (rng.random(3) < (0.15, 0.1, 0.12)) * frames
    t = np.arange(frames)[:, None]
    seen = (t >= late) & (t < frames - early) | (np.arange(bodies) == 0)
    seen[int(lost) : int(lost) + 4 * (lost > 0)] = False
    return joints, seen


def as_coco(joints: np.ndarray) -> np.ndarray:
    """The joints of COCO (..., 17, 3) from those of Kinect v2 (..., 25, 3), in metres."""
    of = dict(zip(KINECT_V2.joints, np.moveaxis(joints, -2, 0), strict=True))
    left, up = of["left shoulder"] - of["right shoulder"], of["head"] - of["neck"]
    front = np.cross(left, up) / np.linalg.norm(up, axis=-1, keepdims=True)
    of["nose"] = of["head"] + 0.3 * front
    for side, sign in (("left", 1), ("right", -1)):
        of[f"{side} eye"] = of["head"] + 0.25 * front + sign * 0.1 * left
        of[f"{side} ear"] = of["head"] + sign * 0.2 * left
    return np.stack([of[name] for name in COCO_17.joints], axis=-2)


def write_recording(sample: SampleName, folder: Path, seed: int, skeleton: str) -> str:
    """Write a raw file, or an array (T, M, 17, 3) with the joints of COCO; return its name."""
    joints, seen = record(sample, seed)
    name = "S{:03d}C{:03d}P{:03d}R{:03d}A{:03d}".format(*sample)
    if skeleton == "coco_17":
        np.save(folder / f"{name}.npy", np.float32(as_coco(joints) * seen[..., None, None]))
        return f"{name}.npy"
    rng = np.random.default_rng((seed, *sample, 2))  # for what varies in NTU RGB+D, too
    end, image = rng.choice(["\n", "\r\n"]), rng.choice(["0 0 0 0", "NaN NaN NaN NaN"])
    lines = [len(joints)]
    for bodies, there in zip(joints.tolist(), seen, strict=True):
        lines.append(there.sum())
        for m in np.flatnonzero(there):
            lines += [f"{72057594037927936 + m} 0 1 1 1 1 0 0 0 2", 25]
            lines += [f"{x:.6f} {y:.6f} {z:.6f} {image} 0 0 0 0 2" for x, y, z in bodies[m]]
    text = "".join(f"{line}{end}" for line in lines)
    (folder / f"{name}.skeleton").write_bytes(text.encode())
    return f"{name}.skeleton"


def write_recordings(folder: Path, samples: list, seed=0, workers=1, skeleton="kinect_v2") -> None:
    """Write the files of some clips to a folder, atomically; with coco_17 also their table.

    Older synthetic recordings are replaced. Raises UserError if the folder holds anything else.
    """
    if folder.exists() and not (folder / SYNTHETIC_MARK).is_file() and any(folder.iterdir()):
        raise UserError(f"--out_folder {folder} holds other files; name a new folder")
    with atomic(folder) as part:
        part.mkdir()
        write = partial(write_recording, folder=part, seed=seed, skeleton=skeleton)
        written = ordered_map(write, samples, workers)
        names = list(tqdm(written, "recordings", len(samples), unit="clip", disable=None))
        (part / SYNTHETIC_MARK).write_text("By data_gen/synthetic.py: no real recordings.\n")
        if skeleton == "coco_17":
            write_table(part / "clips.csv", names, samples)
        else:
            (part / MISSING_LIST).touch()  # no clip: the official list is about real clips
        shutil.rmtree(folder, ignore_errors=True)


def write_table(path: Path, names: list[str], samples: list[SampleName]) -> None:
    ntu60, fields = NTU_DATASETS["ntu60"], SampleName._fields
    columns = dict(zip(fields, np.array(samples).T, strict=True))
    trains = np.array([ntu60.train_mask(split, columns) for split in ntu60.splits]).T
    parts = np.where(trains, "train", "test")
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "label", *fields[:4], *ntu60.splits))
        for name, sample, row in zip(names, samples, parts, strict=True):
            table.writerow((name, NTU_ACTIONS[sample.action - 1], *sample[:4], *row))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add, number = parser.add_argument, partial(parser.add_argument, type=int, metavar="N")
    add("--out_folder", type=Path, required=True, metavar="DIR")
    add("--skeleton", choices=("kinect_v2", "coco_17"), default="kinect_v2", help="of the files")
    number("--subjects", choices=range(1, 41), default=12, help="people, up to 40")
    number("--actions", choices=range(1, 17), default=16, help="actions, up to 16")
    number("--setups", choices=range(1, 18), default=2, help="places of the cameras, up to 17")
    number("--replications", choices=(1, 2), default=1, help="of each action, 1 or 2")
    number("--seed", default=0, help="the same seed gives the same files")
    number("--workers", default=usable_cpus(), help="processes")
    args = parser.parse_args(argv)
    samples = sample_names(args.subjects, args.actions, args.setups, args.replications)
    write_recordings(args.out_folder, samples, args.seed, args.workers, args.skeleton)
    print(f"{len(samples)} recordings are in {args.out_folder}")
    prepare = f"ntu_gendata.py --dataset ntu60 --data_path {args.out_folder}"
    if args.skeleton == "coco_17":
        table = args.out_folder / "clips.csv"
        prepare = f"own_gendata.py --name people --clips {table} --skeleton coco_17"
    print(f"next: python data_gen/{prepare} --out_folder {args.out_folder}_store")


if __name__ == "__main__":
    run(main)
