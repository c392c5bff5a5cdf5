"""Opening a store: what it holds, and what is refused."""

import contextlib
import resource
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from feeder.datasets.ntu import DATASETS
from feeder.store import StoreError, open_store
from tests.tiny_store import tiny_clip, write_store


@pytest.fixture
def root(tmp_path, data_root):
    """A tiny ntu60 to damage."""
    shutil.copytree(data_root / "ntu60", tmp_path / "ntu60")
    return tmp_path


# ---- what a store holds


def test_a_store_gives_the_clips_that_were_written(data_root):
    store = open_store(data_root, "ntu60")
    assert len(store.names) == len(store.length) == 48
    assert store.names == sorted(store.names)
    assert store.joints.shape == (store.length.sum(), 2, 25, 3)
    assert store.joints.dtype == np.float32
    assert isinstance(store.joints, np.memmap)
    for column, letter in (("setup", "S"), ("camera", "C"), ("subject", "P"), ("action", "A")):
        numbers = [int(name[name.index(letter) + 1 :][:3]) for name in store.names]
        np.testing.assert_array_equal(getattr(store, column), numbers)
    np.testing.assert_array_equal(store.label, store.action - 1)
    assert store.num_classes == 60
    assert open_store(data_root, "ntu120").num_classes == 120


def test_each_clip_lies_where_its_row_says(tmp_path):
    rng = np.random.default_rng(0)
    clips = [tiny_clip(action, n, rng) for action, n in ((1, 5), (2, 1), (3, 70))]
    folder = tmp_path / "ntu60"
    folder.mkdir()
    np.save(folder / "joints.npy", np.concatenate(clips))
    (folder / "samples.csv").write_text(
        "name,setup,camera,subject,replication,action,start,frames\n"
        "a,1,2,3,1,1,0,5\nb,1,2,3,1,2,5,1\nc,1,2,3,1,3,6,70\n"
    )
    store = open_store(tmp_path, "ntu60")
    for clip, start, frames in zip(clips, store.start, store.length, strict=True):
        np.testing.assert_array_equal(store.joints[start : start + frames], clip)


def test_columns_are_found_by_name_and_others_are_let_be(root):
    path = root / "ntu60/samples.csv"
    before = open_store(root, "ntu60")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    turned = ["extra," + ",".join(row[::-1]) for row in rows]
    turned = [turned[0]] + [line.replace("extra", "word", 1) for line in turned[1:]]
    path.write_text("\r\n".join(turned) + "\r\n")
    after = open_store(root, "ntu60")
    assert after.names == before.names
    np.testing.assert_array_equal(after.start, before.start)
    assert after.fingerprint != before.fingerprint


def test_a_store_with_more_classes_than_its_data_set_has_them_all(root):
    path = root / "ntu60/samples.csv"
    lines = path.read_text().splitlines()
    fields = lines[-1].split(",")
    fields[5] = "75"
    path.write_text("\n".join([*lines[:-1], ",".join(fields)]) + "\n")
    assert open_store(root, "ntu60").num_classes == 75


@pytest.mark.parametrize(
    ("dataset", "protocol"), [(name, p) for name, d in DATASETS.items() for p in d.splits]
)
def test_protocols_split_the_clips_by_their_names(data_root, dataset, protocol):
    store = open_store(data_root, dataset)
    train, test = store.split(protocol)
    assert sorted([*train, *test]) == list(range(len(store.names)))
    for rows, part in ((train, True), (test, False)):
        for name in (store.names[row] for row in rows):
            setup, camera, subject = int(name[1:4]), int(name[5:8]), int(name[9:12])
            assert (
                part
                == {
                    "cross_subject": subject in (1, 2),  # of the tiny store's 1, 2, 3 and 6
                    "cross_view": camera in (2, 3),
                    "cross_setup": setup % 2 == 0,
                }[protocol]
            )


def test_a_protocol_that_the_data_set_has_not_is_refused(data_root):
    for dataset, protocol in (("ntu60", "cross_setup"), ("ntu120", "cross_view"), ("ntu60", "x")):
        with pytest.raises(StoreError, match=f"{dataset}: .* has no protocol '{protocol}'; it has"):
            open_store(data_root, dataset).split(protocol)


@pytest.mark.parametrize(("camera", "half"), [(1, "training"), (2, "test")])
def test_a_split_with_an_empty_half_is_refused(root, camera, half):
    path = root / "ntu60/samples.csv"
    header, *lines = path.read_text().splitlines()
    rows = [line.split(",") for line in lines]
    for row in rows:
        row[2] = str(camera)
    path.write_text("\n".join([header, *map(",".join, rows)]) + "\n")
    with pytest.raises(StoreError, match=f"no {half} clip under protocol cross_view"):
        open_store(root, "ntu60").split("cross_view")


# ---- what is refused


def edit(path: Path, line: int, column: int, value: str) -> None:
    """Put a value into a line (from 1) and column (from 0) of a CSV file."""
    lines = path.read_text().splitlines()
    fields = lines[line - 1].split(",")
    fields[column] = value
    lines[line - 1] = ",".join(fields)
    path.write_text("\n".join(lines) + "\n")


def cut_lines(path: Path, lines: slice) -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[lines]))


def save(path: Path, array: np.ndarray) -> None:
    np.save(path, array)


def header(shape: str, descr: str = "'<f4'", order: str = "False") -> bytes:
    """A .npy header with given values."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


J, S = "joints.npy", "samples.csv"
DAMAGES = {
    "no joints": (J, lambda p: p.unlink(), r"joints\.npy is missing; prepare the data with"),
    "no samples": (S, lambda p: p.unlink(), r"samples\.csv is missing; prepare the data with"),
    "joints cut": (J, lambda p: p.write_bytes(p.read_bytes()[:-1]), "the file has"),
    "joints longer": (J, lambda p: p.write_bytes(p.read_bytes() + b"0"), "the file has"),
    "joints empty": (J, lambda p: p.write_bytes(b""), r"not a whole \.npy file"),
    "joints text": (J, lambda p: p.write_text("hello " * 99), r"not a whole \.npy file"),
    "header cut": (J, lambda p: p.write_bytes(p.read_bytes()[:40]), r"not a whole \.npy file"),
    "half precision": (J, lambda p: save(p, np.zeros((9, 2, 25, 3), "f2")), "says .*<f2"),
    "double": (J, lambda p: save(p, np.zeros((9, 2, 25, 3))), "says .*<f8"),
    "big endian": (J, lambda p: save(p, np.zeros((9, 2, 25, 3), ">f4")), "says .*>f4"),
    "objects": (J, lambda p: save(p, np.array([{}] * 3)), "says .*O"),
    "axes": (J, lambda p: save(p, np.zeros((9, 25, 2, 3), "f4")), r"says .*\(9, 25, 2, 3\)"),
    "three axes": (J, lambda p: save(p, np.zeros((9, 50, 3), "f4")), r"\(9, 50, 3\)"),
    "no frame": (J, lambda p: save(p, np.zeros((0, 2, 25, 3), "f4")), "the header announces"),
    "other frames": (J, lambda p: save(p, np.zeros((9, 2, 25, 3), "f4")), r"holds 9"),
    "fortran": (J, lambda p: p.write_bytes(header("(9, 2, 25, 3)", order="True")), "says .*True"),
    "version 2": (J, lambda p: p.write_bytes(b"\x93NUMPY\x02\x00" + b"\xff" * 99), "not a whole"),
    "absurd": (J, lambda p: p.write_bytes(header("(10**9, 2, 25, 3)")), r"says .*10\*\*9"),
    "huge": (J, lambda p: p.write_bytes(header("(1000000000000, 2, 25, 3)")), "announces 600000"),
    "endless": (J, lambda p: p.write_bytes(header(f"({10**40}, 2, 25, 3)")), "says .*1000000"),
    "negative": (J, lambda p: p.write_bytes(header("(-4, 2, 25, 3)")), "says .*-4"),
    "true": (J, lambda p: p.write_bytes(header("(True, 2, 25, 3)")), "says .*True"),
    "nested": (J, lambda p: p.write_bytes(header("(" * 60)), "says"),
    "no header line": (S, lambda p: cut_lines(p, slice(1, None)), "line 1: no column 'name'"),
    "only a header": (S, lambda p: cut_lines(p, slice(1)), "holds no clip"),
    "nothing": (S, lambda p: p.write_text(""), "line 1: no column 'name'"),
    "no camera": (S, lambda p: edit(p, 1, 2, "kamera"), "line 1: no column 'camera'"),
    "too few": (S, lambda p: edit(p, 3, 7, "1\n1,2"), "line 4: 2 values, the header has 8"),
    "too many": (S, lambda p: edit(p, 2, 7, "20,4"), "line 2: 9 values"),
    "word": (S, lambda p: edit(p, 5, 3, "Ann"), "line 5: subject is 'Ann'"),
    "fraction": (S, lambda p: edit(p, 2, 7, "20.0"), r"line 2: frames is '20\.0'"),
    "minus": (S, lambda p: edit(p, 2, 6, "-1"), "line 2: start is '-1'"),
    "zero frames": (S, lambda p: edit(p, 2, 7, "0"), "line 2: frames is '0'"),
    "action 0": (S, lambda p: edit(p, 2, 5, "0"), "line 2: action is '0'"),
    "other digits": (S, lambda p: edit(p, 2, 5, "٣"), "line 2: action is '٣'"),
    "beyond int64": (S, lambda p: edit(p, 2, 5, "9" * 30), "line 2: action is '999"),
    "first start": (S, lambda p: edit(p, 2, 6, "1"), "A001 does not start where"),
    "gap": (S, lambda p: edit(p, 4, 6, "7"), "A003 does not start where"),
    "row lost": (S, lambda p: cut_lines(p, slice(-1)), r"samples\.csv counts \d+ frames"),
    "binary": (S, lambda p: p.write_bytes(b"\xff\xfe\x00name"), "not a CSV file"),
    "quotes": (S, lambda p: edit(p, 2, 0, '"a"b'), "not a CSV file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_with_the_reason(root, damage):
    name, mutate, reason = DAMAGES[damage]
    mutate(root / "ntu60" / name)
    with pytest.raises(StoreError, match=reason) as refusal:
        open_store(root, "ntu60")
    text = str(refusal.value)
    assert str(root / "ntu60") in text
    assert "\n" not in text
    assert "ntu_gendata.py" in text  # the mend


@pytest.mark.parametrize("name", ["ntu61", "", ".", "../data", ".hidden"])
def test_unknown_data_sets_are_refused_and_those_found_named(data_root, name):
    with pytest.raises(StoreError, match=f"{data_root} holds ntu120, ntu60") as refusal:
        open_store(data_root, name)
    assert repr(name) in str(refusal.value)


def test_a_damaged_store_of_pku_names_the_command_of_pku(root):
    (root / "ntu60").rename(root / "pkummd2")
    for name in ("samples.csv", "joints.npy"):
        (root / "pkummd2" / name).write_text("x")
        with pytest.raises(StoreError, match=r"pku_gendata\.py --dataset pkummd2"):
            open_store(root, "pkummd2")
        (root / "pkummd2" / name).unlink()
        with pytest.raises(StoreError, match=r"pku_gendata\.py --dataset pkummd2"):
            open_store(root, "pkummd2")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1001, -1e30])
def test_a_coordinate_that_is_none_is_refused_by_clip(root, value):
    store = open_store(root, "ntu60")
    row, path = 17, root / "ntu60/joints.npy"
    joints = np.load(path, mmap_mode="r+")
    joints[store.start[row] + store.length[row] - 1, 1, 24, 2] = value
    joints.flush()
    with pytest.raises(StoreError, match=f"clip {store.names[row]} holds a coordinate"):
        open_store(root, "ntu60")


def test_empty_names_and_names_twice_are_refused_by_line(root):
    path = root / "ntu60/samples.csv"
    whole = path.read_text()
    first = whole.splitlines()[1].split(",")[0]
    for name, reason in (
        ("", "line 5: the name is empty"),
        (first, "line 5: .* of line 2"),
    ):
        edit(path, 5, 0, name)
        with pytest.raises(StoreError, match=reason):
            open_store(root, "ntu60")
        path.write_text(whole)


def test_a_pickle_in_joints_is_not_run(root):
    class Hostile:
        def __reduce__(self):
            return Path.touch, (root / "ran",)

    np.save(root / "ntu60/joints.npy", np.array([Hostile()]), allow_pickle=True)
    with pytest.raises(StoreError):
        open_store(root, "ntu60")
    assert not (root / "ran").exists()


# ---- fuzz


def mutate_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    """Data with a few bytes changed, dropped, doubled or inserted."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(out) + 1)) if out else 0
        length = int(rng.integers(1, 12))
        insert = bytes(rng.choice(list(b"0123456789,-.eE\"'()\n\r\t x\x00\xff_{}:<>"), length))
        match rng.integers(4):
            case 0:
                out[at : at + 1] = insert[:1]
            case 1:
                out[at : at + length] = b""
            case 2:
                out[at:at] = insert
            case 3:
                out[at:at] = out[at : at + 40]
    return bytes(out)


def outcome(root: Path) -> str | None:
    """The message with which a store is refused; None if all its clips can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            store = open_store(root, "ntu60")
    except StoreError as error:
        return str(error)
    for protocol in store.protocols:
        with contextlib.suppress(StoreError):  # an empty half
            train, test = store.split(protocol)
            assert len(train) + len(test) == len(store.names)
    assert len(store.class_names) == store.num_classes >= store.action.max()
    for start, frames in zip(store.start, store.length, strict=True):
        assert frames >= 1
        assert np.asarray(store.joints[start : start + frames]).shape == (frames, 2, 25, 3)
    return None


def test_a_description_that_is_no_file_is_refused(root):
    (root / "ntu60/store.json").mkdir()
    with pytest.raises(StoreError, match=r"store\.json"):
        open_store(root, "ntu60")


@pytest.mark.parametrize("name", [S, J, "store.json"])
def test_mutated_stores_are_refused_or_work(tmp_path, name):
    root = write_store(tmp_path, clips=6, classes=2, frames=(1, 4))
    path = root / "ntu60" / name
    if name == "store.json":
        path.write_text(DATASETS["ntu60"].to_json())
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reasons = []
    for _ in range(400):
        if name != J:
            path.write_bytes(mutate_bytes(whole, rng))
        else:
            path.write_bytes(mutate_bytes(whole[:128], rng) + whole[128:])
        reasons.append(outcome(root))
    refused = [reason for reason in reasons if reason]
    assert len(refused) > 200
    assert all("\n" not in reason and len(reason) < 500 for reason in refused)
    if name != J:  # where a name may change; in joints.npy every byte of the header counts
        assert None in reasons
    # Kilobytes on Linux (bytes on macOS, where this is lax): nothing absurd was allocated.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 200_000
