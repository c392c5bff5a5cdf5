"""Map a store onto another skeleton, so that stores of several sensors serve one encoder."""

from dataclasses import replace

import numpy as np

from common import UserError
from data_gen.clip import bridged, map_joints
from feeder.skeletons import Layout, Skeleton, joint_map
from feeder.store import Store
from tools.formats.source import Source, rows_of


def open_mapped(store: Store, skeleton: Skeleton, name: str) -> Source:
    """The clips of a store with the joints of another skeleton, for a store of this name. New
    recordings are read as before, in the old skeleton, and mapped. Raises UserError if the store is
    mapped itself: they would be mapped in one step, which gives other joints than two.
    """
    recorded = store.description.reading.get("skeleton", store.skeleton.to_plain())
    if recorded != store.skeleton.to_plain():
        fault = f"the joints of {store.folder} are mapped already, from {recorded['name']}"
        raise UserError(f"{fault}; take the store that it was made from, or the recordings")
    joint_map(store.skeleton, skeleton)  # raises UserError if a joint has no counterpart
    description = replace(
        store.description,
        title=f"{store.title} ({skeleton.name})",
        layout=Layout(skeleton, store.layout.bodies),
        command=f"python -m tools.convert map {store.dataset} {name}",
        reading={"skeleton": store.skeleton.to_plain(), **store.description.reading},
    )
    frame_shape, own = description.layout.frame_shape, (description, rows_of(store))

    def read(row: int) -> np.ndarray:
        clip = map_clip(store.clip(row), store.skeleton, skeleton)
        return np.zeros((0, *frame_shape)) if clip is None else clip

    absent = f"the origin of {skeleton.name}"
    return Source(
        store.folder, "a store", store.label, read, frame_shape[:2], {}, own, absent=absent
    )


def map_clip(clip: np.ndarray, source: Skeleton, target: Skeleton) -> np.ndarray | None:
    """Map a prepared clip (T, M, V, 3) onto another skeleton, and move its origin to zero; None if
    no frame has it. A joint is missing, 0 0 0, if one of its sources is.
    """
    missing = ~clip.any(-1)  # (T, M, V)
    if len(source.origin) == 1:  # this joint of the main body is at zero
        missing[:, 0, source.origin[0]] = missing[:, 0].all(-1)
    joints = np.where(missing[..., None], np.nan, clip.astype(np.float64))
    mapped = map_joints(joints, source, target)
    origin = mapped[:, 0, list(target.origin)].mean(1)  # (T, 3)
    known = np.flatnonzero(~np.isnan(origin[:, 0]))
    if not len(known):
        return None
    return np.nan_to_num(mapped - bridged(origin, known)[:, None, None]).astype(np.float32)
