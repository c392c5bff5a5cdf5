"""The ablation table: each part of the method taken away or changed, over seeds.

    python -m tools.ablation --seeds 3 --lr 5e-4 2e-3 --jobs 2
    python -m tools.ablation --variants no_intra no_inter --seeds 5

Each run is a folder of its own; the same command goes on where it was stopped or killed, and more
variants, seeds or learning rates take what is there.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_gen.preparing.commands import ROOT, command
from data_gen.preparing.parallel import usable_cpus
from feeder.augment import Strengths
from tools import cli
from tools.ablation import plan
from tools.ablation.plan import Plan, Run
from tools.ablation.variants import VARIANTS, with_needed
from tools.evaluation.saved_results import read_json
from tools.training import records
from tools.training.settings import Settings

# The settings of pre-training that are flags here; the others are told by the plan.
NAMES = {*records.names(Settings), *records.names(Strengths)} - {
    *("lr", "seed", "checkpoint_path", "resume", "resume_anyway", "keep", "mix")
}


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    told = "; ".join(f"{name}: {variant.title}" for name, variant in VARIANTS.items())
    count = cli.whole_number(1)
    group = parser.add_argument_group("what is run")
    group.add_argument("--variants", nargs="+", choices=VARIANTS, metavar="NAME",
                       help="rows of the table (all that change something here): " + told)
    group.add_argument("--seeds", type=count, default=3, help="how many, from 0 (default: 3)")
    group.add_argument("--lr", type=cli.positive, nargs="+", metavar="RATE",
                       help="learning rates; a row has the one that is best on held-out training "
                       "subjects (the published one, or the recipe's)")
    group.add_argument("--evaluate-every", type=cli.whole_number(0), default=0, metavar="EPOCHS",
                       help="measure also every so many epochs; 0: after the last one (default: 0)")
    group.add_argument("--jobs", type=count,
                       help="runs at once, on a CPU with one thread each (on a GPU 1, else as many "
                       f"as there are CPUs: {usable_cpus()})")
    group.add_argument("--out", type=cli.path,
                       help="folder of runs and table (checkpoints/ablation_STORE_PROTOCOL)")
    group.add_argument("--keep-checkpoints", action="store_true",
                       help="else a run's are removed when it is measured; its features stay")
    records.add_flags(parser, Settings, Strengths, only=NAMES, usual=plan.USUAL)
    args = parser.parse_args(argv)
    try:
        for name in args.variants or VARIANTS:
            plan.settings_of(name, plan.base_of(given(args)))
    except ValueError as error:
        parser.error(str(error))
    if len(getattr(args, "pre_dataset", [])) > 1:
        parser.error("--pre-dataset: an ablation is on a single data set")
    return args
# fmt: on


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of pre-training among the flags, by their names."""
    return {name: value for name, value in vars(args).items() if name in NAMES}


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    import torch  # once the flags are right

    planned = plan_of(args)
    jobs = args.jobs or (1 if torch.cuda.is_available() else usable_cpus())
    failed = run_all(planned.runs(), jobs, planned.out)
    publish(results_of(planned.runs()), planned.out)
    words = [*(sys.argv[1:] if argv is None else argv), "--seeds", str(args.seeds + 2)]
    if Path.cwd() != ROOT:  # where the next command begins
        words += ["--out", planned.out, "--data-root", Path(planned.base.get("data_root", "data"))]
    print(f"next, with more seeds: {command('tools.ablation', *words)}")
    if failed:
        raise cli.UserError(f"{failed} runs failed; the table holds the others")


def run_all(runs: list[Run], jobs: int, out: Path) -> int:
    """Do the runs that are not done yet; returns how many failed.

    The table is written anew after each run.
    """
    from tools.ablation import processes, table

    todo, failed = [run for run in runs if not run.result.exists()], []
    cli.say(f"{len(runs)} runs, {len(runs) - len(todo)} of them done before; in {out}")
    with tqdm(total=len(runs), initial=len(runs) - len(todo), unit="run", disable=None) as bar:

        def ended(run: Run, fault: str | None) -> None:
            bar.clear()
            if fault:
                failed.append(run)
                cli.complain(f"{run}: {fault}")
            else:
                done = results_of(runs)
                table.write(table.rows(done), done, out)
                cli.say(f"{run}: {table.summary(read_json(run.result))}")
            bar.update()

        try:
            processes.perform_all(todo, jobs, ended)
        except KeyboardInterrupt:
            cli.say(f"stopped; the same command goes on with what is in {out}")
            raise
    return len(failed)


def results_of(runs: list[Run]) -> list[dict[str, Any]]:
    """The results of the runs that are done."""
    return [read_json(run.result) for run in runs if run.result.exists()]


def publish(results: list[dict[str, Any]], out: Path) -> None:
    """Write, print and draw the table; draw the figures over steps where there are any."""
    from tools.ablation import pictures, table
    from tools.drawing import figures

    if not results:
        raise cli.UserError("no run was done")
    rows = table.rows(results)
    table.write(rows, results, out)
    drawn = {}
    if compared := [row for row in rows if row.differences]:
        drawn["differences"] = pictures.differences(compared)
    if measured := [result for result in results if result["curve"]]:
        there = {result["variant"] for result in measured}
        drawn["curves"] = pictures.curves(measured, [row for row in rows if row.variant in there])
    for name, figure in drawn.items():
        for suffix in (".png", ".svg"):
            figures.save(figure, out / f"{name}{suffix}", dpi=150)
    print("\n".join([table.heading(results), "", *table.lines(rows)]))
    names = ["table.csv", "runs.csv", *(f"{name}.png" for name in drawn)]
    print(f"written to {out / 'table.md'}; beside it {', '.join(names)}")


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan that the flags ask for.

    Raises StoreError or UserError, in one line, where it cannot be done.
    """
    import torch

    from feeder.store import open_store
    from tools.training import facts
    from tools.training.distributed import Process

    base = plan.base_of(given(args))
    settings = plan.settings_of("default", base)
    store = open_store(settings.data_root, settings.pre_dataset)
    train, _ = store.split(settings.protocol)
    asked = args.variants or list(VARIANTS)
    for name in asked:
        facts.check(plan.settings_of(name, base), (len(train),), Process(0, 1, torch.device("cpu")))
    same = plan.unchanged(asked, base)
    for name in same if args.variants else ():
        cli.say(f"note: {name} is the default with these settings, so it is left out")
    names = with_needed([name for name in asked if name not in same])
    out = args.out or Path("checkpoints") / f"ablation_{store.dataset}_{settings.protocol}"
    rates = sorted(set(args.lr or [settings.lr]))
    seeds = range(args.seeds)
    return Plan(
        *(names, base, rates, seeds, out, store.fingerprint),
        every=args.evaluate_every,
        keep=args.keep_checkpoints,
    )


if __name__ == "__main__":
    cli.run(main)
