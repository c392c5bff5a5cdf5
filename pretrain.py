"""Pre-train an encoder without labels; write checkpoints and TensorBoard curves.

    python pretrain.py --pre-dataset ntu120 --protocol cross_subject --checkpoint-path checkpoints/x

One process uses one GPU, or the CPU. For all GPUs of a machine start it with torchrun, as
script_pretrain.sh does. The same command continues a run that was stopped or killed.
"""

import argparse
import math
import sys
from dataclasses import fields
from functools import partial
from pathlib import Path

import torch
import torch._dynamo
from torch import nn
from torch.distributed.elastic.multiprocessing.errors import record
from torch.nn.parallel import DistributedDataParallel as DDP

from common import UserError, flag, run
from feeder.augment import Strengths
from feeder.batches import TrainingBatches, largest_batch, resident_frames
from feeder.mixture import Mixture, clips_an_epoch, open_data
from feeder.store import Store
from net import MODALITIES
from net.distributed import at_least_float32, gather
from net.methods import DEFAULT, DEFAULT_ENCODER, ENCODERS, METHODS
from tools.training import checkpoint, distributed
from tools.training.distributed import AMP, Process, StopSignal, memory
from tools.training.log import TrainingLog
from tools.training.monitor import Monitor

# A recipe sets defaults; flags win. What each part is worth: docs/results.md.
RECIPES = {
    "umurl": {},  # as published
    "umurl_plus": {"method": "umurl_pair", "shortest_crop": 0.3, "fewest_frames": 8},
}
WEIGHTS = dict(pair for method in METHODS.values() for pair in method.weights.items())


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the flags. The defaults are the published settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    switch, unset = argparse.BooleanOptionalAction, argparse.SUPPRESS

    add = parser.add_argument_group("data").add_argument
    add("--data-root", default="data", help="folder of the stores")
    add("--pre-dataset", nargs="+", default=["ntu120"], help="store to train on, or several")
    add("--protocol", nargs="+", default=["cross_subject"], help="split: one, or one per store")
    add("--mix", nargs="*", type=float, default=[], help="share of each store in a batch")
    residency = "keep all frames on the GPU; auto: if they fill at most half of its free memory"
    add("--resident", choices=("auto", "on", "off"), default="auto", help=residency)
    add("--workers", type=int, default=4, help="threads that read batches ahead")

    add = parser.add_argument_group("model").add_argument
    recipe = f"other defaults: {RECIPES}. "
    recipe += "Gains on NW-UCLA and UI-PRMD; NTU was not tried: docs/results.md"
    add("--recipe", choices=RECIPES, default="umurl", help=recipe)
    add("--method", choices=METHODS, default=DEFAULT, help="model and loss, see net/methods.py")
    add("--encoder", choices=ENCODERS, default=DEFAULT_ENCODER, help="see net/methods.py")
    add("--hidden-size", type=int, default=1024, help="width of a token")
    add("--num-head", type=int, default=1, help="attention heads")
    add("--num-layer", type=int, default=1, help="transformer layers")
    add("--projector-width", type=int, default=4096, help="width of a projected feature")

    add = parser.add_argument_group("loss weights").add_argument
    for name, weight in WEIGHTS.items():
        add(flag(name), type=float, default=unset, help=f"(default: {weight})")

    add = parser.add_argument_group("augmentation").add_argument
    for field in fields(Strengths):
        kind = {"action": switch} if field.type is bool else {"type": field.type}
        add(flag(field.name), default=field.default, help=field.metadata["help"], **kind)

    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=int, default=451, help="epochs")
    add("--batch-size", type=int, default=1024, help="clips per step, over all GPUs")
    add("--lr", type=float, default=5e-4, help="learning rate of Adam")
    milestones = "milestones: epochs (from 0) where the lr drops tenfold (default: 351)"
    add("--schedule", nargs="*", type=int, default=unset, help=milestones)
    add("--warmup-epochs", type=int, default=0, help="epochs of linear warm-up")
    add("--cosine", action=switch, default=False, help="cosine decay to 0, without --schedule")
    add("--wd", type=float, default=1e-5, help="weight decay, an L2 term of the gradient")
    add("--seed", type=int, default=0, help="seed of weights, order and augmentation")
    add("--amp", choices=("auto", *AMP), default="auto", help="auto: bf16 or fp16, off on a CPU")
    add("--compile", action="store_true", help="torch.compile the model")

    add = parser.add_argument_group("run").add_argument
    add("--checkpoint-path", type=Path, default=Path("checkpoints/default"), help="folder")
    add("--resume", default="auto", help="a checkpoint to continue from; one in the folder wins")
    add("--resume-anyway", action="store_true", help="resume even if settings or data differ")
    add("--save-every", type=int, default=10, help="epochs between checkpoints")
    add("--keep", type=int, default=3, help="number of checkpoints to keep")
    add("--print-freq", type=int, default=20, help="steps between log entries")
    add("--monitor-every", type=int, default=10, help="epochs between quick k-NNs; 0: never")

    parser.set_defaults(**RECIPES[parser.parse_known_args(argv)[0].recipe])
    args = parser.parse_args(argv)
    check_args(parser, args)
    return args


def check_args(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what cannot work or has no effect; fill in the defaults that other flags decide."""
    weights = METHODS[args.method].weights
    for name in WEIGHTS:
        if name in args and name not in weights:
            parser.error(f"{flag(name)} is no weight of --method {args.method}: {[*weights]}")
    for name, weight in weights.items():
        setattr(args, name, getattr(args, name, weight))
    sizes = ("hidden_size", "num_head", "num_layer", "projector_width")
    for name in ("epochs", "save_every", "keep", "print_freq", *sizes):
        if getattr(args, name) < 1:
            parser.error(f"{flag(name)} must be at least 1")
    if args.batch_size < 2:
        parser.error("--batch-size must be at least 2, for batch statistics")
    if args.hidden_size % args.num_head:
        parser.error(f"--hidden-size must be a multiple of --num-head {args.num_head}")
    if args.cosine and "schedule" in args:
        parser.error("--schedule has no effect with --cosine")
    args.schedule = getattr(args, "schedule", [351])
    if args.mix and (len(args.mix) != len(args.pre_dataset) or min(args.mix) <= 0):
        parser.error(f"--mix needs a weight above 0 for each of {len(args.pre_dataset)} stores")
    args.pre_dataset, args.protocol = "/".join(args.pre_dataset), "/".join(args.protocol)


def learning_rate_factor(args: argparse.Namespace, done: int, steps: int) -> float:
    """The factor on the learning rate after `done` steps, with `steps` an epoch."""
    warmup = args.warmup_epochs * steps
    if args.cosine:
        progress = max(done - warmup, 0) / max(args.epochs * steps - warmup, 1)
        factor = (1 + math.cos(math.pi * progress)) / 2
    else:
        factor = 0.1 ** sum(done // steps >= milestone for milestone in args.schedule)
    return factor * (done + 1) / warmup if done < warmup else factor


def is_resident(args: argparse.Namespace, store: Store | Mixture, process: Process) -> bool:
    """Whether all frames stay on the device; on a CPU the file of a single store is mapped."""
    if process.device.type == "cpu":
        return isinstance(store, Store)
    free, _ = torch.cuda.mem_get_info(process.device)
    fits = {"on": True, "off": False, "auto": store.nbytes <= free // 2}[args.resident]
    return distributed.all_true(process, fits)


def main(argv: list[str] | None = None) -> None:
    """Train to the last epoch, or until SIGTERM or Ctrl-C; save a checkpoint in both cases."""
    args = parse_args(argv)
    process = distributed.start()
    device, world_size, is_main = process.device, process.world_size, process.is_main
    stop, folder = StopSignal(process), args.checkpoint_path
    code = checkpoint.code_facts()
    say = partial(print, flush=True) if is_main else lambda *_: None
    args.amp = distributed.precision(args.amp, device)
    amp = AMP[args.amp]

    # ---- data: every rank draws the same batch and loads its share of the clips
    method = METHODS[args.method]
    store = open_data(args.data_root, args.pre_dataset)
    rows, _ = store.split(args.protocol)
    drawn = clips_an_epoch(store.sizes(rows), args.mix)
    if min(len(rows), args.batch_size) < max(2, world_size):
        raise UserError(f"{len(rows)} training clips, --batch-size {args.batch_size}: too few")
    strengths = Strengths(**{f.name: getattr(args, f.name) for f in fields(Strengths)})
    batches = TrainingBatches(
        store,
        rows,
        args.batch_size,
        args.seed,
        device,
        frames=resident_frames(store, device) if is_resident(args, store, process) else None,
        workers=args.workers,
        rank=process.rank,
        world_size=world_size,
        weights=tuple(args.mix),
        strengths=strengths,
        views=method.views,
    )
    steps = len(batches)
    total = args.epochs * steps

    # ---- model and optimizer
    torch.manual_seed(args.seed)
    sizes = args.hidden_size, args.num_head, args.num_layer, args.projector_width
    model = method.model(*sizes, store.layout, ENCODERS[args.encoder]).to(device)
    optimizer = torch.optim.Adam(model.parameters(), args.lr, weight_decay=args.wd, fused=True)
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    loss = partial(method.loss, **{name: getattr(args, name) for name in method.weights})

    # ---- resume: from the newest whole checkpoint of the folder, at its step. Clips and draws of a
    # step depend on (seed, epoch, step) only, so the run goes on as if it had never stopped.
    done = 0
    facts = checkpoint.facts_of(args, store, clips=len(rows))
    same = (facts["settings"] | facts["data"]).items()
    distributed.require_same(process, {k: v for k, v in same if k not in checkpoint.LOCAL})
    saved = checkpoint.to_resume(args.resume, folder) if is_main else None
    if saved := distributed.from_rank_0(process, saved):
        defaults = vars(parse_args(["--method", args.method]))  # older code had fewer settings
        saved["settings"] = defaults | saved["settings"]
        checkpoint.refuse_other_run(saved, **facts, store=store, anyway=args.resume_anyway)
        checkpoint.load_weights(model, saved["model"], "the checkpoint")
        groups = optimizer.state_dict()["param_groups"]  # lr and wd are those of the flags
        optimizer.load_state_dict(saved["optimizer"] | {"param_groups": groups})
        if scaler.is_enabled() and saved["scaler"]:
            scaler.load_state_dict(saved["scaler"])
        done = saved["epoch"] * steps + min(saved["step"], steps)
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]

    network = torch.compile(model) if args.compile else model
    if world_size > 1:
        torch._dynamo.config.optimize_ddp = False  # it cannot split graphs at our collectives
        unused = method.modalities != MODALITIES  # weights of other modalities get no gradient
        network = DDP(network, gradient_as_bucket_view=True, find_unused_parameters=unused)

    def save() -> Path:
        epoch, step = divmod(done, steps)
        if is_main:
            parts = {"model": model, "optimizer": optimizer, "scaler": scaler}
            content = {name: part.state_dict() for name, part in parts.items()}
            content |= {"layout": store.layout.to_plain(), "code": code, "metrics": log.latest}
            content["preparation"] = store.preparation
            checkpoint.save(folder, content | facts | {"epoch": epoch, "step": step}, args.keep)
        return checkpoint.path_of(folder, epoch, step)

    # ---- the loop
    data = f"{args.pre_dataset} {args.protocol}: {'+'.join(map(str, drawn))} training clips"
    size = f"{steps} steps per epoch of at most {largest_batch(len(rows), args.batch_size)} clips"
    say(f"{data}, {size}, {world_size} x {device.type}, amp {args.amp}")
    if done >= total:
        say(f"{folder} is finished: {args.epochs} epochs are done")
        return distributed.stop()
    with (
        distributed.lock_folder(folder, process),
        TrainingLog(folder, store, total=total, done=done, is_main=is_main) as log,
    ):
        log.settings(**facts)
        monitor = Monitor(
            log.writer,
            store,
            rows,
            seed=args.seed,
            every=args.monitor_every,
            last=args.epochs,
            strengths=strengths,
            method=method,
        )
        if done == 0:
            monitor.write(0, done, model.encoder)
        for epoch in range(done // steps, args.epochs):
            log.start_clock()
            for batch in batches.epoch(epoch, first_step=done % steps):
                factor = learning_rate_factor(args, done, steps)
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * factor
                views = batch.views()  # (views, n, T, M, V, C), float32 also under AMP
                with torch.autocast(device.type, amp, enabled=amp is not None):
                    *projected, feature = network(views)  # each (..., n, D); (n, F)
                projected = [gather(z, batch.shares) for z in projected]  # each (..., N, D)
                terms = loss(*projected)  # of the N clips of all ranks

                optimizer.zero_grad()
                # DDP averages the ranks' gradients; that of the whole batch is their sum.
                scaler.scale(terms["total"] * world_size).backward()
                scaler.unscale_(optimizer)
                norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf)  # only measured
                scaler.step(optimizer)
                scaler.update()
                done += 1

                scalars = {f"loss/{name}": term.detach() for name, term in terms.items()}
                feature = at_least_float32(gather(feature.detach(), batch.shares))  # (N, F)
                scalars["features/std"] = feature.std(0, correction=0).mean()
                if scaler.is_enabled():  # the scaler skips a step that overflows
                    scalars["train/skipped"] = (~norm.isfinite()).float()
                    norm = norm.nan_to_num(posinf=0.0)
                log.add(epoch, batch.step, batch.rows, scalars | {"train/gradient_norm": norm})
                logging = done % args.print_freq == 0 or done % steps == 0
                # GPUs agree to stop only at steps where the host waits for them anyway.
                asking = logging or world_size == 1 or device.type == "cpu"
                stopping = asking and stop.on_any_rank()
                if logging or stopping:  # also raises if a number is not finite
                    log.write(learning_rate=optimizer.param_groups[0]["lr"], **memory(device))
                if stopping:
                    break
            if done % steps == 0:
                log.epoch_done(epoch + 1, args.epochs)
                monitor.write(epoch + 1, done, model.encoder)
            if stopping or epoch + 1 == args.epochs or (epoch + 1) % args.save_every == 0:
                path = save()
            if stopping:
                break
    distributed.stop()
    if stopping:
        say(f"stopped at step {done}; the same command continues from {path}")
        sys.exit(128 + stop.number)
    say(f"pre-training is done: {path}")
    if folder.resolve().parent == Path(__file__).resolve().parent / "checkpoints":
        say(f"next: ./script_action_recognition.sh {folder.name}")
        say(f"  or: ./script_action_retrieval.sh {folder.name}")
    else:  # where the scripts do not look
        say(f"next: python action_classification.py --checkpoint-path {folder}")
        say(f"  or: python action_retrieval.py --checkpoint-path {folder}")


if __name__ == "__main__":
    run(record(main))
