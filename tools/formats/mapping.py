"""Map a store onto another skeleton, so that stores of several sensors serve one encoder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common import UserError
from data_gen.clip import bridged, map_joints
from data_gen.gendata import Report
from data_gen.writer import StoreWriter
from feeder.description import FIELDS
from feeder.skeletons import Layout, Skeleton
from feeder.store import Store


def map_store(store: Store, skeleton: Skeleton, target: Path, report: Report) -> StoreWriter:
    """Write a store with the joints of another skeleton; clips that never show its origin go to
    the report. New recordings are read as before, in the old skeleton, and mapped.
    """
    description = replace(
        store.description,
        title=f"{store.title} ({skeleton.name})",
        layout=Layout(skeleton, store.layout.bodies),
        command=f"python -m tools.convert map {store.dataset} {target.name}",
        reading={"skeleton": store.skeleton.to_plain(), **store.description.reading},
    )
    fields = np.stack([getattr(store, field) for field in FIELDS], axis=1).tolist()
    more = [store.more[column].tolist() for column in description.more_columns]
    with StoreWriter(target, description) as writer:
        for row, name in enumerate(tqdm(store.names, unit="clip", disable=None)):
            clip = map_clip(store.clip(row), store.skeleton, skeleton)
            if clip is None:
                report.note(f"left out, without the origin of {skeleton.name}", name)
            else:
                writer.add(name, tuple(fields[row]), clip, tuple(column[row] for column in more))
        report.print()
        if not writer.clips:
            raise UserError(f"{store.folder}: no clip shows the origin of {skeleton.name}")
        writer.commit()
    return writer


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
