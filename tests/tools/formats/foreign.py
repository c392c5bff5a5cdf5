"""Write files as CTR-GCN, pyskl, ST-GCN and AGCN do, from raw recordings and by tests.literal."""

import pickle
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


def label_of(name: str) -> int:
    """The class in a name of NTU RGB+D; of clip_0, clip_1, ... 0 and 1 in turn."""
    return int(name[17:20]) - 1 if name.startswith("S0") else int(name[-1]) % 2


def pyskl_pkl(raw: Path, out: Path, splits: dict[str, str], *, protocol: int = 2) -> None:
    """Write a file such as ntu60_3danno.pkl. splits: {name in the file, such as xsub: protocol}"""
    clips, split = {}, {}
    for path in sorted(raw.glob("*.skeleton")):
        # (M, T, V, C); in memory T comes first, which numpy 2.4 and later pickle in their own way.
        clip = np.ascontiguousarray(two_bodies(path), np.float16).transpose(1, 0, 2, 3)
        clips[path.stem] = clip if clip[1].any() else clip[:1]
    for short, name in splits.items():
        split[f"{short}_train"] = [n for n in clips if in_training_set(n, name)]
        split[f"{short}_val"] = [n for n in clips if not in_training_set(n, name)]
    pose_pkl(out, clips, split, protocol=protocol)


def pose_pkl(
    path: Path, clips: dict[str, np.ndarray], split: dict[str, list[str]], *, protocol: int = 4
) -> None:
    """Write a file such as ntu60_hrnet.pkl with clips (M, T, V, C); C = 2 gets scores."""
    annotations = []
    for name, clip in clips.items():
        annotation = {"frame_dir": name, "label": label_of(name), "total_frames": clip.shape[1]}
        annotation |= {"keypoint": clip, "img_shape": (1080, 1920)}
        if clip.shape[-1] == 2:
            annotation["keypoint_score"] = np.full(clip.shape[:3], 0.9, np.float16)
        annotations.append(annotation)
    path.write_bytes(pickle.dumps({"split": split, "annotations": annotations}, protocol))


def stgcn_arrays(raw: Path, out: Path, protocol: str) -> None:
    """Write {train,val}_data.npy and _label.pkl, as CrosSCLR does on the way to its input."""
    clips = {path.stem: two_bodies(path) for path in sorted(raw.glob("*.skeleton"))}
    padded_arrays(out, "data", clips, [n for n in clips if in_training_set(n, protocol)])


def turned_arrays(raw: Path, out: Path, protocol: str, *, counts: bool = True) -> None:
    """Write arrays with UmURL's file names whose spines lie along z, as in AGCN."""
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # y becomes z
    clips = {path.stem: two_bodies(path) for path in sorted(raw.glob("*.skeleton"))}
    clips = {name: (clip - clip[:, :1, 1:2]) @ turn.T for name, clip in clips.items()}
    padded_arrays(out, "data_joint", clips, [n for n in clips if in_training_set(n, protocol)])
    for part in ("train", "val") if counts else ():
        np.save(out / f"{part}_num_frame.npy", np.full(5, 350))


def padded_arrays(out: Path, kind: str, clips: dict[str, np.ndarray], train: list[str]) -> None:
    """Write {train,val}_KIND.npy and _label.pkl of clips (T, M, V, C). train: the training clips"""
    out.mkdir(parents=True)
    for part, names in (("train", train), ("val", [n for n in clips if n not in train])):
        _, bodies, joints, channels = clips[names[0]].shape
        data = np.zeros((len(names), channels, 300, joints, bodies), np.float32)
        for padded, name in zip(data, names, strict=True):
            padded[:, : len(clips[name])] = clips[name].transpose(3, 0, 2, 1)
        np.save(out / f"{part}_{kind}.npy", data)
        labels = [float(label_of(name)) for name in names]  # some codes write floats
        content = [f"{name}.skeleton" for name in names], labels
        (out / f"{part}_label.pkl").write_bytes(pickle.dumps(content))


class Opens:
    """A value whose pickle opens a file for writing when it is loaded without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))
