"""Flags of all commands: one rule for empty text, digits and numbers."""

import argparse
import importlib
import sys
from pathlib import Path

import pytest

from data_gen.preparing.flags import Parser, not_negative, path, positive, text, whole_number


@pytest.mark.parametrize(
    ("parse", "good"),
    [
        (not_negative, {"0": 0, "0.5": 0.5, ".5": 0.5, "5.": 5, "5e-1": 0.5, "1E2": 100}),
        (positive, {"1e-300": 1e-300, "1e30": 1e30, "03": 3}),
        (whole_number(0), {"0": 0, "007": 7, "4294967295": 2**32 - 1}),
    ],
)
def test_numbers(parse, good):
    assert {value: parse(value) for value in good} == good


@pytest.mark.parametrize("parse", [not_negative, positive, whole_number(0)])
@pytest.mark.parametrize(
    "value",
    [
        *("", " ", " 1", "1 ", "1\n", "+1", "-1", "1_0", "0x1", "nan", "inf", ".", "e5"),
        *("٣", "１", "1e31", "1e308", "1e99999999", "9" * 5000),
    ],
)
def test_what_is_no_number_is_refused_by_all_types(parse, value):
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        parse(value)
    assert len(str(raised.value)) < 100


def test_text_and_paths_are_not_empty():
    assert (text("a"), path("a/b")) == ("a", Path("a/b"))
    for parse in (text, path):
        for value in ("", " "):
            with pytest.raises(argparse.ArgumentTypeError, match="empty"):
                parse(value)


# ---- of every command


COMMANDS = {
    "action_classification": ["--checkpoint-path", "--save-features", "--data-root"],
    "action_retrieval": ["--checkpoint-path", "--save-features", "--query"],
    "pretrain": ["--checkpoint-path", "--data-root", "--resume"],
    "data_gen.ntu_gendata": ["--data_path", "--out_folder", "--ignored_sample_path"],
    "data_gen.pku_gendata": ["--data_path", "--out_folder"],
    "data_gen.ucla_gendata": ["--data_path", "--out_folder"],
    "data_gen.synthetic": ["--out_folder"],
    "tools.benchmark.__main__": ["--out", "--scratch", "--data_path"],
    "tools.checkpoint": [""],
    "tools.convert": ["--data-root", "--names", "--protocol"],
    "tools.export": ["--out", "--checkpoint-path"],
    "tools.results": [""],
    "tools.tsne": ["--out", "--checkpoint"],
}


@pytest.mark.parametrize(("command", "flag"), [(c, f) for c in COMMANDS for f in COMMANDS[c]])
@pytest.mark.parametrize("value", ["", "--"])
def test_no_command_takes_an_empty_path(tmp_path, monkeypatch, capsys, command, flag, value):
    monkeypatch.chdir(tmp_path)
    words = [f"{flag}={value}"] if flag else [value]
    if not flag and value == "--":
        return
    monkeypatch.setattr(sys, "argv", ["it", *words])
    module = importlib.import_module(command)
    with pytest.raises(SystemExit) as ended:
        module.main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert error.startswith("error: argument") and error.count("\n") == 1
    assert ("is not a value" if value else "is empty") in error
    assert not list(tmp_path.iterdir())


def test_a_flag_named_by_hand_is_checked_in_groups_too():
    parser = Parser("It.")
    group = parser.add_argument_group("paths")
    group.add_argument("--data-root", default="data")
    group.add_argument("--out", type=Path, nargs="+")
    assert parser.parse_args([]).data_root == "data"
    assert parser.parse_args(["--out", "a", "b"]).out == [Path("a"), Path("b")]
    for words in (["--data-root", ""], ["--out", "a", ""], ["--out=--"]):
        with pytest.raises(SystemExit):
            parser.parse_args(words)
