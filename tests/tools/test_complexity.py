"""The command that prints what the network costs."""

from functools import partial

import pytest

from tools import complexity


def test_the_command_prints_a_table(monkeypatch, capsys):
    flags = "--hidden-size 8 --num-head 2 --projector-width 12 --batch-size 2 --repeats 1"
    # A line every ten seconds, without a terminal; here at once.
    monkeypatch.setattr(complexity, "progress", partial(complexity.progress, seconds=0))
    complexity.main(flags.split())
    said = capsys.readouterr()
    assert "9 of 9 measurements" in said.err
    lines = said.out.splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 7 + 2 and {len(row) for row in rows} == {6}
    assert all(float(row[4]) > 0 for row in rows[2:])
    assert [row[5].strip() for row in rows[-2:]] == ["–", "–"]
    with pytest.raises(SystemExit):
        complexity.main(["--hidden-size", "9", "--num-head", "2"])
    assert "--num-head 2" in capsys.readouterr().err
