"""From raw `.skeleton` recordings to the padded arrays of one protocol, one joint at a time."""

import math
import pickle
from pathlib import Path

import numpy as np

MAX_BODIES = 4  # slots read from a file
KEPT_BODIES = 2
NUM_JOINTS = 25
MAX_FRAMES = 300  # length of the padded arrays

SPINE_MIDDLE, LEFT_SHOULDER, RIGHT_SHOULDER = 1, 4, 8

TRAINING_SUBJECTS = {
    *(1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38),
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86),
    *(89, 91, 92, 93, 94, 95, 97, 98, 100, 103),
}
TRAINING_CAMERAS = {2, 3}


# ---------------------------------------------------------------- reading


def read_skeleton(path):
    """Read a raw recording: a list of frames, each a list of bodies, each a list of x y z."""
    frames = []
    with open(path) as file:
        for _ in range(int(file.readline())):
            bodies = []
            for _ in range(int(file.readline())):
                file.readline()  # ten values of the body, such as its tracking number
                rows = [file.readline().split() for _ in range(int(file.readline()))]
                bodies.append([[float(value) for value in row[:3]] for row in rows])
            frames.append(bodies)
    return frames


def body_slots(frames):
    """Put body k of each frame into slot k: (4, T, V, 3) float64, zero where there is no body."""
    slots = np.zeros((MAX_BODIES, len(frames), NUM_JOINTS, 3))
    for t, bodies in enumerate(frames):
        for k, body in enumerate(bodies[:MAX_BODIES]):
            slots[k, t] = body
    return slots


# ---------------------------------------------------------------- one clip


def energy(slot):
    """Sum of the standard deviations of x, y and z of a slot (T, V, 3) over its filled frames."""
    filled = np.array([frame for frame in slot if frame.sum() != 0])
    if len(filled) == 0:
        return 0.0
    return filled[:, :, 0].std() + filled[:, :, 1].std() + filled[:, :, 2].std()


def choose_bodies(slots):
    """Keep the two slots of greatest energy, the greatest first: (2, T, V, 3).

    Of slots with equal energy the later one comes first: the order is an ascending one, reversed.
    """
    ascending = np.argsort([energy(slot) for slot in slots], kind="stable")
    return slots[ascending[::-1][:KEPT_BODIES]]


def repair(body):
    """Close the gaps of one padded body (300, V, 3), in place.

    If frame 0 is empty, the filled frames move to the front, which leaves no gap between them.
    Then the frames before the first empty frame that nothing follows are repeated until the array
    is full. Empty frames in the middle stay empty.
    """
    if body.sum() == 0:
        return
    if body[0].sum() == 0:
        filled = np.array([frame for frame in body if frame.sum() != 0])
        body[:] = 0
        body[: len(filled)] = filled
    end = next((t for t in range(len(body)) if body[t:].sum() == 0), len(body))
    for t in range(end, len(body)):
        body[t] = body[t - end]


def center(bodies):
    """Subtract the main body's spine middle from both bodies (2, 300, V, 3), in place.

    Frame by frame; a joint whose coordinates sum to zero is absent and stays as it is.
    """
    origin = bodies[0, :, SPINE_MIDDLE].copy()  # (300, 3)
    for body in bodies:
        for t, frame in enumerate(body):
            for joint in frame:
                if joint.sum() != 0:
                    joint -= origin[t]


def rotation_to_x_axis(line):
    """Rotation matrix (3, 3) that turns the vector `line` onto the x axis, by Rodrigues' formula.

    About the cross product of the two, by the angle between them. The identity where that is not
    defined: `line`, the cross product (sums of absolute values) or the angle is under 1e-6.
    """
    x_axis = np.array([1.0, 0.0, 0.0])
    cross = np.cross(line, x_axis)
    if np.abs(line).sum() < 1e-6 or np.abs(cross).sum() < 1e-6:
        return np.eye(3)
    angle = math.acos(np.clip(line @ x_axis / np.linalg.norm(line), -1.0, 1.0))
    if angle < 1e-6:
        return np.eye(3)
    kx, ky, kz = cross / np.linalg.norm(cross)
    k = np.array([[0, -kz, ky], [kz, 0, -kx], [-ky, kx, 0]])
    return np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k


def align(bodies):
    """Rotate both bodies (2, 300, V, 3), in place: the main body's shoulders of frame 0 onto x."""
    rotation = rotation_to_x_axis(bodies[0, 0, RIGHT_SHOULDER] - bodies[0, 0, LEFT_SHOULDER])
    for body in bodies:
        for frame in body:
            if frame.sum() != 0:
                for v, joint in enumerate(frame):
                    frame[v] = rotation @ joint


def preprocess_clip(path, max_frames=MAX_FRAMES):
    """One raw recording as (3, max_frames, V, 2) float32 and its own number of frames."""
    bodies = choose_bodies(body_slots(read_skeleton(path)))
    num_frames = bodies.shape[1]
    padded = np.zeros((KEPT_BODIES, max_frames, NUM_JOINTS, 3), np.float32)
    padded[:, :num_frames] = bodies
    for body in padded:
        repair(body)
    center(padded)
    align(padded)
    return padded.transpose(3, 1, 2, 0), num_frames


# ---------------------------------------------------------------- one protocol


def in_training_set(name, protocol):
    """Whether the clip `SsssCcccPpppRrrrAaaa` belongs to the training set of a protocol."""
    setup, camera, subject = int(name[1:4]), int(name[5:8]), int(name[9:12])
    return {
        "cross_subject": subject in TRAINING_SUBJECTS,
        "cross_view": camera in TRAINING_CAMERAS,
        "cross_setup": setup % 2 == 0,
    }[protocol]


def preprocess_part(paths, max_frames=MAX_FRAMES):
    """All recordings of one part, in memory: joints (N, 3, 300, V, 2), num_frames (N), labels (N).

    Labels are 0-based.
    """
    joints = np.zeros((len(paths), 3, max_frames, NUM_JOINTS, KEPT_BODIES), np.float32)
    num_frames = np.zeros(len(paths), np.int64)
    labels = np.zeros(len(paths), np.int64)
    for i, path in enumerate(paths):
        joints[i], num_frames[i] = preprocess_clip(path, max_frames)
        labels[i] = int(Path(path).stem[17:20]) - 1
    return joints, num_frames, labels


def write_protocol(folder, protocol, out_folder, missing=()):
    """Write the padded arrays of one protocol, train and val, in the published layout.

    PART_data_joint.npy, PART_num_frame.npy and PART_label.pkl (names, labels); `missing` names
    the clips to leave out.
    """
    out_folder = Path(out_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    paths = [path for path in sorted(Path(folder).glob("*.skeleton")) if path.stem not in missing]
    for part in ("train", "val"):
        chosen = [p for p in paths if in_training_set(p.stem, protocol) == (part == "train")]
        joints, num_frames, labels = preprocess_part(chosen)
        np.save(out_folder / f"{part}_data_joint.npy", joints)
        np.save(out_folder / f"{part}_num_frame.npy", num_frames)
        with open(out_folder / f"{part}_label.pkl", "wb") as file:
            pickle.dump(([path.stem for path in chosen], labels.tolist()), file)
