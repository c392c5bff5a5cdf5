"""Files and folders are written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from data_gen.preparing import files
from data_gen.preparing.files import require_space, whole_file, whole_folder

FULL = OSError(errno.ENOSPC, "No space left on device")


def write(path: Path, text: str = "new") -> None:
    with whole_file(path) as part:
        part.write_text(text)


def write_folder(path: Path) -> None:
    with whole_folder(path) as part:
        (part / "a").write_text("new")


def test_what_is_written_takes_its_name_at_the_end(tmp_path):
    path = tmp_path / "deep" / "er" / "a.json"
    with whole_file(path) as part:
        part.write_text("new")
        assert not path.exists() and part.suffix == ".part" and part.parent == path.parent
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]
    write(path, "newer")
    assert path.read_text() == "newer" and list(path.parent.iterdir()) == [path]
    write_folder(tmp_path / "folder")
    assert (tmp_path / "folder" / "a").read_text() == "new"


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt(), RuntimeError("x")])
@pytest.mark.parametrize("stage", ["block", "os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("writer", [whole_file, whole_folder])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch, writer, stage, error):
    def fail(*_):
        raise error

    (tmp_path / "old").write_text("old")
    if writer is whole_file:
        (tmp_path / "a").write_text("before")
    if stage != "block":
        monkeypatch.setattr(stage, fail)
    with pytest.raises(type(error)) as raised:  # noqa: SIM117
        with writer(tmp_path / "a") as part:
            if part.is_dir():
                (part / "inner").mkdir()
                (part / "inner" / "x").write_text("half")
            else:
                part.write_text("half")
            if stage == "block":
                fail()
    left = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert left == {"old": "old"} | ({"a": "before"} if writer is whole_file else {})
    if error is FULL:
        assert raised.value.errno == errno.ENOSPC
        assert raised.value.filename == str(tmp_path / "a")


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as raised, whole_file(tmp_path / "a"):
        (tmp_path / "other").read_text()
    assert raised.value.filename == str(tmp_path / "other")


def test_folders_made_for_a_file_go_with_it(tmp_path):
    with pytest.raises(OSError), whole_file(tmp_path / "b" / "c" / "a"):
        raise FULL
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stale", ["file", "folder", "link"])
@pytest.mark.parametrize("writer", [write, write_folder])
def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path, stale, writer):
    # The same process number comes again, in a container for instance.
    part = tmp_path / f"a.{os.getpid()}.part"
    if stale == "folder":
        (part / "b").mkdir(parents=True)
        (part / "b" / "c").write_text("half")
    elif stale == "link":
        part.symlink_to(tmp_path / "nowhere")
    else:
        part.write_text("half")
        part.chmod(0o400)
    writer(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    for name in ("fifo", "folder"):
        with pytest.raises(OSError, match=name):
            write(tmp_path / name)
    (tmp_path / "folder" / "a").touch()
    with pytest.raises(OSError):
        write_folder(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "folder"]


def test_space_is_asked_for_before_anything_is_written(tmp_path, monkeypatch):
    require_space(tmp_path / "not" / "there" / "yet", 1000)
    free = files.shutil.disk_usage(tmp_path).free
    with pytest.raises(OSError, match="MB are needed") as raised:
        require_space(tmp_path / "not", 2 * free + 10**12)
    assert raised.value.errno == errno.ENOSPC
