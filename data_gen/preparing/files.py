"""Files and folders that are written whole or not at all."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary path to write a file to. The file gets its name when it is whole and on the disk.

    with whole_file("a.json") as part:
        part.write_text(...)

    The temporary path is in the same folder and ends in `.part`; a library that takes the format
    from the suffix must be told the format. An older file stays until the new file is whole. If the
    block fails or is interrupted, no new file and no new folder remains. A `.part` that a killed
    process left does no harm. Raises OSError with the name of the file if it cannot be written.
    """
    path = _followed(path)
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "It is there and is not a file", str(path))
    with _made(path) as part:
        yield part
        sync(part)
        part.replace(path)
    sync(path.parent)


@contextlib.contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """An empty folder to fill. It gets its name when the block ends, as in `whole_file`.

    path: the name; nothing may be there, or an empty folder
    """
    path = _followed(path)
    with _made(path) as part:
        part.mkdir()
        yield part
        for file in (*part.rglob("*"), part):
            sync(file)
        part.replace(path)
    sync(path.parent)


def _followed(path: str | Path) -> Path:
    return Path(path).resolve() if Path(path).is_symlink() else Path(path)


@contextlib.contextmanager
def _made(path: Path) -> Iterator[Path]:
    # With its process number in the name, each of two writers of one file has its own path.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    new = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        remove(part)
        yield part
    except BaseException as error:
        remove(part)
        for folder in new:
            with contextlib.suppress(OSError):  # another process put something there
                folder.rmdir()
        if isinstance(error, OSError) and error.filename in (None, str(part)):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise


def remove(path: Path) -> None:
    """Remove a file, or a folder with everything in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_space(folder: Path, size: int) -> None:
    """Raise OSError unless the disk has `size` bytes free.

    folder: a folder on this disk, which may not exist yet
    """
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if size > free:
        need = f"{size / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB free"
        raise OSError(errno.ENOSPC, f"No space left on device: {need}", str(folder))
