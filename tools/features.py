"""Encode recordings, or the clips of a store, without labels: features and names as .npz.

    python -m tools.features checkpoints/mine recordings --out features.npz

The file holds features (N, D) float32 and names (N,); of recordings also frames (N, 2): the first
frame of a window, from 0, and the first frame after it.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common import UserError, atomic, run
from feeder.store import open_folder
from tools.evaluation import encoders, features, flags, recordings


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a run, or a checkpoint")
    add("files", type=Path, nargs="+", metavar="FILE", help=f"{recordings.FILES}, or one store")
    add("--out", type=Path, required=True, metavar="FILE.npz", help="the file to write")
    add("--modalities", type=flags.modalities, help="what the encoder sees, as in joint,bone")
    recordings.add_flags(parser)
    args = parser.parse_args(argv)
    if args.out.suffix != ".npz":
        parser.error("--out must end in .npz")
    if args.fps and not any(str(span).endswith("s") for span in (args.window, args.stride)):
        parser.error("--fps is for --window or --stride in seconds")
    recordings.check_flags(parser, args)
    args.store = args.files[0] if (args.files[0] / "samples.csv").is_file() else None
    given = [name for name in ("unit", "axes", "channels", "window") if getattr(args, name)]
    if args.store and given:
        parser.error(f"--{given[0]} is for recordings, {args.store} is a store")
    if args.store and len(args.files) > 1:
        parser.error(f"{args.files[1]}: a store is encoded alone")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    loaded = encoders.load(args.run, device=encoders.best_device())
    encoder, streams, bad = loaded.encoder, [loaded.modalities_of(args.modalities)], []
    if args.store:
        store = open_folder(args.store)
        features.check_layout(loaded, store)
        (found,) = features.extract_features(encoder, store, np.arange(len(store.names)), streams)
        arrays = {"features": found.cpu().numpy(), "names": store.names}
    else:
        found, names, frames = [], [], []
        for path in tqdm(recordings.find(args.files), unit="recording", disable=None):
            done = recordings.encode(path, args, loaded.reading, encoder, streams)
            if done is None:
                bad.append(path.name)
                continue
            windows, (x,) = done
            found.append(x.cpu().numpy())
            frames += [(start, start + n) for start, n, is_seen in windows if is_seen]
            names += [str(path)] * len(x)
        if not found:
            raise UserError(f"no recording can be used: {', '.join(bad)}")
        arrays = {"features": np.concatenate(found), "names": names, "frames": frames}
    with atomic(args.out) as part, part.open("wb") as file:
        np.savez(file, **arrays)
    count, width = arrays["features"].shape
    print(f"{count} features of {width} numbers, written to {args.out}")
    if bad:
        raise UserError(f"{len(bad)} recordings are left out: {', '.join(bad)}")


if __name__ == "__main__":
    run(main)
