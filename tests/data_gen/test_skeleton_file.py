import numpy as np
import pytest

from common import UserError
from data_gen.readers.skeleton_file import parse_name, read_missing_list, read_skeleton_file
from tests.data_gen.raw_files import GOLDEN, random_frames, raw_text
from tests.literal.preprocess import body_slots, read_skeleton

NAME = "S001C001P001R001A001"


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / f"{NAME}.skeleton"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_skeleton_file(path)

    return read


@pytest.mark.parametrize("path", sorted((GOLDEN / "skeletons").iterdir()), ids=lambda p: p.stem)
def test_same_numbers_as_a_literal_reader(path):
    bodies = read_skeleton_file(path)
    literal = body_slots(read_skeleton(path)).transpose(1, 0, 2, 3)
    slots = bodies.shape[1]
    assert bodies.dtype == np.float64
    np.testing.assert_array_equal(bodies, literal[:, :slots])
    assert not literal[:, slots:].any()


def test_body_k_of_a_frame_goes_to_slot_k_and_the_fifth_is_skipped(read):
    frames = random_frames([2, 0, 6, 1])
    bodies = read(raw_text(frames))
    assert bodies.shape == (4, 4, 25, 3)
    for t, slot in np.ndindex(4, 4):
        expected = frames[t][slot] if slot < len(frames[t]) else 0
        np.testing.assert_array_equal(bodies[t, slot], np.broadcast_to(expected, (25, 3)))


TEXT = raw_text(random_frames([1, 2]))


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n") + "\n\n  \r\n\n",
        TEXT.replace(" ", "\t").removesuffix("\n"),
        TEXT.replace("\n", " \n ").replace("NaN", "-1.#IND"),
    ],
)
def test_spacing_and_columns_that_are_not_used_do_not_matter(read, text):
    np.testing.assert_array_equal(read(text), read(TEXT))


def with_line(number: int, line: str) -> str:
    """TEXT with one line replaced; lines count from 1."""
    lines = TEXT.split("\n")
    lines[number - 1] = line
    return "\n".join(lines)


def with_token(number: int, column: int, token: str) -> str:
    tokens = TEXT.split("\n")[number - 1].split(" ")
    tokens[column] = token
    return with_line(number, " ".join(tokens))


# TEXT: 1 frames; frame 1 = 2 bodies, 3 header, 4 joints, 5-29 rows;
# frame 2 = 30 bodies, 31 header, 32 joints, 33-57 rows, 58 header, 59 joints, 60-84 rows
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        (with_token(84, 2, "1,5"), 84),
        (with_line(7, "1 2 3"), 7),
        (with_line(3, "1 2"), 3),
        (with_line(4, "24"), 3),
        *((with_line(1, line), 1) for line in ("-2", "²", "9" * 5000)),
        (with_line(1, "1"), 30),  # the file goes on
        (with_line(1, "3"), 84),  # the file ends too early
        (with_line(30, "1"), 58),
        ("\n".join(TEXT.split("\n")[:70]), 70),
        (TEXT.replace(TEXT.split("\n")[9] + "\n", ""), 30),
        (TEXT.encode("utf-16"), 1),
        (100_000 * b"0\n", 2),
    ],
)
def test_every_fault_is_named_with_its_line(read, text, line):
    with pytest.raises(UserError, match=rf"^{NAME}\.skeleton, line {line}: "):
        read(text)


@pytest.mark.parametrize("token", ["NaN", "-inf", "1e400", "-1000.5", "7" * 5000])
def test_what_is_no_coordinate_is_named_with_its_frame(read, token):
    with pytest.raises(UserError, match=rf"{NAME}\.skeleton, frame 2"):
        read(with_token(40, 1, token))


def test_a_name():
    assert parse_name("S032C003P106R002A120") == (32, 3, 106, 2, 120)
    for name in ("S001C001P001R001A001 (1)", "S033C001P001R001A001", "S001C001P001R001A121"):
        with pytest.raises(UserError):
            parse_name(name)


PROSE = "302 samples in the NTU RGB+D dataset have missing data. Please ignore these files.\n\n"
MISSING = ["S001C002P005R002A008", "S032C003P067R002A077"]


def test_lists_of_missing_samples(tmp_path):
    for text in (PROSE + "\n".join(MISSING), "\ufeff  {}.skeleton\r\n{}\r\n".format(*MISSING)):
        (tmp_path / "list.txt").write_bytes(text.encode())
        assert read_missing_list(tmp_path / "list.txt") == set(MISSING)
    (tmp_path / "list.txt").write_text(PROSE)
    with pytest.raises(UserError, match=r"list\.txt"):
        read_missing_list(tmp_path / "list.txt")
