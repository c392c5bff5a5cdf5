"""Which raw files there are, and which of them the official lists say to leave out."""

from collections.abc import Iterable
from pathlib import Path

from data_gen.readers.skeleton_file import NAME, SUFFIX

SKELETON_FOLDERS = "nturgb+d_skeletons*"
MISSING_LIST = "samples_with_missing_skeletons.txt"
SYNTHETIC_MARK = "SYNTHETIC.txt"  # in a folder that data_gen/synthetic.py has written


class RawDataError(Exception):
    """The raw data or a list of missing samples cannot be used; the text says what to do."""


def skeleton_folders(paths: Iterable[Path]) -> list[Path]:
    """The folders `nturgb+d_skeletons` in each of the paths, or the path itself without one."""
    return [
        folder
        for path in paths
        for folder in sorted(f for f in path.glob(SKELETON_FOLDERS) if f.is_dir()) or [path]
    ]


def find_files(folders: Iterable[Path]) -> dict[str, Path]:
    """The raw files of all folders by clip name, in order; of equal names the first one counts."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in folder.iterdir():
            if path.suffix == SUFFIX:
                files.setdefault(path.stem, path)
    return dict(sorted(files.items()))


def find_missing_lists(folders: Iterable[Path]) -> list[Path]:
    """The lists of missing samples in the skeleton folders or beside them."""
    places = dict.fromkeys(place for folder in folders for place in (folder.parent, folder))
    return [path for place in places for path in sorted(place.glob(f"*{MISSING_LIST}"))]


def read_missing_list(path: Path) -> set[str]:
    """The clip names of a list: one a line, with or without suffix, after any lines of prose.

    Raises RawDataError where the file cannot be read, has no names, or a line among them is none.
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
