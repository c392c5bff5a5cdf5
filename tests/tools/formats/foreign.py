"""Write files as CTR-GCN, pyskl, ST-GCN and AGCN do, from raw recordings and by tests.literal."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.literal.preprocess import body_slots, choose_bodies, in_training_set, read_skeleton


def two_bodies(path: Path) -> np.ndarray:
    """The two people of a recording (T, 2, 25, 3) as they appear; then the one who moves less."""
    bodies = choose_bodies(body_slots(read_skeleton(path)))
    first = [np.flatnonzero(body.reshape(len(body), -1).any(1)) for body in bodies]
    order = sorted((1, 0), key=lambda m: first[m][0] if len(first[m]) else 10**9)
    clip = bodies[order].transpose(1, 0, 2, 3)
    last = np.flatnonzero(clip.reshape(len(clip), -1).any(1))[-1]
    return clip[: last + 1]


def performer_order(names: list[str], protocol: str) -> tuple[list[str], list[str]]:
    """Training and test names in the order of CTR-GCN's seq_transformation.py."""
    start = {"cross_subject": 8, "cross_view": 4, "cross_setup": 0}[protocol]
    in_order = sorted(names, key=lambda name: name[start : start + 4])
    train = [name for name in in_order if in_training_set(name, protocol)]
    return train, [name for name in in_order if name not in train]


def ctrgcn_npz(
    raw: Path, out: Path, protocol: str, *, classes: int = 60, twice: bool = False
) -> tuple[list[str], list[str]]:
    """Write a file such as NTU60_CS.npz; return the names of its training and test clips.
    twice: whether a single person is written twice, as in the files of NTU-120"""
    paths = {path.stem: path for path in sorted(raw.glob("*.skeleton"))}
    content = {}
    halves = performer_order(list(paths), protocol)
    for half, names in zip(("train", "test"), halves, strict=True):
        x = np.zeros((len(names), 300, 150), np.float32)
        y = np.zeros((len(names), classes))
        for i, name in enumerate(names):
            clip = two_bodies(paths[name])
            there = clip.reshape(len(clip), 2, 75).any(2)  # (T, 2)
            if not there[:, 1].any() and twice:
                clip[:, 1], there[:, 1] = clip[:, 0], there[:, 0]
            origin = clip[0, 0, 1].copy()
            clip[there] -= origin
            x[i, : len(clip)] = clip.reshape(len(clip), 150)
            y[i, (int(name[17:20]) - 1) % classes] = 1
        content |= {f"x_{half}": x, f"y_{half}": y}
    np.savez(out, **content)
    return halves


def pyskl_pkl(raw: Path, out: Path, splits: dict[str, str], *, protocol: int = 2) -> None:
    """Write a file such as ntu60_3danno.pkl. splits: {name in the file, such as xsub: protocol}"""
    paths = {path.stem: path for path in sorted(raw.glob("*.skeleton"))}
    annotations, split = [], {}
    for name, path in paths.items():
        # (M, T, V, C); in memory T comes first, which numpy 2.4 and later pickle in their own way.
        clip = np.ascontiguousarray(two_bodies(path), np.float16).transpose(1, 0, 2, 3)
        clip = clip if clip[1].any() else clip[:1]
        about = {"frame_dir": name, "label": int(name[17:20]) - 1}
        annotations.append(about | {"keypoint": clip, "total_frames": clip.shape[1]})
    for short, name in splits.items():
        split[f"{short}_train"] = [n for n in paths if in_training_set(n, name)]
        split[f"{short}_val"] = [n for n in paths if not in_training_set(n, name)]
    with open(out, "wb") as file:
        pickle.dump({"split": split, "annotations": annotations}, file, protocol=protocol)


def stgcn_arrays(raw: Path, out: Path, protocol: str) -> None:
    """Write {train,val}_data.npy and _label.pkl, as CrosSCLR does on the way to its input."""
    _padded_arrays(raw, out, protocol, "data", lambda clip: clip)


def turned_arrays(raw: Path, out: Path, protocol: str, *, counts: bool = True) -> None:
    """Write arrays with UmURL's file names whose spines lie along z, as in AGCN."""
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # y becomes z
    _padded_arrays(
        raw, out, protocol, "data_joint", lambda clip: (clip - clip[:, :1, 1:2]) @ turn.T
    )
    for part in ("train", "val") if counts else ():
        np.save(out / f"{part}_num_frame.npy", np.full(5, 350))


def _padded_arrays(raw: Path, out: Path, protocol: str, kind: str, move: Callable) -> None:
    out.mkdir(parents=True)
    names = sorted(path.stem for path in raw.glob("*.skeleton"))
    for part in ("train", "val"):
        chosen = [n for n in names if in_training_set(n, protocol) == (part == "train")]
        data = np.zeros((len(chosen), 3, 300, 25, 2), np.float32)
        for i, name in enumerate(chosen):
            clip = two_bodies(raw / f"{name}.skeleton")
            data[i, :, : len(clip)] = move(clip).transpose(3, 0, 2, 1)
        np.save(out / f"{part}_{kind}.npy", data)
        labels = [float(int(name[17:20]) - 1) for name in chosen]  # some codes write floats
        with open(out / f"{part}_label.pkl", "wb") as file:
            pickle.dump(([f"{name}.skeleton" for name in chosen], labels), file)


class Opens:
    """A value whose pickle opens a file for writing when it is loaded without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def pose_pkl(path: Path, clips: dict[str, np.ndarray], split: dict[str, list[str]]) -> None:
    """Write a file such as ntu60_hrnet.pkl with clips (M, T, V, C); C = 2 gets scores."""
    annotations = []
    for i, (name, clip) in enumerate(clips.items()):
        annotation = {"frame_dir": name, "label": i % 2, "total_frames": clip.shape[1]}
        annotation |= {"keypoint": clip, "img_shape": (1080, 1920)}
        if clip.shape[-1] == 2:
            annotation["keypoint_score"] = np.full(clip.shape[:3], 0.9, np.float16)
        annotations.append(annotation)
    path.write_bytes(pickle.dumps({"split": split, "annotations": annotations}, 4))
