"""The ablation table: each part of the method taken away or changed, over seeds.

    python -m tools.ablation --seeds 3 --lr 5e-4 2e-3 --jobs 2
    python -m tools.ablation --variants no_intra no_inter --hidden-size 64 --epochs 30

Other flags than those below go to pretrain.py. The same command continues where it was stopped or
killed, and more variants, seeds or rates take what is there.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import torch
from tqdm import tqdm

import common
import pretrain
from data_gen.gendata import usable_cpus
from feeder.store import open_store
from tools.ablation import table
from tools.ablation.run import Run
from tools.ablation.variants import DEFAULT, VARIANTS
from tools.training.checkpoint import IDLE

COMMAND = [sys.executable, "-m", "tools.ablation.run"]
# Flags of pretrain.py before those of the user; they suit NW-UCLA.
USUAL = ["--pre-dataset", "nwucla", "--protocol", "cross_view", "--hidden-size", "128"]
USUAL += ["--batch-size", "128", "--epochs", "60", "--workers", "0", "--monitor-every", "0"]
USUAL += ["--keep", "1"]
OURS = {"--seed", "--checkpoint-path", "--resume", "--resume-anyway", "--mix", "--keep"}


def parse_args(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser("python -m tools.ablation", allow_abbrev=False)
    parser.description, parser.formatter_class = __doc__, argparse.RawDescriptionHelpFormatter
    add, titles = parser.add_argument, "; ".join(f"{k}: {v.title}" for k, v in VARIANTS.items())
    add("--variants", nargs="+", choices=VARIANTS, metavar="NAME", help=f"rows (all); {titles}")
    rates = "learning rates; a row has the best on held-out training subjects (pretrain.py's)"
    add("--lr", type=float, nargs="+", metavar="RATE", help=rates)
    add("--seeds", type=int, default=3, help="number of seeds, from 0 (3)")
    add("--evaluate-every", type=int, default=0, metavar="EPOCHS", help="also measure on the way")
    add("--jobs", type=int, help="processes (also for -1: one a GPU, without one a CPU)")
    add("--out", type=Path, help="folder (checkpoints/ablation_STORE_PROTOCOL)")
    add("--keep-checkpoints", action="store_true", help="of runs that are measured")
    args, given = parser.parse_known_args(argv)
    for flag in OURS & {word.split("=")[0] for word in given}:
        parser.error(f"{flag} is set by the ablation")
    _, base, same = flags_of(given, DEFAULT)
    if "/" in base["pre_dataset"]:
        parser.error("--pre-dataset: an ablation is on a single data set")
    if args.evaluate_every > base["epochs"]:
        parser.error(f"--evaluate-every {args.evaluate_every}: there are {base['epochs']} epochs")
    chosen = args.variants or [*VARIANTS]
    if not args.variants and has_schedule(given):
        chosen.remove("cosine")  # pretrain.py refuses both
    rows = [v for v in chosen if VARIANTS[v].encoders or flags_of(given, v)[2] != same]
    if args.variants and (idle := {*chosen} - {*rows, DEFAULT}):
        parser.error(f"--variants {' '.join(idle)}: the default has these settings already")
    args.variants = rows
    return args, given


def has_schedule(given: list[str]) -> bool:
    return any(word.startswith("--schedule") for word in given)  # or --schedule=40


def flags_of(given: list[str], variant: str, *more: str) -> tuple[list[str], dict, dict]:
    """The flags of pretrain.py for a variant, the settings that they make, and those of them that
    decide the result and are no defaults of pretrain.py.
    """
    flags = [*USUAL, *given, *VARIANTS[variant].flags.split(), *more]
    settings = vars(pretrain.parse_args(flags))
    if not settings["cosine"] and not has_schedule(given):
        settings["schedule"] = [settings["epochs"] * 351 // 451]  # as published, in proportion
        flags += ["--schedule", str(settings["schedule"][0])]
    usual = pretrain.WEIGHTS | vars(pretrain.parse_args([]))
    count = {k: v for k, v in settings.items() if k not in IDLE and v != usual.get(k)}
    return flags, settings | {"checkpoint_path": ""}, count


def plan(args: argparse.Namespace, given: list[str]) -> list[Run]:
    """All runs, those that take the encoders of other runs last; also sets `args.out`."""
    _, base, _ = flags_of(given, DEFAULT)
    store = open_store(base["data_root"], base["pre_dataset"])
    store.require_split(base["protocol"])
    args.out = args.out or Path("checkpoints") / f"ablation_{store.dataset}_{base['protocol']}"
    needed = {DEFAULT, *args.variants, *(e for v in args.variants for e in VARIANTS[v].encoders)}
    names = sorted(filter(needed.__contains__, VARIANTS), key=lambda v: bool(VARIANTS[v].encoders))
    rates, every = sorted(set(args.lr or [base["lr"]])), args.evaluate_every
    runs: dict[tuple, Run] = {}
    for name, lr, seed in product(names, rates, range(args.seeds)):
        flags, settings, facts = flags_of(given, name, "--lr", str(lr), "--seed", str(seed))
        encoders = [runs[other, lr, seed]["folder"] for other in VARIANTS[name].encoders]
        facts["every"] = every
        if encoders:
            taken = [Path(folder).name for folder in encoders]
            facts = {"encoders": taken, "streams": VARIANTS[name].streams}
        if store.preparation["reading"]:  # own recordings
            facts["reading"] = store.preparation["reading"]
        facts = json.dumps({"data": store.fingerprint, **facts}, sort_keys=True)
        digest = hashlib.sha256(facts.encode()).hexdigest()[:8]
        folder = str(args.out / "runs" / f"{name}_lr{lr:g}_seed{seed}_{digest}")
        flags += ["--checkpoint-path", folder]
        if every:
            # Each stop adds a checkpoint within an epoch.
            flags += ["--save-every", str(every), "--keep", str(2 * base["epochs"])]
        runs[name, lr, seed] = {
            "variant": name,
            "lr": lr,
            "seed": seed,
            "folder": folder,
            "flags": flags,
            "settings": settings,
            "encoders": encoders,
            "every": every,
        }
    return list(runs.values())


def perform_all(todo: list[Run], places: list[str], keep: bool) -> Iterator[tuple[Run, str]]:
    """Do each run in a process on a free place; yields it, and why it failed, or ""."""
    running, free = {}, places.copy()  # running: {process: (run, place)}
    try:
        for taking in (False, True):  # runs that take the encoders of others come last
            waiting = [run for run in todo if bool(run["encoders"]) == taking]
            while waiting or running:
                while waiting and free:
                    run, place = waiting.pop(0), free.pop(0)
                    running[start(run, place, keep)] = run, place
                time.sleep(0.1)
                for process in [one for one in running if one.poll() is not None]:
                    run, place = running.pop(process)
                    free.append(place)
                    log = Path(run["folder"]) / "log.txt"
                    last = log.read_text().strip().rpartition("\n")[2]
                    yield run, f"{last} ({log})" if process.returncode else ""
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def start(run: Run, place: str, keep: bool) -> subprocess.Popen:
    """Start the process of a run, on the GPU that `place` names; without one it has one thread."""
    folder = Path(run["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": place}
    environment |= {} if place else {"OMP_NUM_THREADS": "1"}
    command = [*COMMAND, json.dumps(run), *["--keep"] * keep]
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def places_of(jobs: int | None) -> list[str]:
    """For each process its GPU, as CUDA_VISIBLE_DEVICES names it, in turn; "" without a GPU."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    gpus = [shown[i] if shown[0] else str(i) for i in range(torch.cuda.device_count())]
    jobs = jobs if jobs and jobs > 0 else len(gpus) or usable_cpus()
    return [gpus[job % len(gpus)] if gpus else "" for job in range(jobs)]


def results(runs: list[Run]) -> list[table.Result]:
    paths = [Path(run["folder"]) / "result.json" for run in runs]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def main(argv: Sequence[str] | None = None) -> None:
    args, given = parse_args(argv)
    runs = plan(args, given)
    todo = [run for run in runs if not (Path(run["folder"]) / "result.json").exists()]
    before = len(runs) - len(todo)
    print(f"{len(runs)} runs, {before} of them done before; in {args.out}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the processes, as Ctrl-C does
    failed = 0
    performed = perform_all(todo, places_of(args.jobs), args.keep_checkpoints)
    for run, fault in tqdm(performed, total=len(todo), unit="run", disable=None):
        if fault:
            failed += 1
            tqdm.write(f"error: {Path(run['folder']).name}: {fault}", file=sys.stderr)
        else:
            table.write(results(runs), args.out)
    done = results(runs)
    if not done:
        raise common.UserError(f"no run was done, {failed} failed")
    table.write(done, args.out)
    print(table.text(done))
    print(f"written to {args.out / 'table.md'}; beside it table.csv, runs.csv, differences.png")
    if failed:
        raise common.UserError(f"{failed} runs failed; the table holds the others")
    print(f"next, with more seeds: the same command with --seeds {args.seeds + 2}")


if __name__ == "__main__":
    common.run(main)
