"""Write a small store for tests: random clips whose classes can be told apart."""

from pathlib import Path

import numpy as np

# Training and test subjects in turn, in NTU-60 and in NTU-120.
SUBJECTS = (1, 3, 2, 6)
COLUMNS = "name,setup,camera,subject,replication,action,start,frames"


def tiny_clip(action: int, frames: int, rng: np.random.Generator) -> np.ndarray:
    """A clip (T, 2, 25, 3) in metres: a pose and a swing that depend on the action, and noise.

    Actions with odd numbers have a second body. Joint 2 of the first body is the origin.
    """
    own = np.random.default_rng([1234, action])
    pose, swing = own.normal(0, 0.4, (2, 25, 3)), own.normal(0, 0.2, (2, 25, 3))
    rate = own.uniform(0.5, 3)  # swings in a clip
    phase = 2 * np.pi * (rate * np.arange(frames) / frames + rng.uniform(0, 0.2))
    clip = pose + swing * np.sin(phase)[:, None, None, None]
    clip = (clip + rng.normal(0, 0.02, clip.shape)) * rng.uniform(0.9, 1.1)
    clip -= clip[:, :1, 1:2]
    clip[:, 1] *= action % 2
    return clip.astype(np.float32)


def write_store(
    data_root, dataset="ntu60", *, clips=48, classes=4, frames=(20, 120), seed=0, test_actions=None
) -> Path:
    """Write DATA_ROOT/DATASET and return DATA_ROOT. The same arguments give the same bytes.

    clips: number of clips, spread evenly over the actions, setups 1 to 4, cameras 1 to 3 and four
        subjects. With 3 or more clips of an action, both splits of every protocol have it.
        With a multiple of 12 clips of each action they are equal (cross_view: two to one).
    frames: the least and the greatest length of a clip; lengths are uniform and both occur
    test_actions: {action: another one, which its clips of test subjects have in samples.csv}
    """
    rng = np.random.default_rng([seed, clips, classes])
    rows = {}
    for i in range(clips):
        action, k = 1 + i % classes, i // classes
        fields = (1 + k % 4, 1 + k % 3, SUBJECTS[k // 2 % 4], 1 + k // 12, action)
        rows["S{:03}C{:03}P{:03}R{:03}A{:03}".format(*fields)] = fields
    lengths = rng.integers(frames[0], frames[1] + 1, clips)
    lengths[:2] = frames[: len(lengths)]
    folder = Path(data_root) / dataset
    folder.mkdir(parents=True)
    lines, packed, start = [COLUMNS], [], 0
    for (name, fields), length in zip(sorted(rows.items()), lengths.tolist(), strict=True):
        packed.append(tiny_clip(fields[-1], length, rng))
        setup, camera, subject, replication, action = fields
        if test_actions and subject in SUBJECTS[1::2]:
            action = test_actions.get(action, action)
        row = (name, setup, camera, subject, replication, action, start, length)
        lines.append(",".join(map(str, row)))
        start += length
    np.save(folder / "joints.npy", np.concatenate(packed))
    (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    return Path(data_root)
