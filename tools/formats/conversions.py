"""From what other repositories have made to runs and stores of this one, and back.

Each function writes its target, which must not be there yet, whole or not at all, and returns what
to tell the user. They raise UserError, StoreError or OSError, one line each.
"""

from pathlib import Path

from data_gen.datasets.ntu import DATASETS
from data_gen.preparing import commands
from data_gen.preparing.files import whole_folder
from data_gen.preparing.store import StoreError as WriteError
from data_gen.preparing.store import StoreWriter
from feeder.store import open_store
from tools.cli import UserError
from tools.formats import checkpoint
from tools.formats.arrays import export_arrays, import_arrays
from tools.formats.published import from_published, to_published


def published_to_run(source: Path, target: Path, num_head: int, settings: dict[str, str]) -> str:
    """Write the folder of a run, which holds a published checkpoint as ours.

    num_head: attention heads; settings: `data_root`, `pre_dataset` and `protocol` of its
    pre-training, which the published file does not tell.
    """
    saved = from_published(source, num_head, settings)
    path = checkpoint.save(target, saved)
    return (
        f"written to {path}\nnext: {commands.evaluation('recognition', target)}\n"
        f"or: {commands.evaluation('retrieval', target)}"
    )


def run_to_published(source: Path, target: Path) -> str:
    """Write the published form of a checkpoint, or of the newest one in a run's folder."""
    path = checkpoint.newest(source) if source.is_dir() else source
    saved = to_published(checkpoint.load(path), path)
    checkpoint.write(target, saved)
    return f"{path} written to {target}"


def arrays_to_store(source: Path, target: Path) -> str:
    """Write a packed store with the clips of both parts of padded arrays."""
    if target.name not in DATASETS:
        raise UserError(f"{target}: a store's folder is called {' or '.join(DATASETS)}")
    try:
        with StoreWriter(target, DATASETS[target.name]) as store:
            import_arrays(source, store)
            store.commit()
    except WriteError as error:
        raise UserError(str(error)) from None
    return (
        f"{store.clips} clips, {store.frames} frames written to {target}\n"
        f"next: {commands.pretraining(target, 'cross_subject')}"
    )


def store_to_arrays(source: Path, target: Path, protocol: str) -> str:
    """Write a store as padded arrays of one protocol; the folder is whole or absent."""
    store = open_store(source.resolve().parent, source.resolve().name)
    with whole_folder(target) as folder:
        export_arrays(store, protocol, folder)
    return f"{source} {protocol} written to {target}"
