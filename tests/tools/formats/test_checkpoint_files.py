"""Files that are no whole checkpoint: refused in one line, and harmless whatever they hold."""

import os
import pickle
import resource
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tools.saved import as_saved, equal, parts, write
from tools import checkpoint as command
from tools.formats import checkpoint
from tools.formats.checkpoint import CheckpointError, load, save

# ---- damaged files


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("whole"), parts())


def assert_refused_or_the_same(path: Path, whole: Path) -> None:
    try:
        loaded = load(path)
    except CheckpointError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert equal(loaded, load(whole))


HERE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(HERE, max_examples=150)
@given(st.data())
def test_a_truncated_file_is_refused(tmp_path, whole, data):
    content = whole.read_bytes()
    path = tmp_path / "cut.pt"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        load(path)


@settings(HERE, max_examples=300)
@given(st.data())
def test_flipped_bits_are_found_or_mean_nothing(tmp_path, whole, data):
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(0, 8 * len(content) - 1))
        content[bit // 8] ^= 1 << bit % 8
    path = tmp_path / "flipped.pt"
    path.write_bytes(content)
    assert_refused_or_the_same(path, whole)


@pytest.mark.slow
def test_every_byte_matters_or_means_nothing(tmp_path, whole):
    content, path = whole.read_bytes(), tmp_path / "changed.pt"
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        assert_refused_or_the_same(path, whole)
        path.write_bytes(content[:place])
        with pytest.raises(CheckpointError):
            load(path)


@settings(HERE, max_examples=50)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(tmp_path, content):
    path = tmp_path / "bytes.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        load(path)


# ---- whole files with wrong contents


def with_setting(name: str, value: object) -> dict:
    return {"settings": parts()["settings"] | {name: value}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"epoch": "3"}, "'epoch' is str, not int"),
        ({"epoch": True}, "'epoch' is bool, not int"),
        ({"epoch": -1}, "is negative"),
        ({"step": 1.5}, "'step' is float, not int"),
        ({"settings": [1]}, "'settings' is list, not dict"),
        ({"settings": {}}, "'settings' lacks a size"),
        ({"settings": {1: 2}}, "more than plain values"),
        ({"metrics": {"loss": torch.ones(3)}}, "more than plain values"),
        ({"data": {"clips": {"deep": [1]}}}, "more than plain values"),
        ({"scaler": None}, "'scaler' is NoneType, not dict"),
        ({"model": [1, 2]}, "'model' is list, not dict"),
        ({"model": {}}, "disagree on the model's sizes"),
        ({"model": {"encoder.weight": 1.0}}, "more than weights"),
        ({"model": {7: torch.ones(8, 16)}}, "more than weights"),
        ({"model": {"w": torch.ones(1).expand(8, 16)}}, "more than weights"),
        (with_setting("hidden_size", 10**15), "disagree on the model's sizes"),
        (with_setting("hidden_size", 8.0), "lacks a size"),
        (with_setting("hidden_size", -8), "lacks a size"),
        (with_setting("projector_width", 10**9), "disagree on the model's sizes"),
        (with_setting("num_layer", 10**9), "disagree on the model's sizes"),
        (with_setting("num_head", 3), "disagree on the model's sizes"),
        (with_setting("protocol", 3), "lacks the data set"),
        (with_setting("data_root", None), "lacks the data set"),
    ],
)
def test_wrong_contents_are_named(tmp_path, changes, fault):
    path = write(tmp_path / "wrong.pt", as_saved(**changes))
    with pytest.raises(CheckpointError, match="no whole checkpoint: ") as raised:
        load(path)
    assert fault in str(raised.value)


@pytest.mark.parametrize("name", checkpoint.PARTS)
def test_a_missing_part_is_named(tmp_path, name):
    content = as_saved()
    del content[name]
    with pytest.raises(CheckpointError, match=f"it lacks '{name}'"):
        load(write(tmp_path / "less.pt", content))


def test_a_list_that_holds_itself_is_refused(tmp_path):
    endless: list = []
    endless.append(endless)
    with pytest.raises(CheckpointError):
        load(write(tmp_path / "endless.pt", as_saved(metrics={"x": endless})))


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.builds(torch.ones, st.integers(0, 3)),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(HERE, max_examples=150)
@given(st.sampled_from(sorted({"format", *checkpoint.PARTS})), TREES, st.integers(0, 3))
def test_anything_anywhere_is_taken_or_refused_in_one_line(tmp_path, name, value, depth):
    content = as_saved()
    place, key = content, name
    for _ in range(depth):
        if not isinstance(place[key], dict) or not place[key]:
            break
        place, key = place[key], next(iter(place[key]))
    place[key] = value
    path = write(tmp_path / "any.pt", content)
    try:
        assert command.page(path)
    except CheckpointError as error:
        assert "\n" not in str(error)


# ---- other files, and hostile ones


def test_other_codes_checkpoints_are_refused_with_the_way_to_take_them(tmp_path):
    published = {"epoch": 451, "state_dict": {"w": torch.ones(2)}, "optimizer": {}}
    for content in (published, [1], torch.ones(3), {"format": "umurl checkpoint 0"}):
        with pytest.raises(CheckpointError, match=r"not a checkpoint of this code.*tools\.convert"):
            load(write(tmp_path / "other.pt", content))


class Hostile:
    """Makes a file, if it is unpickled by something that trusts it."""

    def __init__(self, call: object, *arguments: object):
        self.call = call, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("container", ["pickle", "zip", "old torch", "zip with a second pickle"])
def test_a_hostile_pickle_does_nothing(tmp_path, container):
    target, path = tmp_path / "made", tmp_path / "hostile.pt"
    hostile = Hostile(os.mkdir, str(target))
    if container == "pickle":
        path.write_bytes(pickle.dumps(hostile))
    elif container == "zip":
        write(path, as_saved(metrics={"x": hostile}))
    elif container == "old torch":
        write(path, as_saved(metrics={"x": hostile}), _use_new_zipfile_serialization=False)
    else:
        write(path, as_saved())
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("hostile/data.pkl", pickle.dumps(hostile, protocol=2))
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        load(path)
    assert not target.exists()
    pickle.loads(pickle.dumps(hostile))  # it would have worked
    assert target.exists()


@pytest.fixture
def little_memory():
    """A gibibyte more than is in use."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def rewrite(path: Path, old: bytes, new: bytes, **options) -> Path:
    """Replace bytes in the pickle of a file that torch wrote, with the right checksums."""
    original = path.rename(path.with_suffix(".original"))
    with zipfile.ZipFile(original) as source, zipfile.ZipFile(path, "w", **options) as target:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith("data.pkl"):
                assert content.count(old) == 1
                content = content.replace(old, new)
            target.writestr(entry.filename, content)
    return path


THIRTEEN, MANY = b"K\x0d", b"J\xff\xff\xff\x7f"  # as pickled
SMALL_MODEL = {"model": {"w": torch.ones(13)}}
LARGE = {
    "numbers in a storage": lambda path: rewrite(
        write(path, as_saved(**SMALL_MODEL)), THIRTEEN + b"t", MANY + b"t"
    ),
    "numbers in a tensor": lambda path: rewrite(
        write(path, as_saved(**SMALL_MODEL)), THIRTEEN + b"\x85", MANY + b"\x85"
    ),
    "compressed zeros": lambda path: rewrite(
        write(path, {"w": torch.zeros(2**24, dtype=torch.uint8)}),
        *(b"cpu", b"cpu"),
        compression=zipfile.ZIP_DEFLATED,
    ),
    "bytes": lambda path: write(path, as_saved(metrics={"x": Hostile(bytearray, 10**12)})),
    "a tensor": lambda path: write(path, as_saved(metrics={"x": Hostile(torch.Tensor, 10**12)})),
    "a tensor in strides of 0": lambda path: write(
        path, as_saved(model={"w": torch.ones(1).expand(10**12)})
    ),
}


@pytest.mark.parametrize("what", LARGE)
def test_no_file_makes_for_an_absurd_allocation(tmp_path, little_memory, what):
    file = LARGE[what](tmp_path / "large.pt")
    with pytest.raises(CheckpointError) as raised:
        load(file)
    assert not any(word in str(raised.value).lower() for word in ("alloc", "memory"))
