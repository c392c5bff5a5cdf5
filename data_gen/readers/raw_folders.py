"""Find raw files of NTU RGB+D, and the clips to leave out because their skeletons are missing."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from common import UserError
from data_gen.readers.skeleton_file import NAME, SUFFIX

MISSING_LIST = "samples_with_missing_skeletons.txt"
SYNTHETIC_MARK = "SYNTHETIC.txt"  # a file that data_gen/synthetic.py puts into its folders


def find_skeleton_files(folders: Iterable[Path]) -> dict[str, Path]:
    """{name of a clip: its `.skeleton` file} at any depth below the folders, sorted by name.

    Of files with the same name the first is taken. Hidden files and folders are not data: macOS
    writes `._NAME.skeleton` beside a file.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for place, inside, names in os.walk(folder, followlinks=True):
            inside[:] = sorted(name for name in inside if not name.startswith("."))
            for name in names:
                if name.endswith(SUFFIX) and not name.startswith("."):
                    files.setdefault(name.removesuffix(SUFFIX), Path(place, name))
    return dict(sorted(files.items()))


def missing_samples(path: Path | None, files: Iterable[Path], is_ntu120: bool) -> set[str]:
    """The names of the clips to leave out.

    path: the user's list; None for the lists beside the raw files or one folder higher, or else the
        official list
    is_ntu120: warn if the lists found are those of NTU RGB+D 60
    """
    if path:
        return read_missing_list(path)
    folders = {file.parent for file in files}
    places = sorted(folders | {folder.parent for folder in folders})
    lists = [found for place in places for found in sorted(place.glob(f"*{MISSING_LIST}"))]
    lists = [found for found in lists if not found.name.startswith(".")]
    if not lists:
        return official_missing()
    missing = set().union(*map(read_missing_list, lists))
    if is_ntu120 and max(missing, default="") < "S018":
        names = " and ".join(map(str, lists))
        print(f"warning: {names}: no name of S018 to S032, which NTU-120's list has; where there "
              "is no such file, the official list is taken", file=sys.stderr)  # fmt: skip
    return missing


def official_missing(max_setup: int = 32) -> set[str]:
    """The names of the missing samples in setups 1 to max_setup: 302 up to 17, 535 up to 32.

    Source: https://github.com/shahroudy/NTURGB-D, NTU_RGBD120_samples_with_missing_skeletons.txt;
    the list of NTU-60 holds the same names up to setup 17. Our file is a shorter form, with one
    line for each setup and camera: "S001C002 P005R002A008 P006R001A008" stands for two names.
    """
    text = Path(__file__).with_name("missing_samples.txt").read_text(encoding="ascii")
    lines = (line.split() for line in text.splitlines())
    return {
        begin + rest for begin, *rests in lines for rest in rests if int(begin[1:4]) <= max_setup
    }


def read_missing_list(path: Path) -> set[str]:
    """The names of clips in a list, which may begin with prose. Raises UserError without a name."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"list of missing samples {path} is not a text file") from None
    names = {match[0] for match in NAME.finditer(text)}
    if text.strip() and not names:
        raise UserError(f"{path} holds no name of a clip, so it is no list of missing samples")
    return names
