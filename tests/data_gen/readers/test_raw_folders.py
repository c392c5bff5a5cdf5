import pytest

from data_gen.readers.raw_folders import (
    RawDataError,
    find_files,
    find_missing_lists,
    read_missing_list,
    skeleton_folders,
)
from tests.data_gen.raw_files import write_clips

PROSE = """302 of the captured samples in the "NTU RGB+D" dataset have missing or incomplete data.
If you are working on skeleton-based analysis, please ignore these files.

"""
NAMES = ["S001C002P005R002A008", "S032C003P067R002A077"]


def test_the_folder_of_skeletons_or_the_folder_itself(tmp_path):
    (tmp_path / "raw" / "nturgb+d_skeletons").mkdir(parents=True)
    (tmp_path / "raw120" / "nturgb+d_skeletons").mkdir(parents=True)
    (tmp_path / "raw120" / "nturgb+d_skeletons120").mkdir()
    (tmp_path / "plain").mkdir()
    paths = [tmp_path / name for name in ("raw", "plain", "raw120")]
    assert [str(path.relative_to(tmp_path)) for path in skeleton_folders(paths)] == [
        *("raw/nturgb+d_skeletons", "plain"),
        *("raw120/nturgb+d_skeletons", "raw120/nturgb+d_skeletons120"),
    ]


def test_files_of_several_folders_are_united_by_name(tmp_path):
    first = write_clips(tmp_path / "first", ["S002C001P001R001A001", "S001C001P001R001A001"])
    second = write_clips(tmp_path / "second", ["S018C001P001R001A001", "S001C001P001R001A001"])
    (second / "notes.txt").touch()
    (second / "notes").mkdir()
    files = find_files([first, second])
    assert list(files) == sorted(files)
    assert {name: path.parent.name for name, path in files.items()} == {
        "S001C001P001R001A001": "first",
        "S002C001P001R001A001": "first",
        "S018C001P001R001A001": "second",
    }


def test_lists_lie_beside_the_skeletons_or_among_them(tmp_path):
    for name in ("a/nturgb+d_skeletons", "b"):
        (tmp_path / name).mkdir(parents=True)
    official = tmp_path / "a" / "NTU_RGBD_samples_with_missing_skeletons.txt"
    plain = tmp_path / "b" / "samples_with_missing_skeletons.txt"
    official.touch()
    plain.touch()
    folders = skeleton_folders([tmp_path / "a", tmp_path / "b"])
    assert set(find_missing_lists(folders)) == {official, plain}


@pytest.mark.parametrize(
    "text",
    [
        PROSE + "\n".join(NAMES) + "\n",
        "\n".join(NAMES),
        "\r\n".join(NAMES) + "\r\n\r\n",
        "\n".join(f"  {name}.skeleton " for name in NAMES),
        "\ufeff" + "\n".join(NAMES),
    ],
    ids=["official", "plain", "CRLF", "with suffix", "byte order mark"],
)
def test_lists_of_missing_samples(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_bytes(text.encode())
    assert read_missing_list(path) == set(NAMES)


def test_an_empty_list_names_nothing(tmp_path):
    path = tmp_path / "list.txt"
    path.touch()
    assert read_missing_list(path) == set()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (PROSE.encode(), "list.txt holds no name of a clip"),
        (b"\xff\xfe\x00S", "list.txt cannot be read: it is not a text"),
        (f"{NAMES[0]}\nS01C2\n".encode(), "list.txt, line 2: 'S01C2' is no name of a clip"),
        (None, "list.txt cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_list(tmp_path, content, says):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RawDataError) as caught:
        read_missing_list(path)
    assert says in str(caught.value)
