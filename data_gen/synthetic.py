"""Write synthetic recordings: raw `.skeleton` files of people who do not exist.

    python data_gen/synthetic.py --out_folder DIR

With --skeleton coco_17 the same people are written as arrays with the joints of COCO, and a table
of clips for data_gen/own_gendata.py.

Articulated bodies (people/body.py) perform (people/performing.py) actions (people/actions.py) in
front of a modeled Kinect (people/kinect.py). The bytes of a file depend only on the seed and on the
name of the file, not on the other files and not on the number of workers.
"""

import argparse
import csv
import sys
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

if not __package__:  # started as a script, in any folder
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from data_gen.people import actions, body, performing
from data_gen.people.coco import as_coco
from data_gen.people.kinect import VIEW, Recording, watch
from data_gen.preparing import commands
from data_gen.preparing.files import remove, whole_folder
from data_gen.preparing.flags import Parser, whole_number
from data_gen.preparing.parallel import WorkerDied, ordered_map, usable_cpus
from data_gen.preparing.streams import open_streams
from data_gen.readers.raw_folders import MISSING_LIST, SYNTHETIC_MARK
from data_gen.readers.skeleton_file import SUFFIX, SampleName
from feeder.datasets.ntu import ACTION_NAMES, DATASETS

ACTIONS = tuple(actions.ACTIONS)
Body = tuple[np.ndarray, np.ndarray]  # positions (T, 25, 3), metres; orientations (T, 25, 4)


def sample_names(
    subjects: int = 12, num_actions: int = len(ACTIONS), setups: int = 2, replications: int = 1
) -> list[SampleName]:
    """The names of a data set's clips: each subject performs each action for each camera. Sorted.

    Each setup has clips of all subjects, cameras and replications. With 3 or more subjects and 2 or
    more setups, both halves of every protocol of NTU RGB+D 60 and 120 have each action.
    """
    return sorted(
        SampleName(1 + (subject + camera + replication) % setups, camera, subject, replication, a)
        for subject in range(1, subjects + 1)
        for replication in range(1, replications + 1)
        for camera in VIEW[replication]
        for a in ACTIONS[:num_actions]
    )


# ---------------------------------------------------------------- what happens


def perform(sample: SampleName, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The movements of the people in a clip, before a camera records them.

    Returns positions (T, M, 25, 3) in metres, where the floor is y = 0 and the first person faces
    -z, and orientations (T, M, 25, 4) as quaternions.
    """
    action = actions.ACTIONS[sample.action]
    person = body.draw_person(np.random.default_rng((seed, sample.subject)))
    manner = performing.draw_manner(np.random.default_rng((seed, sample.subject, sample.action)))
    rng = np.random.default_rng((seed, *sample))
    mirrored = person.left_handed != (rng.random() < 0.15)
    course = performing.draw_course(action, person.tempo * manner.haste, mirrored, rng)
    t = course.frame_times()
    cast = [body.forward_kinematics(person, performing.animate(course, 0, person, manner, t, rng))]
    if action.people == 2:
        person, manner, late = (
            body.draw_person(rng),
            performing.draw_manner(rng),
            rng.uniform(0, 0.25),
        )
        pose = performing.animate(course, 1, person, manner, t - late, rng)
        cast.append(body.forward_kinematics(person, pose))
        cast = face_each_other(*cast, action, np.searchsorted(t, course.meeting_time()), rng)
    elif rng.random() < 0.05:
        cast.append(bystander(t, rng))
    joints, turned = zip(*cast, strict=True)
    return np.stack(joints, axis=1), np.stack(turned, axis=1)


def place(
    joints: np.ndarray, turned: np.ndarray, frame: int, yaw: float, x: float, z: float
) -> Body:
    """Turn and move a body.

    joints, turned: positions and orientations, as in Body
    frame: the frame in which the body shall be above the place x, z (metres)
    yaw: degrees about the vertical axis
    """
    start = joints[frame, 0] * (1, 0, 1)
    turn = body.rotation(y=yaw)
    target = np.array([x, 0, z])
    return body.rotate(turn, joints - start) + target, body.multiply(turn, turned)


def face_each_other(
    first: Body,
    second: Body,
    action: actions.Action,
    meet: int,
    rng: np.random.Generator,
) -> list[Body]:
    """Put two bodies opposite each other.

    action: says how far apart they are when they meet
    meet: the frame in which they meet
    """
    gap = action.gap
    for (joints, _), touches in zip((first, second), action.reach, strict=True):
        gap += touches * (joints[meet, 0, 2] - joints[meet, [7, 11], 2].min())
    gap = max(gap, 0.4)
    aim, aside = rng.normal(0, 6, 2), rng.normal(0, 0.04)
    return [
        place(*first, meet, aim[0], 0, gap / 2),
        place(*second, meet, 180 + aim[1], aside, -gap / 2),
    ]


def bystander(t: np.ndarray, rng: np.random.Generator) -> Body:
    """An idle body beside the scene; t: (T,), seconds."""
    person = body.draw_person(rng)
    pose = person.posture + person.habit + performing.idle(person, t, rng)
    x, z = rng.choice([-1, 1]) * rng.uniform(0.8, 1.3), rng.uniform(0, 0.8)
    return place(*body.forward_kinematics(person, pose), 0, rng.uniform(-90, 90), x, z)


def record(sample: SampleName, seed: int = 0) -> Recording:
    """The recording of a clip: its people perform, and a Kinect records them."""
    return watch(sample, *perform(sample, seed), np.random.default_rng((seed, *sample, 1)))


# ---------------------------------------------------------------- files

ROW = "%.6f %.6f %.6f %.2f %.2f %.2f %.2f %.4f %.4f %.4f %.4f %d\n"
BODY = "{} 0 1 1 1 1 0 %.4f %.4f 2\n25\n" + 25 * ROW


def to_text(recording: Recording) -> str:
    """A recording as the text of a raw file, with lines that end in LF."""
    rows = recording.rows
    trunk = rows[:, :, 20, :3] - rows[:, :, 0, :3]
    lean = trunk[..., [0, 2]] / np.linalg.norm(trunk, axis=-1, keepdims=True)
    values = np.concatenate([lean, rows.reshape(*rows.shape[:2], -1)], axis=-1).tolist()
    templates = [BODY.format(number) for number in recording.ids]
    parts = [f"{len(rows)}\n"]
    for frame, present in zip(values, recording.present.tolist(), strict=True):
        parts.append(f"{sum(present)}\n")
        bodies = zip(templates, frame, present, strict=True)
        parts += [template % tuple(numbers) for template, numbers, seen in bodies if seen]
    return "".join(parts).replace("nan", "NaN")


def write_recording(sample: SampleName, folder: Path, seed: int = 0) -> str:
    """Write one raw file and return its name. As in NTU RGB+D, lines end in CRLF in some files."""
    text = to_text(record(sample, seed))
    if np.random.default_rng((seed, *sample, 2)).random() < 0.3:
        text = text.replace("\n", "\r\n")
    name = "S{:03d}C{:03d}P{:03d}R{:03d}A{:03d}".format(*sample) + SUFFIX
    (folder / name).write_bytes(text.encode("ascii"))
    return name


def write_array(sample: SampleName, folder: Path, seed: int = 0) -> str:
    """Write one recording as an array (T, M, 17, 3) with the joints of COCO; return its name."""
    recording = record(sample, seed)
    bodies = as_coco(recording.rows[..., :3]) * recording.present[..., None, None]
    name = "S{:03d}C{:03d}P{:03d}R{:03d}A{:03d}".format(*sample) + ".npy"
    np.save(folder / name, bodies.astype(np.float32))
    return name


def write_table(folder: Path, names: list[str], samples: list[SampleName]) -> None:
    """Write clips.csv, the table of the arrays, with both splits of NTU RGB+D 60.

    names, samples: the names of the files and the fields of the clips
    """
    description = DATASETS["ntu60"]
    columns = dict(zip(SampleName._fields, np.array(samples).T, strict=True))
    halves = [description.train_mask(split, columns) for split in description.splits]
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "label", *SampleName._fields[:4], *description.splits))
        for name, sample, *trains in zip(names, samples, *halves, strict=True):
            label = ACTION_NAMES[sample.action - 1]
            table.writerow(
                (name, label, *sample[:4], *("train" if each else "test" for each in trains))
            )


def write_recordings(
    folder: str | Path,
    samples: list[SampleName],
    seed: int = 0,
    workers: int = 1,
    skeleton: str = "kinect_v2",
) -> list[Path]:
    """Write a folder with the files of some clips, all or none; return their paths.

    folder: the folder; older synthetic recordings in it are replaced
    samples: which clips
    seed: decides all random draws
    workers: how many processes write
    skeleton: "kinect_v2" for raw files, "coco_17" for arrays and the table clips.csv
    Raises FileExistsError if the folder holds anything else, since real recordings have the same
    names.
    """
    folder = Path(folder).resolve()
    replaceable = not folder.exists() or (folder / SYNTHETIC_MARK).is_file()
    if not replaceable and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} holds other files than synthetic ones: name a new folder")
    with whole_folder(folder) as unfinished:
        kind = {"kinect_v2": write_recording, "coco_17": write_array}[skeleton]
        write = partial(kind, folder=unfinished, seed=seed)
        written = ordered_map(write, samples, workers)
        bar = tqdm(written, "writing recordings", len(samples), unit="clip", disable=None)
        names = list(bar)
        mark = "Written by data_gen/synthetic.py: no real recordings.\n"
        (unfinished / SYNTHETIC_MARK).write_text(mark)
        if skeleton == "coco_17":
            write_table(unfinished, names, samples)
        else:
            (unfinished / MISSING_LIST).touch()  # no clip: the official list is about real clips
        remove(folder)  # it holds synthetic recordings or nothing
    return [folder / name for name in names]


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description="Write synthetic recordings as raw NTU .skeleton files.")
    add, up_to = partial(parser.add_argument, metavar="N"), partial(whole_number, 1)
    add("--out_folder", type=Path, required=True, metavar="DIR", help="folder of the files")
    add("--subjects", type=up_to(40), default=12, help="number of people, up to 40")
    add("--actions", type=up_to(16), default=16, help="number of actions, up to 16")
    add("--setups", type=up_to(17), default=2, help="number of setups (camera positions), up to 17")
    add("--replications", type=up_to(2), default=1, help="how often each is repeated, 1 or 2")
    parser.add_argument("--skeleton", choices=("kinect_v2", "coco_17"), default="kinect_v2",
                        help="raw files of Kinect v2, or arrays with COCO's joints")  # fmt: skip
    add("--seed", type=whole_number(0), default=0, help="the same seed gives the same files")
    add("--workers", type=up_to(256), default=usable_cpus(), help="number of processes")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    open_streams()
    samples = sample_names(args.subjects, args.actions, args.setups, args.replications)
    try:
        paths = write_recordings(args.out_folder, samples, args.seed, args.workers, args.skeleton)
    except (OSError, WorkerDied) as error:
        sys.exit(f"synthetic.py: {error}")
    except KeyboardInterrupt:
        sys.exit("synthetic.py: interrupted, nothing was written")
    size = sum(path.stat().st_size for path in paths) / 1e6
    print(f"{len(paths)} recordings, {size:.0f} MB, are in {args.out_folder}")
    # The store gets a folder of its own, so that it does not replace a store of real recordings.
    store = args.out_folder.with_name(f"{args.out_folder.name}_store")
    if args.skeleton == "coco_17":
        table = "--clips", args.out_folder / "clips.csv", "--skeleton", args.skeleton
        prepare = "data_gen/own_gendata.py", "--name", "people", *table
    else:
        prepare = "data_gen/ntu_gendata.py", "--dataset", "ntu60", "--data_path", args.out_folder
    print(f"next: {commands.command(*prepare, '--out_folder', store)}")


if __name__ == "__main__":
    main()
