"""Going on: which checkpoint, whether it is the same run, and only state that is the model's."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.tools.saved import equal, parts
from tools.formats.checkpoint import CheckpointError, in_folder, save
from tools.training import resume


def model_and_optimizer() -> tuple[nn.Module, torch.optim.Adam]:
    model = nn.ModuleDict({"encoder": nn.Linear(8, 16)})
    return model, torch.optim.Adam(model.parameters(), lr=0.25, weight_decay=0.5)


def scaler(enabled: bool = False) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", enabled=enabled)


# ---- which


def test_an_empty_folder_begins_at_the_beginning(tmp_path):
    assert resume.to_resume("auto", tmp_path) is None
    assert resume.to_resume("auto", tmp_path / "none") is None


def test_the_newest_whole_one_is_taken_and_others_are_said(tmp_path, capsys):
    paths = [save(tmp_path, parts(epoch)) for epoch in (1, 2, 3, 4)]
    paths[3].write_bytes(b"")
    paths[1].replace(paths[2])  # a file under another's name
    saved = resume.to_resume("auto", tmp_path)
    out = capsys.readouterr().out
    assert saved["epoch"] == 1
    assert f"warning: {paths[3]} is damaged" in out
    assert f"warning: {paths[2]} is not what its name says; taking the checkpoint before" in out
    assert f"going on from {paths[0]}: epoch 1, step 0" in out
    assert paths[3].exists() and len(in_folder(tmp_path)) == 3  # nothing is thrown away


def test_what_is_named_begins_only_an_empty_folder(tmp_path, capsys):
    for name in ("x", "own"):
        (tmp_path / name).mkdir()
    other = save(tmp_path / "x", parts(9))
    assert resume.to_resume(str(other), tmp_path / "own")["epoch"] == 9
    own = save(tmp_path / "own", parts(2))
    assert resume.to_resume(str(other), tmp_path / "own")["epoch"] == 2
    assert f"--resume {other} is not needed" in capsys.readouterr().out
    # It need not even be there any more: the same command goes on.
    other.unlink()
    assert resume.to_resume(str(other), tmp_path / "own")["epoch"] == 2
    own.unlink()
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        resume.to_resume(str(other), tmp_path / "own")


def test_another_version_of_torch_is_noted(tmp_path, monkeypatch, capsys):
    save(tmp_path, parts())
    here = resume.code_facts()
    monkeypatch.setattr(resume, "code_facts", lambda: here | {"torch": "9.9", "commit": "other"})
    resume.to_resume("auto", tmp_path)
    out = capsys.readouterr().out
    assert f"note: torch is 9.9 and was {torch.__version__}" in out and "commit" not in out


# ---- the same run


def facts(**changes: object) -> dict:
    whole = {"settings": {"lr": 0.1, "workers": 4, "schedule": [3]}, "data": {"frames": 100}}
    return {name: part | changes.get(name, {}) for name, part in whole.items()}


@pytest.mark.parametrize("changes", [{}, {"settings": {"workers": 0}}])
def test_the_same_run_goes_on(changes):
    resume.refuse_other_run(facts(), facts(**changes), free={"workers"}, anyway=False)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"settings": {"lr": 0.2}}, "--lr is 0.2 here and was 0.1 in the run to go on from"),
        ({"settings": {"schedule": [3, 4]}}, r"--schedule is \[3, 4\] here and was \[3\]"),
        ({"settings": {"new_flag": 1}}, "--new-flag is 1 here and was None"),
        ({"data": {"frames": 101}}, "the data's frames is 101 here and was 100"),
    ],
)
def test_another_run_is_refused_unless_told(changes, text, capsys):
    with pytest.raises(CheckpointError, match=f"^{text}.*; take that value, .*or --resume-anyway$"):
        resume.refuse_other_run(facts(), facts(**changes), free={"workers"}, anyway=False)
    assert capsys.readouterr().out == ""
    resume.refuse_other_run(facts(), facts(**changes), free={"workers"}, anyway=True)
    assert capsys.readouterr().out.startswith("note: ")


# ---- its state


def test_state_is_taken_over_but_not_the_optimizers_settings():
    model, optimizer = model_and_optimizer()
    resume.restore(parts(), model, optimizer, scaler())
    assert equal(dict(model.state_dict()), parts()["model"])
    state = optimizer.state_dict()
    assert equal(state["state"], parts()["optimizer"]["state"])
    assert state["param_groups"][0]["lr"] == 0.25
    assert state["param_groups"][0]["weight_decay"] == 0.5


def test_the_scalers_state_is_taken_over_where_there_is_one():
    saved = parts() | {"scaler": scaler(True).state_dict() | {"scale": 8.0}}
    ours = scaler(True)
    resume.restore(saved, *model_and_optimizer(), ours)
    assert ours.get_scale() == 8.0
    resume.restore(parts(), *model_and_optimizer(), ours)  # of a run without
    resume.restore(saved, *model_and_optimizer(), scaler())  # to a run without
    assert ours.get_scale() == 8.0


def broken(path: list, value: object) -> dict:
    saved = copy.deepcopy(parts())
    place = saved
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return saved


ADAM = ["optimizer", "state", 1]


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (["model", "encoder.bias"], torch.ones(3), "encoder.bias is torch.float32 [3]"),
        (["model", "encoder.more"], torch.ones(3), "has a weight unknown here, encoder.more"),
        (["optimizer"], {}, "it holds no state"),
        (["optimizer", "state"], [1], "it holds no state"),
        (["optimizer", "state", 2], {}, "no parameter 2"),
        (["optimizer", "state", "0"], {}, "no parameter '0'"),
        (ADAM, {"momentum_buffer": torch.ones(16)}, "has not the state of Adam"),
        (ADAM, None, "has not the state of Adam"),
        ([*ADAM, "exp_avg"], torch.ones(17), "exp_avg of parameter 1 has another shape"),
        ([*ADAM, "exp_avg"], 1.0, "exp_avg of parameter 1 has another shape"),
        ([*ADAM, "step"], torch.ones(1), "step of parameter 1 has another shape"),
        ([*ADAM, "exp_avg_sq"], torch.full((16,), torch.inf), "state.1.exp_avg_sq is not finite"),
        (["scaler"], {"scale": "big"}, "the checkpoint's scaler is not one"),
        (["scaler"], {"scale": -1.0}, "the checkpoint's scaler is not one"),
    ],
)
def test_state_of_something_else_is_refused_before_anything_changes(path, value, text):
    model, optimizer = model_and_optimizer()
    before = copy.deepcopy((dict(model.state_dict()), optimizer.state_dict()))
    with pytest.raises(CheckpointError) as raised:
        resume.restore(broken(path, value), model, optimizer, scaler(True))
    assert text in str(raised.value) and "\n" not in str(raised.value)
    assert equal(dict(model.state_dict()), before[0])
    assert equal(optimizer.state_dict(), before[1])


def test_a_checkpoint_is_not_changed_by_training_that_goes_on(tmp_path):
    """Its tensors are mapped from the file."""
    path: Path = save(tmp_path, parts())
    content = path.read_bytes()
    model, optimizer = model_and_optimizer()
    resume.restore(resume.to_resume("auto", tmp_path), model, optimizer, scaler())
    model["encoder"](torch.ones(2, 8)).sum().backward()
    optimizer.step()
    assert path.read_bytes() == content
