"""Continue a run: find its checkpoint, check that it is the same run, and restore its state."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tools.cli import say
from tools.formats.checkpoint import (
    CheckpointError,
    check_fits,
    code_facts,
    encoder_of,
    in_folder,
    load,
    not_finite,
    position,
)


def to_resume(resume: str, folder: Path) -> dict[str, Any] | None:
    """The checkpoint from which a run continues; None if the run begins.

    resume: `auto`, or the path of a checkpoint.
    folder: the run's folder.

    If the folder holds checkpoints, the newest one that is whole is taken, with a warning for each
    damaged one. Otherwise it is the checkpoint that `resume` names. So the same command continues a
    run however often it is started. Raises CheckpointError where the named checkpoint cannot be
    read, and where all checkpoints of the folder are damaged.
    """
    there = in_folder(folder)
    if there and resume != "auto":
        say(f"{folder} holds checkpoints already, so --resume {resume} is not needed")
    for path in reversed(there):
        try:
            saved = load(path)
            if position(path) != (saved["epoch"], saved["step"]):
                raise CheckpointError(f"{path} is not what its name says")
        except CheckpointError as error:
            say(f"warning: {error}; taking the checkpoint before")
        else:
            return _announced(path, saved)
    if there:
        raise CheckpointError(f"{folder}: no checkpoint is whole; move them away to start anew")
    return None if resume == "auto" else _announced(Path(resume), load(Path(resume)))


def _announced(path: Path, saved: dict[str, Any]) -> dict[str, Any]:
    say(f"going on from {path}: epoch {saved['epoch']}, step {saved['step']}")
    for name, here in code_facts().items():
        if name != "commit" and here != (there := saved["code"].get(name)):
            say(f"note: {name} is {here} and was {there}, which may change the last digits")
    return saved


def refuse_other_run(
    saved: dict[str, Any], facts: dict[str, dict], *, free: set[str], anyway: bool
) -> None:
    """Raise CheckpointError unless the checkpoint is of this run; it names the first difference.

    saved: the checkpoint.
    facts: `settings` and `data` of this run.
    free: names of settings that may differ.
    anyway: print the differences, and raise no error.
    """
    for part, called in (("settings", "--{}"), ("data", "the data's {}")):
        for key, here in facts[part].items():
            if (there := saved[part].get(key)) == here or (part == "settings" and key in free):
                continue
            name = called.format(key.replace("_", "-"))
            difference = f"{name} is {here} here and was {there} in the run to go on from"
            if not anyway:
                raise CheckpointError(
                    f"{difference}; take that value, another --checkpoint-path for a new run, "
                    "or --resume-anyway"
                )
            say(f"note: {difference}")


def restore(
    saved: dict[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Adam,
    scaler: torch.amp.GradScaler,
    average: nn.Module | None = None,
) -> None:
    """Load a checkpoint's state into a model; the optimizer keeps its own settings.

    saved: the checkpoint.
    average: the average of the encoder's weights over the steps, or None. If the checkpoint has no
        average, it starts with the encoder's weights.
    Raises CheckpointError, before anything is changed, where the state is not of this model.
    """
    check_fits(model, saved["model"], "the checkpoint")
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = saved["optimizer"].get("state")
    if fault := _adam_fault(state, parameters):
        raise CheckpointError(f"the checkpoint's optimizer is not this model's: {fault}")
    scaled = scaler.is_enabled() and saved["scaler"]
    if scaled and not _is_scaler_state(scaled, scaler.state_dict()):
        raise CheckpointError("the checkpoint's scaler is not one of torch")
    if average is not None:
        check_fits(average, encoder_of(saved), "the checkpoint")
        average.load_state_dict(encoder_of(saved))
    model.load_state_dict(saved["model"])
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": own})
    if scaled:
        scaler.load_state_dict(scaled)


def _is_scaler_state(state: dict[str, Any], own: dict[str, Any]) -> bool:
    same = state.keys() == own.keys() and all(type(state[name]) is type(own[name]) for name in own)
    return same and 0 < state["scale"] < float("inf")


def _adam_fault(state: Any, parameters: list[Tensor]) -> str | None:
    if not isinstance(state, dict) or not state:
        return "it holds no state"
    for key, moments in state.items():
        if type(key) is not int or not 0 <= key < len(parameters):
            return f"no parameter {key!r}"
        shape = parameters[key].shape
        shapes = {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}
        if not isinstance(moments, dict) or moments.keys() != shapes.keys():
            return f"parameter {key} has not the state of Adam"
        for name, expected in shapes.items():
            value = moments[name]
            if not isinstance(value, Tensor) or value.shape != expected:
                return f"{name} of parameter {key} has another shape"
    return f"{broken} is not finite" if (broken := not_finite({"state": state})) else None
