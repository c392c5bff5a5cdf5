"""Mutated raw files give a clip or a message; they never crash, hang or take much memory.

FUZZ_EXAMPLES=20000 pytest tests/data_gen/test_fuzz.py tries more files.
"""

import os
import re
import tracemalloc

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import UserError
from data_gen.clip import prepare_clip
from data_gen.readers.skeleton_file import read_skeleton_file
from tests.data_gen.raw_files import random_frames, raw_text

NAME = "S001C002P003R001A004.skeleton"
WHOLE = [
    raw_text(random_frames(counts)).encode() for counts in ([1, 1], [0, 2, 1], [1, 0, 6], [0], [])
]
JUNK = st.one_of(
    st.sampled_from(
        [
            *(b"", b"0", b"1", b"2", b"-1", b"24", b"26", b"1000000000", b"9" * 400, b"1_0"),
            *(b"NaN", b"inf", b"-Infinity", b"1e400", b"1000.5", b"0x10", b"1,5", b"abc", b"1e5"),
            *("٣".encode(), b"\xff", b"\x00", b".", b"-", b"+.5", b"5.", b"1 2", b"1\t2"),
            *(b"1\x0b2", b"1\x1c2", b"3\r", b" 3", b"3 ", b"3\n3", b"25", b"1\n", b"#", b"'"),
            b"\xef\xbb\xbf1",
        ]
    ),
    st.binary(max_size=30),
    st.floats(width=32).map(lambda value: repr(value).encode()),
    st.integers(-(10**10), 10**10).map(lambda value: str(value).encode()),
)  # fmt: skip


@st.composite
def mutated(draw) -> bytes:
    """A whole file after up to three mutations of bytes, tokens or lines."""
    content = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(0, 3))):
        separator = draw(st.sampled_from([None, b" ", b"\n"]))
        parts = list(content) if separator is None else content.split(separator)
        at = draw(st.integers(0, max(len(parts) - 1, 0)))
        to = draw(st.integers(at, min(at + 40, len(parts))))
        new = list(draw(JUNK)) if separator is None else [draw(JUNK)]
        parts[at:to] = draw(
            st.sampled_from([new, [], parts[at:to] * 2, parts[at:to] + new, parts[at:to][::-1]])
        )
        if draw(st.integers(0, 4)) == 0:
            parts = parts[:at]
        content = bytes(parts) if separator is None else separator.join(parts)
    return content.replace(b"\n", b"\r\n") if draw(st.booleans()) else content


NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
COUNT = re.compile(rb"\s*[0-9]{1,12}\s*")


def read_plainly(content: bytes) -> list[list[np.ndarray]] | int:
    """A second, plain reader: the frames of a file, or the line of its first fault."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    number = 0

    def next_line():
        nonlocal number
        line = lines[number]
        number += 1
        return line

    def count():
        line = next_line()
        assert COUNT.fullmatch(line)
        return int(line)

    def joint():
        row = next_line().split()
        assert len(row) == 12
        assert all(NUMBER.fullmatch(token) and abs(float(token)) <= 1000 for token in row[:3])
        return [float(token) for token in row[:3]]

    def body():
        assert len(next_line().split()) == 10
        assert count() == 25
        return np.array([joint() for _ in range(25)])

    try:
        frames = count()
        assert frames <= 20_000
        frames = [[body() for _ in range(count())] for _ in range(frames)]
        while number < len(lines):
            assert not next_line().strip()
        return frames
    except (AssertionError, IndexError):
        return max(number, 1)


@settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", 600)),
    deadline=2000,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(mutated())
def test_a_mutated_file_is_a_clip_or_a_named_fault(tmp_path, content):
    path = tmp_path / NAME
    path.write_bytes(content)
    expected = read_plainly(content)
    tracemalloc.start()
    try:
        bodies = read_skeleton_file(path)
    except UserError as error:
        fault = re.fullmatch(rf"{re.escape(NAME)}, (line|frame) ([0-9]+): ([ -~]+)", str(error))
        assert fault, str(error)
        assert fault[1] == "frame" or int(fault[2]) >= expected
        assert len(fault[3]) < 140
        return
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3e6
    assert not isinstance(expected, int)
    assert bodies.shape[0] == len(expected)
    assert bodies.shape[1] == min(max(map(len, expected), default=0), 4)
    for frame, slots in zip(expected, bodies, strict=True):
        for k, slot in enumerate(slots):
            np.testing.assert_array_equal(slot, frame[k] if k < len(frame) else np.zeros((25, 3)))
    clip = prepare_clip(bodies)
    assert clip is None or np.isfinite(clip).all()
