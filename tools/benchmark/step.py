"""Time of training steps: beside the literal step and the matrix products, and in training."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from feeder.batches import VIEWS, TrainingBatches, resident_frames
from feeder.datasets.ntu import DATASETS
from feeder.skeletons import NTU
from net.losses import umurl_loss
from net.modalities import FRAMES
from net.umurl import UmURL
from tools.benchmark import inputs, products
from tools.benchmark.measure import Row, take_turns
from tools.benchmark.sizes import Size
from tools.training.distributed import Process
from tools.training.step import Training, training_step

EPOCHS = 451  # of the published protocols
BATCH = {"ntu60 cross_subject": 512}  # of the published protocols; the others take 1024
READERS = 4  # threads that read ahead in streamed training, as pretrain.py does by default


class Given(NamedTuple):
    """A batch whose views were made before; stands in for `feeder.batches.Batch`."""

    given: Tensor  # (VIEWS, n, T, M, V, C)
    shares: list[int]

    def views(self) -> Tensor:
        """(VIEWS, n, T, M, V, C)."""
        return self.given


def measure(size: Size, device: torch.device, scratch: Path, data_path: Path | None) -> list[Row]:
    """Measure the step of each model, then training from a store."""
    rows = [beside(hidden, batch, size, device) for hidden, batch in size.models]
    store = inputs.random_store(scratch / "training", size.store)
    for batch in size.batches:
        for compiled in size.compiled:
            rows.append(training(store, batch, compiled, size, device))
    return rows


def random_views(batch: int, device: torch.device, views: int = VIEWS) -> Tensor:
    """Views of a batch of clips, random numbers: (views, n, T, M, V, C)."""
    return torch.randn(views, batch, FRAMES, *NTU.frame_shape, device=device)


def stepper(
    model: nn.Module,
    process: Process,
    amp: torch.dtype | None,
    network: nn.Module | None = None,
    loss: Callable[..., dict[str, Tensor]] = umurl_loss,
) -> Callable[[Given], None]:
    """Make a call that does one step of pretrain.py on a batch.

    amp: type of the network's arithmetic; None for float32.
    network: the model as it is run (compiled, or wrapped in DDP), by default the model itself.
    loss: of the model's outputs.
    """
    optimizer = torch.optim.Adam(model.parameters(), 5e-4, weight_decay=1e-5, fused=True)
    scaler = torch.amp.GradScaler(process.device.type, enabled=False)
    network = model if network is None else network
    training = Training(network, loss, optimizer, scaler, amp, process)
    return lambda batch: training_step(training, batch, 5e-4)


def matrix_rate(rows: int, device: torch.device, dtype: torch.dtype, repeats: int) -> float:
    """Operations a second of a product of two square matrices with `rows` rows."""
    a, b = (torch.randn(rows, rows, device=device, dtype=dtype) for _ in range(2))
    timing = take_turns({"product": lambda: a @ b}, max(repeats, 3), device)["product"]
    return 2 * rows**3 / timing.seconds


def beside(hidden: int, batch: int, size: Size, device: torch.device) -> Row:
    """Measure a float32 step, the literal step, and the matrix products alone."""
    theirs = inputs.literal("model")
    views = random_views(batch, device)
    model = UmURL(hidden, projector_width=size.width).to(device)
    copy = theirs.UmURL(hidden, width=size.width).to(device)
    optimizer = theirs.adam(copy)
    literal_views = [inputs.literal_view(view) for view in views]
    step, given = stepper(model, Process(0, 1, device), None), Given(views, [batch])
    needed = products.of_step(hidden, batch, size.width)
    times = take_turns(
        {
            "ours": lambda: step(given),
            "products": products.runner(needed, device, torch.float32),
            "literal": lambda: theirs.train_step(copy, optimizer, literal_views),
        },
        size.repeats,
        device,
    )
    facts = {
        "products_seconds": times["products"].seconds,
        "times_products": times["ours"].seconds / times["products"].seconds,
        "gflop": products.operations(needed) / 1e9,
    }
    case = f"hidden {hidden}, batch {batch}, float32"
    return Row("step", case, batch, times["ours"], times["literal"], facts)


def training(store, batch: int, compiled: bool, size: Size, device: torch.device) -> Row:
    """Measure training from a store: frames on the device, frames streamed, and no input at all."""
    amp = torch.bfloat16 if device.type == "cuda" else None
    dtype = amp or torch.float32
    model = UmURL(size.hidden, projector_width=size.width).to(device)
    step = stepper(model, Process(0, 1, device), amp, torch.compile(model) if compiled else None)
    rows = torch.arange(len(store.names)).numpy()

    def from_store(resident: bool) -> Callable[[], None]:
        frames = resident_frames(store, device) if resident else None
        workers = 0 if resident else READERS
        batches = TrainingBatches(store, rows, batch, 0, device, frames, workers)
        stream = _full_batches(batches)
        return lambda: [step(next(stream)) for _ in range(size.steps)]

    given = Given(random_views(batch, device), [batch])
    times = take_turns(
        {
            "resident": from_store(True),
            "streamed": from_store(False),
            "given": lambda: [step(given) for _ in range(size.steps)],
        },
        size.repeats,
        device,
    )
    work = products.operations(products.of_step(size.hidden, batch, size.width)) * size.steps
    rate = matrix_rate(size.matrix, device, dtype, size.repeats)
    best = min(times["resident"].seconds, times["streamed"].seconds)
    facts = {
        "tflop_per_s": work / times["resident"].seconds / 1e12,
        "share_of_matrix_product": work / times["resident"].seconds / rate,
        "data_share_resident": 1 - times["given"].seconds / times["resident"].seconds,
        "data_share_streamed": 1 - times["given"].seconds / times["streamed"].seconds,
        **{f"hours_{name}": h for name, h in hours(best / (batch * size.steps), batch).items()},
    }
    case = f"hidden {size.hidden}, batch {batch}, {str(dtype).removeprefix('torch.')}"
    return Row(
        "training",
        case + (", compiled" if compiled else ""),
        batch * size.steps,
        times["resident"],
        facts=facts,
    )


def _full_batches(batches: TrainingBatches) -> Iterator:
    """The batches of epoch after epoch, without the last batch of each, which may be smaller."""
    for epoch in count():
        for batch in batches.epoch(epoch):
            if batch.step + 1 < len(batches) or len(batches) == 1:
                yield batch


def hours(seconds_a_clip: float, batch: int) -> dict[str, float]:
    """Projected hours of the published protocols that use this batch; of all where none uses it.

    seconds_a_clip: time of a training step, divided by its number of clips.
    """
    protocols = {
        f"{name} {protocol}": clips
        for name, dataset in DATASETS.items()
        for protocol, (clips, _) in dataset.official.items()
    }
    fitting = {name: clips for name, clips in protocols.items() if BATCH.get(name, 1024) == batch}
    return {
        name.replace(" ", "_"): EPOCHS * clips * seconds_a_clip / 3600
        for name, clips in (fitting or protocols).items()
    }
