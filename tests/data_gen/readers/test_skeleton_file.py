import os
import tracemalloc

import numpy as np
import pytest

from data_gen.readers import skeleton_file
from data_gen.readers.skeleton_file import (
    SampleName,
    SkeletonFileError,
    parse_name,
    read_skeleton_file,
)
from tests.data_gen.raw_files import GOLDEN, random_frames, raw_text
from tests.literal.preprocess import body_slots, read_skeleton

NAME = "S001C001P001R001A001"


@pytest.fixture
def read(tmp_path):
    """Write a text or bytes to a file and read the clip."""

    def read(content):
        path = tmp_path / f"{NAME}.skeleton"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_skeleton_file(path)

    return read


@pytest.fixture
def fault(read):
    """The message about a malformed text, without the name of the file."""

    def fault(content):
        with pytest.raises(SkeletonFileError) as caught:
            read(content)
        text = str(caught.value)
        assert text.startswith(f"{NAME}.skeleton, line ")
        assert "\n" not in text and text.isprintable()
        return text.removeprefix(f"{NAME}.skeleton, ")

    return fault


# ------------------------------------------------------------------------------- what is read


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


@pytest.mark.parametrize("counts", [[], [0], [0, 0, 0]])
def test_nobody(read, counts):
    assert read(raw_text(random_frames(counts))).shape == (len(counts), 0, 25, 3)


TEXT = raw_text(random_frames([1, 2]))


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        TEXT.removesuffix("\n"),
        TEXT + "\n\n  \r\n\n",
        TEXT.replace(" ", "  "),
        TEXT.replace(" ", "\t"),
        TEXT.replace("\n", " \n"),
        TEXT.replace("\n", "\n "),
        TEXT.replace("NaN", "1_0"),
        TEXT.replace("NaN", "junk"),
        TEXT.replace("NaN", "\x00"),
        TEXT.replace("NaN", "-1.#IND"),
    ],
    ids=[
        *("CRLF", "no last newline", "blank lines at the end", "double spaces", "tabs"),
        *("trailing space", "leading space", "underscore", "word", "null", "Windows NaN"),
    ],
)
def test_spacing_and_columns_that_are_not_used_do_not_matter(read, text):
    np.testing.assert_array_equal(read(text), read(TEXT))


@pytest.mark.parametrize("number", ["5", "-0.25", "+1.5", ".5", "5.", "1e-3", "-8.145472E-05", "0"])
def test_ways_to_write_a_number(read, number):
    lines = TEXT.split("\n")
    lines[4] = f"{number} {number} 3.0 " + lines[4].split(" ", 3)[3]
    assert read("\n".join(lines))[0, 0, 0].tolist() == [float(number), float(number), 3.0]


def test_many_more_frames_than_300(read):
    frames = random_frames(1000 * [1])
    np.testing.assert_array_equal(read(raw_text(frames)), np.array(frames))


def test_blocks_do_not_show(read, monkeypatch):
    text = raw_text(random_frames([1, 3, 0, 5, 2]))
    whole = read(text)
    for rows in (1, 25, 26, 75):
        monkeypatch.setattr(skeleton_file, "BLOCK_ROWS", rows)
        np.testing.assert_array_equal(read(text), whole)


# ------------------------------------------------------------------------------ what is refused


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
    ("text", "says"),
    [
        ("", "line 1: the file is empty"),
        (with_token(35, 0, "abc"), "line 35: 'abc' is not a number"),
        (with_token(84, 2, "1_0"), "line 84: '1_0' is not a number"),
        (with_token(5, 1, "0x1p3"), "line 5: '0x1p3' is not a number"),
        (with_token(5, 1, "1,5"), "line 5: '1,5' is not a number"),
        (with_token(5, 1, "٣"), "line 5: '\\xd9\\xa3' is not a number"),
        (with_token(5, 1, "NaN"), "line 5: 'NaN' is not a coordinate within 1000 m"),
        (with_token(5, 2, "-inf"), "line 5: '-inf' is not a coordinate within 1000 m"),
        (with_token(6, 2, "1e400"), "line 6: '1e400' is not a coordinate within 1000 m"),
        (with_token(6, 2, "-1000.5"), "line 6: '-1000.5' is not a coordinate within 1000 m"),
        (with_token(6, 2, "7" * 5000), f"line 6: '{'7' * 20}'... is not a coordinate"),
        (with_line(7, "1 2 3"), "line 7: 3 values where a joint has 12"),
        (with_line(7, ""), "line 7: 0 values where a joint has 12"),
        (with_line(7, " ".join(13 * "1")), "line 7: more than 12 values where a joint has 12"),
        (with_line(7, " ".join(268 * "1")), "line 7: more than 12 values where a joint has 12"),
        (with_line(3, "1 2"), "line 3: 2 values where a body begins with 10"),
        (with_line(3, " ".join(11 * "1")), "line 3: more than 10 values where a body begins"),
        (with_line(4, "24"), "line 4: 24 joints where a body has 25"),
        (with_line(4, "26"), "line 4: 26 joints where a body has 25"),
        (with_line(1, "-2"), "line 1: '-2' is not a number of frames"),
        (with_line(1, "2.0"), "line 1: '2.0' is not a number of frames"),
        (with_line(1, "1_0"), "line 1: '1_0' is not a number of frames"),
        (with_line(1, "²"), "line 1: '\\xc2\\xb2' is not a number of frames"),
        (with_line(1, "٣"), "line 1: '\\xd9\\xa3' is not a number of frames"),
        (with_line(1, ""), "line 1: '' is not a number of frames"),
        (with_line(30, "-1"), "line 30: '-1' is not a number of bodies"),
        (with_line(1, "1"), "line 30: the file goes on after the 1 frames that it announces"),
        (with_line(1, "3"), "line 84: the file ends in frame 3 of 3"),
        (with_line(1, "1000000000"), "line 1: announces 1000000000 frames, over the 20000"),
        (with_line(1, "9" * 5000), f"line 1: announces '{'9' * 20}'... frames"),
        (with_line(30, "1000000000"), "line 84: the file ends in frame 2 of 2"),
        (with_line(30, "3"), "line 84: the file ends in frame 2 of 2"),
        (with_line(30, "1"), "line 58: the file goes on after the 2 frames that it announces"),
        (with_line(4, "1000000000"), "line 4: 1000000000 joints where a body has 25"),
        ("\n".join(TEXT.split("\n")[:70]), "line 70: the file ends in frame 2 of 2"),
        ("\n".join(TEXT.split("\n")[:58]), "line 58: the file ends in frame 2 of 2"),
        ("\n".join(TEXT.split("\n")[:70])[:-40], "line 70: 8 values where a joint has 12"),
        (TEXT.replace(TEXT.split("\n")[9] + "\n", ""), "line 29: 1 values where a joint has 12"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50, "line 1: '\\x89PNG' is not a number"),
        (b"2\n" + bytes(range(256)) * 50, "line 2: '\\x00\\x01\\x02"),
        (TEXT.encode("utf-16"), "line 1: '\\xff\\xfe2"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "line 1: '\\xef\\xbb\\xbf2' is not a number of frames"),
        (100_000 * b"0\n", "line 2: the file goes on after the 0 frames that it announces"),
        (b"20000\n" + 10 * b"0\n", "line 11: the file ends in frame 11 of 20000"),
        (b"1" * 10_000_000, "line 1: announces '11111111111111111111'... frames"),
    ],
)  # fmt: skip
def test_every_fault_is_named_with_its_line(fault, text, says):
    assert fault(text).startswith(says)


def test_the_first_of_several_faults_is_named(fault):
    text = with_token(35, 0, "abc").replace("\n25\n", "\n24\n", 1)
    assert fault(text) == "line 4: 24 joints where a body has 25"
    assert fault(with_token(6, 0, "abc")[:-5000]) == "line 6: 'abc' is not a number"


def test_numbers_of_bodies_beyond_the_fourth_are_checked_too(fault):
    text = raw_text(random_frames([6]))
    lines = text.split("\n")
    lines[-3] = "x " + lines[-3].split(" ", 1)[1]
    assert fault("\n".join(lines)) == f"line {len(lines) - 2}: 'x' is not a number"


@pytest.mark.parametrize(
    "content",
    [
        b"1000000000\n" + 1000 * b"0\n",
        b"20000\n1\n" + 1000 * b"0\n",
        b"1\n1000000000\n",
        b"20000\n" + 19_999 * b"0\n" + b"1\n",
    ],
)
def test_what_is_announced_takes_no_memory(fault, content):
    tracemalloc.start()
    try:
        fault(content)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / f"{NAME}.skeleton"
    with open(path, "wb") as file:
        file.truncate(skeleton_file.MAX_BYTES + 1)  # sparse
    with pytest.raises(SkeletonFileError, match=rf"^{NAME}\.skeleton, line 1: 128 MB"):
        read_skeleton_file(path)


def test_what_is_no_readable_file(tmp_path):
    path = tmp_path / f"{NAME}.skeleton"
    with pytest.raises(
        SkeletonFileError, match=rf"^{NAME}\.skeleton: cannot be read: No such file"
    ):
        read_skeleton_file(path)
    os.mkfifo(path)  # reading would wait for a writer
    with pytest.raises(SkeletonFileError, match=rf"^{NAME}\.skeleton: not a regular file$"):
        read_skeleton_file(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SkeletonFileError, match=rf"^{NAME}\.skeleton: not a regular file$"):
        read_skeleton_file(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path):
    path = tmp_path / f"{NAME}.skeleton"
    path.touch(mode=0)
    with pytest.raises(SkeletonFileError, match="cannot be read: Permission denied"):
        read_skeleton_file(path)


# ---------------------------------------------------------------------------------------- names


def test_a_name():
    assert parse_name("S032C003P106R002A120") == SampleName(32, 3, 106, 2, 120)


@pytest.mark.parametrize(
    "name",
    [
        *("", "foo", "S1C1P1R1A1", "s001C001P001R001A001", "S001C001P001R001A001 (1)"),
        *("S001C001P001R001A0011", "S001C001P001R001A001.txt", "S001C001P001R001A00١"),
        *("S001C001P001R001A001\n", "._S001C001P001R001A001", "S001P001C001R001A001"),
        *("S000C001P001R001A001", "S001C001P001R001A000", "S033C001P001R001A001"),
        "S001C001P001R001A121",
    ],
)
def test_names_that_are_no_clip_of_ntu(name):
    with pytest.raises(SkeletonFileError) as caught:
        parse_name(name)
    assert "not a" in str(caught.value)
