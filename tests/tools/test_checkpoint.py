"""Checkpoints: whole or absent, explained, and harmless whatever the file holds."""

import copy
import os
import pickle
import resource
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.runs import call
from tools import checkpoint
from tools.checkpoint import CheckpointError, check_fits, in_folder, load, path_of, save


def parts(epoch: int = 3, step: int = 0) -> dict:
    """A checkpoint, as small as one can be, of a model that is one layer."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 16)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(2, 8)).sum().backward()
    optimizer.step()
    return {
        "epoch": epoch,
        "step": step,
        "data": {"clips": 24, "frames": 1332, "protocol": "cross_subject", "sha256": "ab12"},
        "metrics": {"loss/total": 12.5},
        "settings": {
            **{"hidden_size": 8, "num_head": 1, "num_layer": 1, "projector_width": 16},
            **{"data_root": "data", "pre_dataset": "ntu60", "protocol": "cross_subject"},
            **{"lr": 5e-4, "schedule": [3, 5], "compile": False},
        },
        "model": {f"encoder.{name}": weight for name, weight in layer.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "scaler": {},
    }


def equal(a: object, b: object) -> bool:
    """Whether two trees of dictionaries hold the same, tensors to the bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    return type(a) is type(b) and a == b


def write(path: Path, content: object, **options) -> Path:
    torch.save(content, path, **options)
    return path


def as_saved(**changes: object) -> dict:
    """A whole checkpoint's content with some parts changed."""
    code = dict(checkpoint.code_facts())
    return {"format": checkpoint.FORMAT, "code": code} | parts() | changes


# ---- writing


def test_what_is_saved_is_loaded(tmp_path):
    path = save(tmp_path, parts())
    assert path == tmp_path / "checkpoint_0003.pt" and list(tmp_path.iterdir()) == [path]
    loaded = load(path)
    assert equal({name: loaded[name] for name in parts()}, parts())
    assert loaded["code"]["umurl"] == checkpoint.VERSION
    assert loaded["code"]["torch"] == torch.__version__
    assert save(tmp_path, parts(3, 12)).name == "checkpoint_0003_000012.pt"


def test_the_newest_is_that_of_the_latest_step(tmp_path):
    for at in ((2, 0), (10, 0), (9, 3), (9, 11), (12345, 0)):
        save(tmp_path, parts(*at))
    for name in ("checkpoint_.pt", "checkpoint_0099.part", "checkpoint_0099.pt.bak", "x.pt"):
        (tmp_path / name).touch()
    order = [checkpoint.position(path) for path in in_folder(tmp_path)]
    assert order == [(2, 0), (9, 3), (9, 11), (10, 0), (12345, 0)]
    assert checkpoint.newest(tmp_path) == path_of(tmp_path, 12345)
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        checkpoint.newest(tmp_path / "nothing")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("stage", ["torch.save", "os.fsync", "pathlib.Path.replace"])
def test_a_write_that_fails_at_any_stage_changes_nothing(tmp_path, monkeypatch, stage, error):
    for epoch in (1, 2):
        save(tmp_path, parts(epoch))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*_):
        raise error

    monkeypatch.setattr(stage, fail)
    with pytest.raises((CheckpointError, KeyboardInterrupt)) as raised:
        save(tmp_path, parts(3), keep=1)
    if isinstance(error, OSError):
        assert "could not be written (No space left on device)" in str(raised.value)
        assert "make room" in str(raised.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_older_ones_go_only_when_the_new_one_is_safe(tmp_path, monkeypatch):
    for epoch in (1, 2, 3):
        save(tmp_path, parts(epoch))
    events, unlink, flush = [], Path.unlink, checkpoint._flush_folder

    def record_unlink(path, missing_ok=False):
        if path.suffix == ".pt":
            events.append(path.name)
        unlink(path, missing_ok)

    def record_flush(folder):
        flush(folder)
        assert load(path_of(folder, 4))
        events.append("safe")

    monkeypatch.setattr(Path, "unlink", record_unlink)
    monkeypatch.setattr(checkpoint, "_flush_folder", record_flush)
    save(tmp_path, parts(4), keep=2)
    assert events == ["safe", "checkpoint_0001.pt", "checkpoint_0002.pt"]


@pytest.mark.parametrize(
    ("keep", "left"), [(None, [1, 2, 3, 8, 9]), (1, [3, 8, 9]), (2, [2, 3, 8, 9])]
)
def test_the_new_one_and_later_ones_are_never_dropped(tmp_path, keep, left):
    # Later ones were damaged, so that the run went on from an earlier one.
    for epoch in (1, 2, 8, 9):
        save(tmp_path, parts(epoch))
    save(tmp_path, parts(3), keep)
    assert [checkpoint.position(path)[0] for path in in_folder(tmp_path)] == left


def test_what_a_killed_run_left_is_cleared(tmp_path):
    (tmp_path / "checkpoint_0002.part").write_bytes(b"half")
    save(tmp_path, parts(3))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_0003.pt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["model", "optimizer"])
def test_broken_numbers_are_never_saved(tmp_path, name, value):
    broken = parts()
    tensor = (
        broken["model"]["encoder.bias"]
        if name == "model"
        else broken["optimizer"]["state"][1]["exp_avg_sq"]
    )
    tensor[5] = value
    where = {"model": "model.encoder.bias", "optimizer": "optimizer.state.1.exp_avg_sq"}[name]
    with pytest.raises(CheckpointError, match=f"not written: {where} is not finite"):
        save(tmp_path, broken)
    assert not list(tmp_path.iterdir())


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
        assert checkpoint.page(path)
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


# ---- weights for a module


def test_weights_that_fit(tmp_path):
    layer = nn.Linear(8, 16)
    check_fits(layer, nn.Linear(8, 16).state_dict(), "here")
    with torch.device("meta"):
        outline = nn.Linear(8, 16)
    check_fits(outline, layer.state_dict(), "here")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"weight": None}, "here lacks the weight weight"),
        ({"more": torch.ones(1)}, "here has a weight unknown here, more"),
        ({"bias": torch.ones(17)}, r"here: bias is torch.float32 \[17\], the model's is .* \[16\]"),
        ({"bias": torch.ones(16).long()}, "here: bias is torch.int64"),
        ({"bias": torch.full((16,), float("nan"))}, "here: bias is not finite"),
    ],
)
def test_weights_that_do_not_fit_are_named(changes, fault):
    weights = nn.Linear(8, 16).state_dict() | changes
    with pytest.raises(CheckpointError, match=fault):
        check_fits(nn.Linear(8, 16), {k: v for k, v in weights.items() if v is not None}, "here")


# ---- the page


def test_a_checkpoint_explains_itself(tmp_path):
    save(tmp_path, parts(2))
    path = save(tmp_path, parts(3, 7))
    shown = call(checkpoint.main, tmp_path)
    assert shown.code == 0 and shown.err == ""
    for text in (
        str(path),
        "after 3 epochs and 7 steps",
        f"umurl   {checkpoint.VERSION}",
        str(torch.__version__),
        "frames    1332",
        "sha256    ab12",
        "protocol  cross_subject",
        "loss/total  12.5",
        "schedule         [3, 5]",
        "lr               0.0005",
        "model  144 numbers: encoder 144",
        "in the folder also: checkpoint_0002.pt",
    ):
        assert text in shown.out
    assert call(checkpoint.main, path).out.splitlines() == shown.out.splitlines()[:-1]


def test_the_page_hides_what_a_terminal_would_obey(tmp_path):
    content = copy.deepcopy(parts())
    content["settings"]["pre_dataset"] = "\x1b[2Jntu60"
    content["metrics"] = {"\x1b[2J": 1.0}
    assert "\x1b" not in checkpoint.page(save(tmp_path, content))


@pytest.mark.parametrize("what", ["nothing", "empty folder", "empty file"])
def test_the_page_of_something_else_is_one_line(tmp_path, what):
    path = tmp_path / "it"
    if what == "empty folder":
        path.mkdir()
    elif what == "empty file":
        path.touch()
    shown = call(checkpoint.main, path)
    assert shown.code == 1 and shown.out == ""
    assert shown.err.startswith("error: ") and shown.err.count("\n") == 1
