"""What a step of each method costs, beside that of UmURL."""

from pathlib import Path

import torch

from net.methods import DEFAULT, METHODS
from tools.benchmark.measure import Row, take_turns
from tools.benchmark.sizes import Size
from tools.benchmark.step import Given, random_views, stepper
from tools.training.distributed import Process


def measure(size: Size, device: torch.device, scratch: Path, data_path: Path | None) -> list[Row]:
    """Measure a float32 step of each method on the first model, on views that were made before."""
    hidden, batch = size.models[0]
    calls = {}
    for name, method in METHODS.items():
        model = method.load_model()(hidden, projector_width=size.width).to(device)
        step = stepper(model, Process(0, 1, device), None, loss=method.load_loss())
        given = Given(random_views(batch, device, method.views), [batch])
        calls[name] = lambda step=step, given=given: step(given)
    times = take_turns(calls, size.repeats, device)
    rows = []
    for name in METHODS:
        facts = {"times_as_long": times[name].seconds / times[DEFAULT].seconds}
        case = f"hidden {hidden}, batch {batch}, {name}"
        rows.append(Row("methods", case, batch, times[name], facts=facts))
    return rows
