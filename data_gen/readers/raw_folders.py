"""Find raw files of NTU RGB+D, and read the lists of files to leave out."""

from collections.abc import Iterable
from pathlib import Path

from data_gen.readers.skeleton_file import NAME, SUFFIX

SKELETON_FOLDERS = "nturgb+d_skeletons*"
MISSING_LIST = "samples_with_missing_skeletons.txt"
SYNTHETIC_MARK = "SYNTHETIC.txt"  # a file that data_gen/synthetic.py puts into its folders


class RawDataError(Exception):
    """Raw data or a list of missing samples cannot be used; the message says what to do."""


def skeleton_folders(paths: Iterable[Path]) -> list[Path]:
    """The folders `nturgb+d_skeletons*` in each path; the path itself if it has no such folder."""
    return [
        folder
        for path in paths
        for folder in sorted(f for f in path.glob(SKELETON_FOLDERS) if f.is_dir()) or [path]
    ]


def find_files(folders: Iterable[Path]) -> dict[str, Path]:
    """{name of a clip: its raw file} in all folders, sorted. The first of equal names is taken."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in folder.iterdir():
            if path.suffix == SUFFIX:
                files.setdefault(path.stem, path)
    return dict(sorted(files.items()))


def find_missing_lists(folders: Iterable[Path]) -> list[Path]:
    """The lists of missing samples in the folders of raw files or in their parents."""
    places = dict.fromkeys(place for folder in folders for place in (folder.parent, folder))
    return [path for place in places for path in sorted(place.glob(f"*{MISSING_LIST}"))]


def read_missing_list(path: Path) -> set[str]:
    """Read the names of clips in a list: one name in a line, after any lines of text.

    path: the list; a name may have the suffix `.skeleton`
    Raises RawDataError if the file cannot be read, if it holds text but no name, or if a line after
    the first name is no name.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text"
        raise RawDataError(f"list of missing samples {path} cannot be read: {reason}") from None
    names: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        name = line.strip().removesuffix(SUFFIX)
        if NAME.fullmatch(name):
            names.add(name)
        elif name and names:
            raise RawDataError(f"{path}, line {number}: {name[:40]!r} is no name of a clip")
    if text.strip() and not names:
        raise RawDataError(f"{path} holds no name of a clip, so it is no list of missing samples")
    return names
