"""Who is who in a recording of several people."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from data_gen.clip import is_there, mean_of_known

REACH = 0.5  # of a body's size: from one frame to the next nobody goes farther
MEMORY = 300  # frames after which a person who left is not the same person any more


def follow(bodies: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
    """Who is who: (T, M) the person in each slot of each frame, from 0; -1 for nobody.

    bodies: (T, M, V, 3), NaN where a joint is missing; numbers: (T, M) tracking numbers, or -1
    A body is the person of its tracking number. Others are matched to the people who are free so
    that the sum of distances is smallest; who is too far from all of them is somebody new.
    """
    present = is_there(bodies)  # (T, M)
    people = np.where(present, 0, -1)
    if numbers is None and bodies.shape[1] == 1:
        return people
    numbers = np.full_like(people, -1) if numbers is None else numbers
    seen: dict[int, tuple[int, int]] = {}  # for each person the last frame and slot
    by_number: dict[int, int] = {}  # {tracking number: person}
    for t, frame in enumerate(bodies):
        slots = np.flatnonzero(present[t]).tolist()
        found = {}  # {slot: person}
        for slot in slots:
            person = by_number.get(int(numbers[t, slot]))
            if person is not None and person not in found.values():
                found[slot] = person
        lost = [slot for slot in slots if slot not in found]
        free = [person for person, (last, _) in seen.items() if t - last <= MEMORY]
        free = [person for person in free if person not in found.values()]
        if lost and free:
            poses = np.stack([bodies[seen[person]] for person in free])
            found |= {lost[body]: free[pose] for body, pose in _nearest(frame[lost], poses)}
        for slot in slots:
            person = people[t, slot] = found.get(slot, len(seen))
            seen[person] = t, slot
            if numbers[t, slot] >= 0:
                by_number[int(numbers[t, slot])] = person
    return people


def _nearest(bodies: np.ndarray, poses: np.ndarray) -> list[tuple[int, int]]:
    # The pairs (body, pose) that are next to each other, of (n, V, 3) and (k, V, 3).
    away = mean_of_known(np.linalg.norm(bodies[:, None] - poses, axis=-1), axis=-1)  # (n, k)
    reach = REACH * np.linalg.norm(np.nanmax(bodies, 1) - np.nanmin(bodies, 1), axis=-1)
    away = np.nan_to_num(away / np.maximum(reach, 1e-9)[:, None], nan=np.inf)
    rows, columns = linear_sum_assignment(np.minimum(away, 1e6))
    return [(r, c) for r, c in zip(rows, columns, strict=True) if away[r, c] <= 1]
