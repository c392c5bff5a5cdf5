"""Pre-train UmURL without labels: a store in, checkpoints and TensorBoard scalars out.

    python pretrain.py --pre-dataset ntu60 --protocol cross_subject --checkpoint-path checkpoints/x

On several GPUs torchrun starts one process each (see script_pretrain.sh); a CPU needs no other
command.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from feeder.batches import Batch, TrainingBatches, resident_frames
from feeder.store import Store, open_store
from net.baseline import Baseline
from net.losses import baseline_loss, umurl_loss
from net.precision import at_least_float32
from net.umurl import UmURL
from tools import cli
from tools.formats import checkpoint
from tools.training import distributed, resume
from tools.training.distributed import Process, StopSignal
from tools.training.logs import TrainingLog, describe
from tools.training.lost import together
from tools.training.monitor import Monitor

METHODS = {"umurl": (UmURL, umurl_loss), "baseline": (Baseline, baseline_loss)}


# fmt: off
def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    count, index, size = cli.whole_number(1), cli.whole_number(0), cli.whole_number(1, 2**16)

    data = parser.add_argument_group("data")
    data.add_argument("--data-root", default="data", help="folder that holds the stores")
    data.add_argument("--pre-dataset", default="ntu120", metavar="STORE",
                      help="the store to train on, by its name")
    data.add_argument("--protocol", default="cross_subject",
                      help="its split: cross_subject, cross_view, cross_setup or another it has")
    data.add_argument("--resident", choices=("auto", "on", "off"), default="auto",
                      help="keep all frames on the GPU; auto: if they fill at most half of it")
    data.add_argument("--workers", type=index, default=4, help="threads that read ahead")

    model = parser.add_argument_group("model")
    model.add_argument("--method", choices=METHODS, default="umurl",
                       help="baseline: two fused views and one projector, to compare with")
    model.add_argument("--hidden-size", type=size, default=1024, help="width of a token")
    model.add_argument("--num-head", type=size, default=1, help="attention heads")
    model.add_argument("--num-layer", type=size, default=1, help="transformer layers")
    model.add_argument("--projector-width", type=size, default=4096, help="projectors' outputs")

    training = parser.add_argument_group("training")
    training.add_argument("--epochs", type=count, default=451, help="times each clip is seen")
    training.add_argument("--batch-size", type=count, default=1024, help="clips on all GPUs")
    training.add_argument("--lr", type=cli.positive, default=5e-4, help="learning rate of Adam")
    training.add_argument("--schedule", type=index, nargs="*", default=[351],
                          help="epochs, from 0, from which the learning rate is a tenth")
    training.add_argument("--wd", type=cli.not_negative, default=1e-5, help="L2 weight decay")
    training.add_argument("--seed", type=index, default=0, help="of weights, order, augmentation")
    training.add_argument("--amp", choices=("auto", "bf16", "fp16", "off"), default="auto",
                          help="mixed precision; auto: bf16 or fp16 on a GPU, off on a CPU")
    training.add_argument("--compile", action="store_true", help="use torch.compile")

    run = parser.add_argument_group("run")
    run.add_argument("--checkpoint-path", type=Path, default="checkpoints/default",
                     help="folder of the run: checkpoints and TensorBoard events")
    run.add_argument("--resume", default="auto",
                     help="checkpoint to begin with; auto, and in a folder that holds some: "
                     "go on from its newest whole one")
    run.add_argument("--resume-anyway", action="store_true",
                     help="go on though settings or data are not those of the checkpoint")
    run.add_argument("--save-every", type=count, default=10, help="epochs between checkpoints")
    run.add_argument("--keep", type=count, default=3, help="how many checkpoints to keep")
    run.add_argument("--print-freq", type=count, default=20, help="steps between log entries")
    run.add_argument("--monitor-every", type=index, default=10,
                     help="epochs between pictures of views and a quick k-NN; 0: never")
    return parser.parse_args()
# fmt: on


AMP = {"bf16": torch.bfloat16, "fp16": torch.float16, "off": None}  # the network's arithmetic
# Settings that may differ from machine to machine of a run.
LOCAL = {"data_root", "resident", "workers", "checkpoint_path", "resume", "resume_anyway"}
# Settings that may change when a run goes on; any other would change its result.
FREE = LOCAL | {"epochs", "compile", "save_every", "keep", "print_freq", "monitor_every"}


def main() -> None:
    args = parse_args()
    process = distributed.start()
    args.amp = precision(args.amp, process.device)
    with together(process) as stop:
        find_store = partial(open_store, args.data_root, args.pre_dataset)
        store = distributed.everywhere(process, find_store)
        rows, _ = store.split(args.protocol)
        check(args, rows, process)
        facts = about(args, store, rows)
        alike = {k: v for k, v in facts["settings"].items() if k not in LOCAL} | facts["data"]
        distributed.require_alike(process, alike)
        find = partial(resume.to_resume, args.resume, args.checkpoint_path)
        if saved := distributed.from_main(process, find):
            resume.refuse_other_run(saved, facts, free=FREE, anyway=args.resume_anyway)
        with distributed.claim(args.checkpoint_path, process):
            finished = pretrain(args, process, stop, store, rows, facts, saved)
    distributed.stop()
    if not finished:
        sys.exit(128 + signal.SIGTERM)


def pretrain(
    args: argparse.Namespace,
    process: Process,
    stop: StopSignal,
    store: Store,
    rows: np.ndarray,
    facts: dict[str, dict],
    saved: dict | None,
) -> bool:
    """Train to the end, or until SIGTERM (returns False); both leave a checkpoint.

    facts: as `about` gives them, for the checkpoints; saved: the checkpoint to go on from.
    """
    device, folder = process.device, args.checkpoint_path

    # ---- data
    frames = resident_frames(store, device) if is_resident(args, store, device) else None
    batches = TrainingBatches(
        *(store, rows, args.batch_size, args.seed, device, frames, args.workers),
        rank=process.rank,
        world_size=process.world_size,
    )
    steps = len(batches)  # of an epoch

    # ---- model
    torch.manual_seed(args.seed)
    build, loss = METHODS[args.method]
    model = build(args.hidden_size, args.num_head, args.num_layer, args.projector_width).to(device)
    optimizer = torch.optim.Adam(model.parameters(), args.lr, weight_decay=args.wd, fused=True)
    amp = AMP[args.amp]
    scaler = torch.amp.GradScaler(device.type, enabled=amp is torch.float16)
    state = {"model": model, "optimizer": optimizer, "scaler": scaler}

    # ---- where to begin
    done = 0  # steps, over all epochs
    if saved:
        resume.restore(saved, **state)
        done = saved["epoch"] * steps + min(saved["step"], steps)
    if done >= args.epochs * steps:
        cli.say(f"{folder} is finished: {args.epochs} epochs are done\n{what_next(folder)}")
        return True
    cli.say(
        f"{store.folder} {args.protocol}: {len(rows)} training clips, {steps} steps an epoch, "
        f"{process.world_size} x {device.type}, {amp or torch.float32}"
    )

    # ---- training
    network = distributed.parallel(model, process)
    network = torch.compile(network) if args.compile else network
    with TrainingLog(folder, args.epochs * steps, done, is_main=process.is_main) as log:
        monitor = Monitor(log.writer, store, rows, args)
        monitor.settings(facts, done + 1)
        if done == 0:
            monitor.look(0, done, model.encoder)
        for epoch in range(done // steps, args.epochs):
            rate = learning_rate(args, epoch)
            for batch in batches.epoch(epoch, first_step=done % steps):
                scalars = training_step(network, batch, optimizer, scaler, amp, rate, process, loss)
                done += 1
                where = partial(describe, store, batch.rows, epoch, batch.step)
                log.add(scalars, sum(batch.shares), where)
                logging = done % args.print_freq == 0 or done % steps == 0
                if logging:
                    log.write({"train/learning_rate": rate, **memory(device)})
                if stop.received(ask_ranks=logging):
                    break
            if done % steps == 0:  # before it is saved, lest a restart miss it
                log.epoch_done(epoch + 1, args.epochs)
                monitor.look(epoch + 1, done, model.encoder)
            if stop.seen or epoch + 1 == args.epochs or (epoch + 1) % args.save_every == 0:
                log.write({"train/learning_rate": rate})  # finds numbers that broke meanwhile
                at = dict(zip(("epoch", "step"), divmod(done, steps), strict=True))
                path = checkpoint.path_of(folder, **at)
                if process.is_main:
                    log.flush()
                    parts = {name: part.state_dict() for name, part in state.items()}
                    checkpoint.save(folder, at | parts | facts | {"metrics": log.latest}, args.keep)
            if stop.seen:
                cli.say(f"stopped by SIGTERM at step {done}; the same command goes on from {path}")
                return False
    cli.say(f"pre-training is done: {path}\n{what_next(folder)}")
    return True


def training_step(
    network: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    amp: torch.dtype | None,
    rate: float,
    process: Process,
    loss: Callable[[Tensor, Tensor], dict[str, Tensor]] = umurl_loss,
) -> dict[str, Tensor]:
    """One step of Adam; returns its scalars, still on the device."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast(process.device.type, amp, enabled=amp is not None):
        own, fused, feature = network(batch.views())  # of the baseline: first, second, feature
    gather = partial(distributed.gather_rows, shares=batch.shares, rank=process.rank)
    own, fused = (gather(z.transpose(0, 1)).transpose(0, 1) for z in (own, fused))
    feature = gather(feature.detach())
    terms = loss(own, fused)

    optimizer.zero_grad()
    scaler.scale(terms["total"]).backward()
    scaler.unscale_(optimizer)
    norms = [torch.linalg.vector_norm(p.grad) for p in network.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    scaler.step(optimizer)
    scaler.update()

    scalars = {f"loss/{name}": term.detach() for name, term in terms.items()}
    scalars["features/std"] = at_least_float32(feature).std(0, correction=0).mean()
    scalars["train/gradient_norm"] = norm
    if scaler.is_enabled():
        # Under fp16 an overflow is no fault: the scaler skips the step and lowers its scale.
        scalars["train/gradient_norm"] = norm.nan_to_num(posinf=0.0)
        scalars["train/skipped"] = (~norm.isfinite()).float()
    return scalars


def check(args: argparse.Namespace, rows: np.ndarray, process: Process) -> None:
    """Refuse settings that cannot work before anything is written."""
    if args.batch_size % process.world_size:
        raise cli.UserError(
            f"--batch-size {args.batch_size} cannot be divided by {process.world_size} ranks"
        )
    if args.hidden_size % args.num_head:
        raise cli.UserError(
            f"--hidden-size {args.hidden_size} cannot be divided by --num-head {args.num_head}"
        )
    if args.amp == "fp16" and process.device.type == "cpu":
        raise cli.UserError("--amp fp16 needs a GPU; take auto, bf16 or off")
    if len(rows) < 2:
        raise cli.UserError(f"{len(rows)} training clips are too few for batch statistics")


def is_resident(args: argparse.Namespace, store: Store, device: torch.device) -> bool:
    """Whether all frames stay on the device. On a CPU they do: mapped from disk, read as needed."""
    if device.type == "cpu" or args.resident != "auto":
        return device.type == "cpu" or args.resident == "on"
    free, _ = torch.cuda.mem_get_info(device)
    return store.joints.nbytes <= free // 2


def precision(choice: str, device: torch.device) -> str:
    """What --amp means on a device: bf16, fp16 or off."""
    if choice != "auto":
        return choice
    if device.type == "cpu":
        return "off"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


def learning_rate(args: argparse.Namespace, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0."""
    return args.lr * 0.1 ** sum(epoch >= milestone for milestone in args.schedule)


def memory(device: torch.device) -> dict[str, float]:
    """Peak GPU memory in GiB, where there is a GPU."""
    if device.type == "cpu":
        return {}
    return {"train/gpu_memory_gib": torch.cuda.max_memory_allocated(device) / 2**30}


def about(args: argparse.Namespace, store: Store, rows: np.ndarray) -> dict[str, dict]:
    """Settings and a fingerprint of the data, for the checkpoints."""
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    data = {
        "clips": len(store.names),
        "frames": len(store.joints),
        "protocol": args.protocol,
        "training clips": len(rows),
        "samples.csv sha256": store.fingerprint,
    }
    return {"settings": settings, "data": data}


def what_next(folder: Path) -> str:
    """What a user does with a finished run."""
    return (
        f"next: ./script_action_recognition.sh {folder.name} and "
        f"./script_action_retrieval.sh {folder.name}; curves: tensorboard --logdir {folder}"
    )


if __name__ == "__main__":
    cli.run(main, lower="--batch-size or the model's sizes")
