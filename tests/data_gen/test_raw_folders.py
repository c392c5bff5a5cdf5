import pytest

from common import UserError
from data_gen.readers.skeleton_file import find_skeleton_files, read_missing_list
from tests.data_gen.raw_files import write_clips

PROSE = """302 of the captured samples in the "NTU RGB+D" dataset have missing or incomplete data.
If you are working on skeleton-based analysis, please ignore these files.

"""
NAMES = ["S001C002P005R002A008", "S032C003P067R002A077"]


def test_files_of_several_folders_are_united_by_name(tmp_path):
    first = write_clips(tmp_path / "b", ["S002C001P001R001A001", "S001C001P001R001A001"])
    second = write_clips(tmp_path / "a", ["S018C001P001R001A001", "S001C001P001R001A001"])
    (second / "notes.txt").touch()
    files = find_skeleton_files([first, second])
    assert list(files) == sorted(files)
    assert {name: path.parent.name for name, path in files.items()} == {
        "S001C001P001R001A001": "b",
        "S002C001P001R001A001": "b",
        "S018C001P001R001A001": "a",
    }


@pytest.mark.parametrize(
    "text",
    [
        PROSE + "\n".join(NAMES) + "\n",
        "\r\n".join(NAMES) + "\r\n\r\n",
        "\n".join(f"  {name}.skeleton " for name in NAMES),
        "\ufeff" + "\n".join(NAMES),
    ],
    ids=["official", "CRLF", "with suffix", "byte order mark"],
)
def test_lists_of_missing_samples(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_bytes(text.encode())
    assert read_missing_list(path) == set(NAMES)


@pytest.mark.parametrize("content", [PROSE.encode(), b"\xff\xfe\x00S"])
def test_what_is_no_list(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"list\.txt"):
        read_missing_list(path)
