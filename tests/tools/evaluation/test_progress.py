"""Progress without a terminal is a plain line now and then."""

from tools.evaluation import progress


def test_lines_tell_how_much_is_done(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    with progress.Progress("training", 3, "epoch") as bar:
        bar.update(1)
        bar.update(1, "top-1 50.0 %")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["training: 1 of 3 epochs", "training: 2 of 3 epochs, top-1 50.0 %"]


def test_what_is_soon_done_says_nothing(capsys):
    with progress.Progress("encoding", 2, "clip") as bar:
        bar.update(2)
    assert capsys.readouterr().out == ""
