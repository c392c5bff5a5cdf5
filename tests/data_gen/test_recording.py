import json
from pathlib import Path

import numpy as np
import pytest

from common import UserError
from data_gen.clip import prepare_clip
from data_gen.readers.clip_table import all_recordings, find_recordings
from data_gen.readers.recording import Reading, prepare, read_recording
from data_gen.readers.skeleton_file import read_skeleton_file
from feeder.skeletons import BUILT_IN, COCO_17, KINECT_V1, KINECT_V2, NTU, Layout
from tests.data_gen.people import as_skeleton, person
from tests.data_gen.raw_files import GOLDEN, random_frames, raw_text

PUBLISHED = Reading.of_store(NTU, {})  # a store of NTU RGB+D
RAW = sorted((GOLDEN / "skeletons").glob("*.skeleton"))


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def read_clip(path: Path, reading: Reading) -> np.ndarray:
    return prepare(read_recording(path, reading), reading)


def clip_of(path: Path, skeleton=KINECT_V1, bodies: int = 1, **options) -> np.ndarray:
    return read_clip(path, Reading(Layout(skeleton, bodies), skeleton, **options))


def refused(path: Path, skeleton=KINECT_V1, **options) -> str:
    with pytest.raises(UserError) as caught:
        clip_of(path, skeleton, **options)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("mark", "heading"), [(",", "v{}"), (";", None), ("\t", "v{}"), (" ", None), (",", "{}")]
)
def test_a_table_of_numbers_is_an_array(tmp_path, mark, heading):
    body = person(0)
    rows = [mark.join(f"{v:.17g}" for v in frame) for frame in body.reshape(20, -1)]
    rows = ([mark.join(map(heading.format, range(60)))] if heading else []) + rows
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n", encoding="utf-8-sig")
    expected = clip_of(save(tmp_path / "a.npy", body))
    np.testing.assert_array_equal(clip_of(tmp_path / "a.csv"), expected)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_blank_first_lines_of_a_table_are_frames(tmp_path, mark):
    rows = [mark.join(map(str, frame)) for frame in person(0).reshape(20, -1)]
    (tmp_path / "a.csv").write_text("\n".join([mark * 59] * 2 + rows))
    shown = read_recording(tmp_path / "a.csv", Reading(Layout(KINECT_V1, 1), KINECT_V1)).people >= 0
    assert shown[:, 0].tolist() == [False] * 2 + [True] * 20


def test_four_numbers_of_a_table_are_not_guessed(tmp_path):
    body = np.concatenate([person(0), np.full((20, 20, 1), 0.9)], axis=-1)
    np.savetxt(tmp_path / "a.csv", body.reshape(20, -1), delimiter=",")
    assert "--channels xyzc or xy" in refused(tmp_path / "a.csv")
    expected = clip_of(save(tmp_path / "a.npy", body))
    np.testing.assert_array_equal(clip_of(tmp_path / "a.csv", channels="xyzc"), expected)


def test_a_root_at_zero_is_where_it_is_in_a_store_by_the_published_rule(tmp_path):
    body = as_skeleton(person(0), KINECT_V2)
    expected = read_clip(save(tmp_path / "a.npy", body), PUBLISHED)
    clip = read_clip(save(tmp_path / "b.npy", body - body[:, :1]), PUBLISHED)
    np.testing.assert_allclose(clip, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
@pytest.mark.parametrize("text", ["", "1,2\n1\n", "1," * 59 + "x", "{}", '{"data": [{}]}'])
def test_files_that_are_no_recording(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    refused(tmp_path / name)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((5, 25, 3)), "(5, 25, 3)"),
        (np.zeros((1, 40, 20, 3)), "bodies"),  # frames in the place of bodies
        (np.full((5, 20, 3), "a"), "<U1"),
        (np.full((5, 20, 3), None), "Python objects"),
        (np.zeros((0, 20, 3)), "frame"),
        (np.zeros((5, 20, 3)), "nobody"),
        (person(0)[..., :2], "--channels"),
        ((person(0) - [0, 0, 3]) * 99, "--unit"),
        (person(0) / 1000, "--unit"),
        (np.full((5, 20, 3), np.inf), "frame 1"),
    ],
)
def test_arrays_that_cannot_be_used(tmp_path, array, said):
    assert said in refused(save(tmp_path / "a.npy", array))


def test_a_fourth_number_is_a_confidence(tmp_path):
    body = as_skeleton(person(1), BUILT_IN["mediapipe_33"]) * [1, -1, -1]
    sure = np.full((20, 33, 1), 0.9)
    sure[3, 15] = 0.05
    options = {"skeleton": BUILT_IN["mediapipe_33"], "axes": "y-down"}
    expected = clip_of(save(tmp_path / "a.npy", body), **options)
    with_sure = save(tmp_path / "b.npy", np.concatenate([body, sure], axis=-1))
    np.testing.assert_array_equal(clip_of(with_sure, **options, min_confidence=0.0), expected)
    expected[3, 0, 15] = 0
    np.testing.assert_array_equal(clip_of(with_sure, **options), expected)
    assert "nobody" in refused(with_sure, **options, min_confidence=0.95)


@pytest.mark.parametrize(("skeleton", "size"), [("coco_17", 1), ("mediapipe_33", 300)])
def test_a_confidence_is_not_taken_for_a_coordinate(tmp_path, rng, skeleton, size):
    skeleton = BUILT_IN[skeleton]
    flat = as_skeleton(person(2), skeleton)[..., :2] * size + [size, size]
    sure = np.clip(rng.normal(0.8, 0.1, (*flat.shape[:2], 1)), 0, 1)
    path = save(tmp_path / "a.npy", np.concatenate([flat, sure], axis=-1))
    for unit in ("m", "mm", "px"):
        assert "--channels" in refused(path, skeleton, unit=unit)
    shares = np.concatenate([flat / (3 * size), sure], axis=-1)  # of the image
    assert "--unit px" in refused(save(tmp_path / "c.npy", shares), skeleton, channels="xyc")
    two = clip_of(save(tmp_path / "b.npy", flat), skeleton, channels="xy", unit="px")
    np.testing.assert_array_equal(clip_of(path, skeleton, channels="xyc", unit="px"), two)


def test_a_coordinate_is_not_taken_for_a_confidence(tmp_path):
    body = person(0)
    body[..., 2] -= body[..., 2].min()  # all within 0 and 1 m
    assert clip_of(save(tmp_path / "a.npy", body)).any()
    high = body[..., [0, 2, 1]] * 0.3 + 0.3  # z up, somebody small
    assert clip_of(save(tmp_path / "b.npy", high), axes="z-up").any()


def openpose(folder: Path, bodies: np.ndarray) -> Path:
    folder.mkdir()
    for t, frame in enumerate(bodies):
        frame = frame[::-1] if t % 3 == 1 else frame
        people = [{"person_id": [-1], "pose_keypoints_2d": p.ravel().tolist()} for p in frame]
        text = json.dumps({"version": 1.3, "people": people})
        (folder / f"film_{t:012d}_keypoints.json").write_text(text)
    return folder


def pixels(seed: int, skeleton) -> np.ndarray:
    """(T, V, 3): x y confidence in an image."""
    flat = as_skeleton(person(seed), skeleton)[..., :2] * [200, -200] + [500, 400]
    return np.concatenate([flat, np.full((*flat.shape[:2], 1), 0.9)], axis=-1)


@pytest.mark.parametrize("name", ["openpose_25", "openpose_18"])
def test_openpose(tmp_path, name):
    skeleton = BUILT_IN[name]
    body, still = pixels(0, skeleton), np.repeat(pixels(1, skeleton)[:1], 20, 0)
    body[:, 4], body[7, 3] = 0, 0  # not found
    array = save(tmp_path / "a.npy", body)
    expected = clip_of(array, skeleton, channels="xyc", unit="px", axes="y-down")
    away = np.array([700, 0, 0])
    crowd = np.stack([still + away, body, still - away], axis=1)
    folder = openpose(tmp_path / "crowd", crowd)
    np.testing.assert_array_equal(clip_of(folder, skeleton), expected)
    frames = [json.loads(file.read_text()) for file in sorted(folder.iterdir())]
    (tmp_path / "film.json").write_text(json.dumps(frames))
    np.testing.assert_array_equal(clip_of(tmp_path / "film.json", skeleton), expected)
    assert len(clip_of(next(folder.iterdir()), skeleton)) == 1
    for file in sorted(folder.iterdir())[5:9]:  # nobody is there, and there are no files
        file.unlink()
    clip = clip_of(folder, skeleton)
    assert len(clip) == 20 and not clip[5:9].any()
    assert name in refused(folder, COCO_17)
    refused(folder, skeleton, channels="xyz")


def test_kinetics_skeleton(tmp_path):
    skeleton = BUILT_IN["openpose_18"]
    body = pixels(2, skeleton)
    body[..., :2] /= 1000  # shares of the image
    data = [
        {"frame_index": t + 1,
         "skeleton": [{"pose": p[:, :2].ravel().tolist(), "score": p[:, 2].tolist()}]}
        for t, p in enumerate(body) if t != 5
    ]  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps({"data": data, "label": "waving"}))
    clip = clip_of(tmp_path / "a.json", skeleton)
    assert len(clip) == 20 and not clip[5].any()
    body[5] = 0
    array = save(tmp_path / "a.npy", body)
    expected = clip_of(array, skeleton, channels="xyc", unit="px", axes="y-down")
    np.testing.assert_array_equal(clip, expected)


def test_raw_files_follow_the_rule_of_the_store_and_are_never_refused_for_their_size(tmp_path):
    frames = random_frames([1, 2, 1])
    frames[1][0][20] += 30  # a hand far away, as the Kinect sometimes sees one
    for frame in frames:  # all depths within 0 and 1, and flat
        frame[0][:, 2] = 0.5
    odd = tmp_path / "S001C001P001R001A001.skeleton"
    odd.write_text(raw_text(frames))
    for path in (*RAW, odd):
        expected = prepare_clip(read_skeleton_file(path))
        np.testing.assert_array_equal(read_clip(path, PUBLISHED), expected)
    refused(odd, KINECT_V2)  # as one's own


def test_raw_files_as_ones_own():
    for path in RAW:
        assert clip_of(path, KINECT_V2, 2).shape == (len(read_skeleton_file(path)), 2, 25, 3)
    refused(RAW[0], COCO_17)
    refused(RAW[0], KINECT_V2, channels="xyc")


def test_own_raw_files_follow_the_tracking_numbers(tmp_path):
    numbers = [[7, 9]] * 10 + [[9, 7]] * 10  # two people jump to each other's place
    path = tmp_path / "a.skeleton"
    path.write_text(raw_text(random_frames([2]) * 20, numbers))
    people = read_recording(path, Reading(Layout(KINECT_V2, 2), KINECT_V2)).people
    assert people.tolist() == [[0, 1]] * 10 + [[1, 0]] * 10


def test_recordings_in_folders(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in ("b.npy", "deep/A.NPY", ".c.npy", ".hidden/d.npy", "._b.npy"):
        with (tmp_path / name).open("wb") as file:
            np.save(file, person(0))
    openpose(tmp_path / "deep/er/film", pixels(0, BUILT_IN["openpose_18"])[:2, None])
    (tmp_path / "labels.csv").write_text("file,label\nb.npy,a\n")
    (tmp_path / "found.csv").write_text("recording;class_1\n")
    (tmp_path / "numbers.csv").write_text("1,2\n")
    (tmp_path / "skeleton.json").write_text(json.dumps(COCO_17.to_plain()))
    (tmp_path / "kinetics.json").write_text('{"data": []}')
    (tmp_path / "notes.txt").touch()
    found = [str(path.relative_to(tmp_path)) for path in find_recordings(tmp_path)]
    assert found == ["b.npy", "deep/A.NPY", "deep/er/film", "kinetics.json", "numbers.csv"]
    assert clip_of(tmp_path / "deep/A.NPY").any()
    assert [clip.name for clip in all_recordings(tmp_path / "deep/er/film").clips] == ["film"]
    for i in (1, 2):  # each a whole recording, not a frame
        (tmp_path / f"deep/er/wave_{i}.json").write_text('[{"people": []}]')
    whole = find_recordings(tmp_path / "deep/er")
    assert [path.name for path in whole] == ["film", "wave_1.json", "wave_2.json"]
