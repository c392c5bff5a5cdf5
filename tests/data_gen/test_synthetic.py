import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_gen import synthetic
from data_gen.people import actions, body, kinect
from data_gen.readers.skeleton_file import SampleName, parse_name, read_skeleton_file
from feeder.datasets.ntu import DATASETS, LAST_SETUP

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "data_gen" / "synthetic.py"
HEAD, SPINE_BASE, SPINE_MID, NECK, SPINE_SHOULDER = 3, 0, 1, 2, 20
HIPS, KNEES, ANKLES, FEET = [12, 16], [13, 17], [14, 18], [15, 19]
SHOULDERS, ELBOWS, WRISTS, HANDS = [4, 8], [5, 9], [6, 10], [7, 11]
TIPS = [21, 23]
# (child, parent), 0-based; spine shoulder is the root.
BONES = [
    *((0, 1), (1, 20), (2, 20), (3, 2), (4, 20), (5, 4), (6, 5), (7, 6), (8, 20), (9, 8), (10, 9)),
    *((11, 10), (12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17), (19, 18)),
    *((21, 22), (22, 7), (23, 24), (24, 11)),
]
DRINK, SIT, CLAP, KICK, JUMP, HANDSHAKE, WALK = 1, 8, 10, 24, 27, 58, 59


def clips(action, people=6, camera=2):
    """Samples of one action by several people."""
    return [SampleName(1 + p % 2, camera, p, 1, action) for p in range(1, people + 1)]


def performances(action, people=6):
    """Joints (T, M, 25, 3) of one action by several people."""
    return [synthetic.perform(sample)[0] for sample in clips(action, people)]


def read_all(paths):
    return {path.name: path.read_bytes() for path in paths}


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("size", [(3, 4, 2, 1), (12, 16, 2, 1), (5, 16, 3, 2)])
def test_every_protocol_has_every_action_in_both_halves(size):
    samples = synthetic.sample_names(*size)
    assert len(samples) == len(set(samples)) == 3 * size[0] * size[1] * size[3]
    assert samples == sorted(samples)
    setup, camera, subject, _, action = np.array(samples).T
    columns = {"setup": setup, "camera": camera, "subject": subject}
    for name, dataset in DATASETS.items():
        assert setup.max() <= LAST_SETUP[name]
        for protocol in dataset.splits:
            train = dataset.train_mask(protocol, columns)
            assert len(set(action)) == size[1]
            assert set(action[train]) == set(action[~train]) == set(action)


def test_the_default_data_set_has_three_cameras_and_actions_of_two_people():
    samples = synthetic.sample_names()
    assert 480 <= len(samples) <= 720
    assert {s.camera for s in samples} == {1, 2, 3}
    pairs = {a for a, action in actions.ACTIONS.items() if action.people == 2}
    assert len(pairs) >= 4 and pairs <= set(range(50, 61))  # NTU's actions of two people
    assert len({s.action for s in samples}) >= 12


# ---------------------------------------------------------------- files


def test_same_seed_same_bytes_whatever_the_selection_and_the_workers(tmp_path):
    samples = synthetic.sample_names(3, 3)
    whole = read_all(synthetic.write_recordings(tmp_path / "a", samples, seed=4, workers=2))
    assert len(whole) == len(samples) == 27
    some = read_all(synthetic.write_recordings(tmp_path / "b", samples[5::9][::-1], seed=4))
    assert len(some) == 3 and all(whole[name] == text for name, text in some.items())
    other = read_all(synthetic.write_recordings(tmp_path / "c", samples[::9], seed=5))
    assert not set(other.values()) & set(whole.values())
    assert len(set(whole.values())) == 27


def test_files_are_ntu_raw_files_line_by_line(tmp_path):
    samples = [*clips(HANDSHAKE), *clips(DRINK), *clips(CLAP)]
    endings, not_mapped = set(), 0
    for path in synthetic.write_recordings(tmp_path / "raw", samples):
        text = path.read_bytes().decode("ascii")
        ending = "\r\n" if "\r" in text else "\n"
        assert text.count("\r") == (text.count("\n") if ending == "\r\n" else 0)
        endings.add(ending)
        lines = iter(text.removesuffix(ending).split(ending))
        ids = set()
        for _ in range(int(next(lines))):
            for _ in range(int(next(lines))):
                number, *values = next(lines).split()
                assert re.fullmatch(r"720575940\d{8}", number)
                assert len(values) == 9 and np.isfinite(np.array(values, dtype=float)).all()
                ids.add(number)
                assert next(lines) == "25"
                rows = [next(lines).split() for _ in range(25)]
                assert {len(row) for row in rows} == {12}
                assert {row[-1] for row in rows} <= {"1", "2"}
                rows = np.array(rows, dtype=float)
                assert np.isfinite(np.delete(rows, slice(3, 7), axis=1)).all()
                not_mapped += np.isnan(rows).sum()
                norm = np.linalg.norm(rows[:, 7:11], axis=1)
                assert np.all((abs(norm - 1) < 1e-3) | (norm == 0))
        assert next(lines, None) is None
        people = actions.ACTIONS[parse_name(path.stem).action].people
        assert len(ids) in ({2} if people == 2 else {1, 2})
    assert endings == {"\r\n", "\n"}
    assert not_mapped and "NaN" in "".join(
        p.read_text() for p in (tmp_path / "raw").glob("*.skeleton")
    )


def test_files_hold_what_was_recorded(tmp_path):
    (path,) = synthetic.write_recordings(tmp_path / "raw", [SampleName(1, 3, 5, 1, HANDSHAKE)])
    recording = synthetic.record(SampleName(1, 3, 5, 1, HANDSHAKE))
    bodies = read_skeleton_file(path)
    everyone = recording.present.all(axis=1)
    assert everyone.any()
    np.testing.assert_allclose(bodies[everyone], recording.rows[everyone][..., :3], atol=1e-6)


def test_a_synthetic_folder_is_written_again(tmp_path):
    synthetic.write_recordings(tmp_path, clips(DRINK, people=3))  # as it is empty
    paths = synthetic.write_recordings(tmp_path, clips(CLAP, people=2))
    assert sorted(tmp_path.glob("*.skeleton")) == sorted(paths)


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    real = tmp_path / "S001C001P001R001A001.skeleton"
    real.write_text("real")
    with pytest.raises(FileExistsError):
        synthetic.write_recordings(tmp_path, clips(DRINK))
    with pytest.raises(SystemExit) as end:
        synthetic.main(["--out_folder", str(tmp_path), "--subjects", "1"])
    assert str(tmp_path) in end.value.code and "\n" not in end.value.code
    assert [p.read_text() for p in tmp_path.iterdir()] == ["real"]


def test_a_run_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def disk_full(sample, folder, seed):
        (folder / "half").write_text("a file")
        raise OSError("No space left on device")

    monkeypatch.setattr(synthetic, "write_recording", disk_full)
    with pytest.raises(SystemExit, match="No space left"):
        synthetic.main(["--out_folder", str(tmp_path / "raw"), "--workers", "1"])
    assert not list(tmp_path.iterdir())


def test_the_command_runs_from_inside_its_folder(tmp_path):
    command = f"{SCRIPT.name} --subjects 1 --actions 2 --setups 1 --replications 2 --out_folder"
    command = [sys.executable, *command.split(), tmp_path / "raw"]
    run = subprocess.run(command, cwd=SCRIPT.parent, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert len(list((tmp_path / "raw").glob("S001C00[123]P001R00[12]A0*.skeleton"))) == 12
    assert "12 recordings" in run.stdout and str(tmp_path / "raw") in run.stdout


@pytest.mark.parametrize(
    "flags", ["--subjects 41", "--actions 0", "--setups 18", "--seed -1", "--workers x"]
)
def test_numbers_out_of_range_are_refused(flags, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        synthetic.main(["--out_folder", str(tmp_path / "raw"), *flags.split()])
    assert end.value.code == 2
    assert flags.split()[0] in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- bodies


def test_rotations_turn_the_right_way():
    turn = body.rotation(x=90.0)  # a hanging limb swings to the front
    np.testing.assert_allclose(body.rotate(turn, np.array([0, -1.0, 0])), [0, 0, -1], atol=1e-12)
    twice = body.multiply(body.rotation(z=90.0), turn)  # first x, then z
    np.testing.assert_allclose(body.rotate(twice, np.array([0, 0, 1.0])), [1, 0, 0], atol=1e-12)


def test_a_mirrored_pose_gives_a_mirrored_body():
    rng = np.random.default_rng(0)
    person = body.draw_person(rng)
    pose = rng.normal(0, 30, (40, len(body.DOF))).cumsum(axis=0) / 6
    joints, _ = body.forward_kinematics(person, pose)
    mirrored = body.MIRROR_SIGN * pose[:, body.MIRROR_FROM]
    other_side = list(range(25))
    for limb in (body.ARM_JOINTS, body.LEG_JOINTS):
        for left, right in zip(limb["l"], limb["r"], strict=True):
            other_side[left], other_side[right] = right, left
    expected = joints[:, other_side] * (-1, 1, 1)
    np.testing.assert_allclose(body.forward_kinematics(person, mirrored)[0], expected, atol=1e-9)


@pytest.mark.parametrize("action", synthetic.ACTIONS)
def test_bones_keep_their_length_and_people_stay_on_the_floor(action):
    for joints in performances(action, people=2):
        frames, people = joints.shape[:2]
        assert 40 <= frames <= 120
        assert people >= actions.ACTIONS[action].people
        child, parent = np.array(BONES).T
        lengths = np.linalg.norm(joints[:, :, child] - joints[:, :, parent], axis=-1)
        np.testing.assert_allclose(lengths, lengths[:1].repeat(frames, 0), atol=1e-9)
        lowest = joints[:, :, [*ANKLES, *FEET], 1].min(axis=2)
        assert lowest.min() > 0.01
        assert (lowest.max() > 0.15) == (action == JUMP)
        step = np.linalg.norm(np.diff(joints, axis=0), axis=-1).max()
        assert step < 0.5  # metres in a frame: nobody is teleported


def test_people_differ_and_are_people():
    everyone = [body.draw_person(np.random.default_rng((0, p))) for p in range(1, 41)]
    for person in everyone:
        joints = body.forward_kinematics(person, np.zeros((1, len(body.DOF))))[0][0]
        assert 1.5 < person.stature < 1.95
        assert abs(joints[HEAD, 1] / person.stature - 0.947) < 0.005
        upwards = [FEET[0], ANKLES[0], KNEES[0], HIPS[0], SPINE_BASE, SPINE_MID, SPINE_SHOULDER]
        assert (np.diff(joints[[*upwards, NECK, HEAD], 1]) > 0).all()
        downwards = np.array([SHOULDERS, ELBOWS, WRISTS, HANDS, TIPS])
        assert (np.diff(joints[downwards, 1], axis=0) < 0).all()
        assert (joints[[22, 24], 2] < joints[[7, 11], 2]).all()  # thumbs in front
        assert (joints[FEET, 2] < joints[ANKLES, 2]).all()  # toes too
        right = [8, 9, 10, 11, 16, 17, 18, 19, 23, 24]
        left = [4, 5, 6, 7, 12, 13, 14, 15, 21, 22]
        assert (joints[right, 0] > 0.03).all() and (joints[left, 0] < -0.03).all()
    statures = [person.stature for person in everyone]
    assert max(statures) - min(statures) > 0.25
    assert 0.1 < np.mean([person.left_handed for person in everyone]) < 0.6


@pytest.mark.parametrize("action", synthetic.ACTIONS)
def test_knees_and_elbows_bend_the_right_way(action):
    for sample in clips(action, people=4):
        joints, turned = synthetic.perform(sample)

        def local(child, of, joints=joints, turned=turned):  # seen from the upper bone
            back = turned[:, :, of] * (1, -1, -1, -1)
            return body.rotate(back, joints[:, :, child] - joints[:, :, of])

        assert local(ANKLES, KNEES)[..., 2].min() > -1e-9  # shanks swing to the back
        assert local(WRISTS, ELBOWS)[..., 2].max() < 1e-9  # forearms to the front


# ---------------------------------------------------------------- actions


def test_hands_reach_the_mouth_to_drink_and_each_other_to_clap():
    for joints in performances(DRINK):
        gap = np.linalg.norm(joints[:, 0, [*HANDS, *TIPS]] - joints[:, 0, [HEAD]], axis=-1)
        hand = gap.min(axis=0).argmin()
        assert gap[:, hand].min() < 0.3 and gap[0, hand] > 0.5
    for joints in performances(CLAP):
        gap = np.linalg.norm(joints[:, 0, HANDS[0]] - joints[:, 0, HANDS[1]], axis=-1)
        assert gap.min() < 0.35


def test_who_sits_down_ends_lower_and_behind_his_feet():
    for joints in performances(SIT):
        base = joints[:, 0, SPINE_BASE]
        assert base[-1, 1] < 0.75 * base[0, 1]
        assert base[-1, 2] > joints[-1, 0, ANKLES, 2].max() + 0.15
        assert np.abs(np.diff(joints[:, 0, ANKLES].mean(axis=1), axis=0)).sum() < 0.3


def test_who_kicks_stands_on_the_other_foot():
    for joints in performances(KICK):
        ankles = joints[:, 0, ANKLES]  # (T, 2, 3)
        rise = np.ptp(ankles[..., 1], axis=0)
        kicking, standing = rise.argmax(), rise.argmin()
        assert rise[kicking] > 0.2 and rise[standing] < 0.12
        assert np.ptp(ankles[:, kicking, 2]) > 0.4 > np.ptp(ankles[:, standing, 2])


def test_two_people_face_each_other():
    for action in (HANDSHAKE, WALK, 50, 55):
        for joints in performances(action):
            line = joints[-1, 1, SPINE_BASE] - joints[-1, 0, SPINE_BASE]
            gap = np.linalg.norm(line[[0, 2]])
            assert 0.3 < gap < 1.8
            shoulders = joints[-1, :, SHOULDERS[1]] - joints[-1, :, SHOULDERS[0]]
            front = np.cross(shoulders, (0, 1, 0))  # (M, 3), to where each of them looks
            assert front[0] @ line < 0 < front[1] @ line or front[0] @ line > 0 > front[1] @ line
            assert joints[-1, 0, FEET, 2].mean() < joints[-1, 0, ANKLES, 2].mean()


def test_two_people_walk_up_to_each_other_and_shake_hands():
    for joints in performances(WALK):
        gap = np.linalg.norm(joints[:, 0, SPINE_BASE] - joints[:, 1, SPINE_BASE], axis=-1)
        assert gap[0] > gap[-1] + 0.5 and 0.6 < gap[-1] < 1.3
    for joints in performances(HANDSHAKE):
        first, second = joints[:, 0, HANDS], joints[:, 1, HANDS]
        hands = first[:, :, None] - second[:, None]
        assert np.linalg.norm(hands, axis=-1).min() < 0.3


# ---------------------------------------------------------------- sensor


def test_people_stand_before_the_camera_on_a_floor_below_it():
    for sample in synthetic.sample_names(subjects=4, num_actions=1, setups=2):
        points = synthetic.record(sample).rows[..., :3]
        assert points[..., 2].min() > 1.8 and points[..., 2].max() < 4.5
        assert -2.6 < points[:, :, FEET, 1].mean() < -0.9
        assert (points[:, :, HEAD, 1] > points[:, :, SPINE_BASE, 1]).all()


@pytest.mark.parametrize(("replication", "facing"), [(1, 2), (2, 3)])
def test_right_of_who_faces_the_camera_is_plus_x(replication, facing):
    for subject in (1, 2, 3):
        sample = SampleName(1, facing, subject, replication, SIT)
        points = np.median(synthetic.record(sample).rows[:, 0, :, :3], axis=0)
        assert points[SHOULDERS[1], 0] > points[SHOULDERS[0], 0] + 0.2
        assert points[FEET, 2].mean() < points[ANKLES, 2].mean()  # toes towards the camera


def test_cameras_see_different_sides():
    across = {}
    for camera in (1, 2, 3):
        points = synthetic.record(SampleName(1, camera, 1, 1, SIT)).rows[:, 0, :, :3]
        across[camera] = np.median(points[:, SHOULDERS[1]] - points[:, SHOULDERS[0]], axis=0)[0]
    assert across[2] > across[1] > across[3] + 0.05


def test_noise_is_greatest_in_hands_and_where_a_trunk_hides_a_joint():
    rng = np.random.default_rng(0)
    points = np.full((400, 1, 25, 3), 3.0)
    visible = kinect.errors(points, np.zeros((400, 1, 25)), rng).std(axis=(0, 1))
    assert visible[HANDS].min() > 3 * visible[[0, 1, 20]].max() > 0.005
    hidden = kinect.errors(points, np.ones((400, 1, 25)), rng).std(axis=(0, 1))
    assert hidden.min() > 2 * visible.max()


def test_the_far_arm_is_hidden_from_the_side_and_none_from_the_front():
    person = body.draw_person(np.random.default_rng(0))
    joints, _ = body.forward_kinematics(person, np.zeros((1, len(body.DOF))))
    for yaw, far in ((0, []), (90, [8, 9])):
        points = body.rotate(body.rotation(y=float(yaw)), joints) + np.array([0, -1.2, 3])
        hidden = kinect.hidden_joints(points[:, None])[0, 0] > 0.5
        arms = [*body.ARM_JOINTS["l"], *body.ARM_JOINTS["r"]]
        assert not hidden[arms].any() if not far else hidden[far].all() or hidden[[4, 5]].all()


def test_image_columns_are_where_a_kinect_v2_sees_a_point():
    points = np.array([[[[0.0, 0.0, 2.0], [0.5, 0.3, 2.5]]]])
    image = kinect.pixels(points, np.random.default_rng(0))[0, 0]
    np.testing.assert_allclose(image[0], [256, 212, 960 + 1060 * 0.026, 540])
    np.testing.assert_allclose(image[1, :2], [256 + 365 * 0.2, 212 - 365 * 0.12])


def test_frames_are_lost_and_second_bodies_come_late_and_leave():
    pairs = [a for a, action in actions.ACTIONS.items() if action.people == 2]
    samples = [s for s in synthetic.sample_names() if s.action in pairs][:60]
    present = [synthetic.record(sample).present for sample in samples]
    assert all(p.shape[1] == 2 and p.any(axis=0).all() for p in present)
    lost = [p for p in present if not p.any(axis=1).all()]
    late = [p for p in present if p[:3, 0].any() and not p[:3, 1].any()]
    gone = [p for p in present if p[-3:, 0].any() and not p[-3:, 1].any()]
    for group in (lost, late, gone):
        assert 1 <= len(group) <= 20
    alone = [synthetic.record(s).present.shape[1] for s in clips(DRINK, 40)]
    assert 1 <= alone.count(2) <= 8  # a bystander now and then
