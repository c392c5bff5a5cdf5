"""Find out in which format of other code a file or folder is, and open it."""

from pathlib import Path

from data_gen.readers.skeleton_file import SUFFIX
from tools.cli import UserError
from tools.formats.ctrgcn import read_npz
from tools.formats.foreign_clips import Source
from tools.formats.padded_arrays import read_prepared, read_raw
from tools.formats.pyskl import read_pkl

KNOWN = (
    "UmURL's or USDRL's arrays (a folder of train_data_joint.npy ...), ST-GCN's or CrosSCLR's (of "
    "train_data.npy ...), CTR-GCN's or MAMP's .npz, or pyskl's .pkl"
)
RAW = {"train_data.npy", "val_data.npy"}  # of ST-GCN and CrosSCLR
RESAMPLED = (
    "is of AimCLR's kind: each body was moved and turned by itself in each frame and the clips "
    "resampled to 50 frames, which cannot be undone; take the arrays that it was made from "
    "(train_data.npy), or raw files"
)


def recognize(path: Path, scratch: Path, protocol: str | None = None) -> Source:
    """Open the clips of a file or folder of other code.

    path: the file or folder.
    scratch, protocol: see `ctrgcn.read_npz`.
    Raises UserError where the format is none of KNOWN, where the file is damaged, or where its
    clips cannot be brought to the method's normalization.
    """
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else {path.name}
    resampled = sorted(name for name in names if name.endswith("_position.npy"))
    if resampled and not RAW & names:
        raise UserError(f"{path / resampled[0] if path.is_dir() else path} {RESAMPLED}")
    if path.is_dir():
        return _of_folder(path, names)
    if path.suffix == ".npz":
        return read_npz(path, scratch, protocol)
    if path.suffix in (".pkl", ".pickle"):
        return read_pkl(path)
    if not path.exists():
        raise UserError(f"{path} is missing")
    what = "is one array; name its folder" if path.suffix == ".npy" else f"is not {KNOWN}"
    raise UserError(f"{path} {what}")


def _of_folder(path: Path, names: set[str]) -> Source:
    if any(name.endswith("_data_joint.npy") for name in names):
        return read_prepared(path)
    if RAW & names:
        return read_raw(path)
    if any(name.endswith(SUFFIX) for name in names):
        raise UserError(
            f"{path} holds raw files: `python data_gen/ntu_gendata.py --data_path {path}`"
        )
    inner = [n for n in sorted(names) if list((path / n).glob("*_data*.npy"))]
    hint = f"; name one of its folders {', '.join(inner)}" if inner else ""
    raise UserError(f"{path} is not {KNOWN}{hint}")
