"""What the commands share: flags that are not guessed, errors that are one line."""

import argparse
import sys
import threading

import pytest
import torch

from feeder.store import StoreError
from tests.runs import call
from tools import cli


def raiser(error: BaseException):
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (cli.UserError("take the other"), "error: take the other\n"),
        (StoreError("no store"), "error: no store\n"),
        (OSError(28, "No space left", "x"), "error: [Errno 28] No space left: 'x'\n"),
        (cli.UserError("a\nb\x1b[2Jc\rd"), "error: a b [2Jc d\n"),
        (
            MemoryError(),
            "error: the memory is not enough; lower the sizes among its flags\n",
        ),
        (
            torch.cuda.OutOfMemoryError("CUDA out of memory. Tried ..."),
            "error: the memory is not enough; lower the sizes among its flags\n",
        ),
    ],
)
def test_what_a_user_can_cause_is_one_line(error, line):
    assert call(raiser(error)) == (1, "", line)


def test_absurd_sizes_are_one_line_too():
    for allocate in (lambda: torch.empty(2**60), lambda: torch.empty(2**40, 2**40)):
        ended = call(allocate)
        assert ended.code == 1 and ended.err.startswith("error: the memory is not enough")


def test_what_to_lower_is_what_the_command_has(capsys):
    with pytest.raises(SystemExit):
        cli.run(raiser(MemoryError()), lower="--batch-size")
    assert capsys.readouterr().err == "error: the memory is not enough; lower --batch-size\n"


def test_faults_of_the_code_keep_their_traceback():
    for error in (RuntimeError("shapes"), ValueError("x"), AssertionError()):
        with pytest.raises(type(error)):
            call(raiser(error))


def test_a_run_that_works_ends_with_0_and_an_interrupted_one_with_130():
    assert call(lambda: print("done")) == (0, "done\n", "")
    assert call(raiser(KeyboardInterrupt())) == (130, "", "")


def test_one_rank_speaks_for_all_but_not_for_their_disks():
    def say() -> None:
        cli.say("hello")
        raise cli.UserError("all have this")

    assert call(say, environment={"RANK": "1"}) == (1, "", "")
    assert call(say, environment={"RANK": "0"}) == (1, "hello\n", "error: all have this\n")
    own = call(raiser(OSError(5, "Input/output error")), environment={"RANK": "1"})
    assert own == (1, "", "error: [Errno 5] Input/output error\n")


def test_a_full_disk_is_not_told_by_a_thread_as_well():
    def main() -> None:
        for error in (OSError(28, "No space left"), ValueError("a fault")):
            thread = threading.Thread(target=raiser(error))
            thread.start()
            thread.join()

    ended = call(main)
    assert "No space left" not in ended.err and "ValueError: a fault" in ended.err


# ---- flags


@pytest.fixture
def parser(monkeypatch) -> cli.Parser:
    monkeypatch.setattr(sys, "argv", ["it.py"])
    parser = cli.Parser("It.")
    parser.add_argument("--epochs", type=cli.whole_number(1), default=451, help="epochs")
    parser.add_argument("--width", type=cli.whole_number(1, 2**16), default=8, help="width")
    parser.add_argument("--seed", type=cli.whole_number(0), default=0, help="seed")
    parser.add_argument("--lr", type=cli.positive, default=0.1, help="rate")
    parser.add_argument("--wd", type=cli.not_negative, default=0.1, help="decay")
    parser.add_argument("--amp", choices=("auto", "off"), default="auto", help="precision")
    return parser


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        (["--epochs", "1"], {"epochs": 1}),
        (["--seed", "0", "--width", "65536"], {"seed": 0, "width": 65536}),
        (["--seed", "4294967295"], {"seed": 2**32 - 1}),
        (["--lr", "5e-4", "--wd", "0"], {"lr": 5e-4, "wd": 0.0}),
    ],
)
def test_good_values(parser, flags, values):
    args = vars(parser.parse_args(flags))
    assert {name: args[name] for name in values} == values


@pytest.mark.parametrize(
    "flags",
    [
        ["--epoch", "3"],  # no abbreviations
        ["--typo", "3"],
        ["stray"],
        ["--epochs"],
        ["--epochs", "0"],
        ["--epochs", "-1"],
        ["--epochs", "1.5"],
        ["--epochs", "1e3"],
        ["--epochs", "1_000"],
        ["--epochs", "٣"],
        ["--epochs", ""],
        ["--epochs", "9" * 5000],
        ["--epochs", "4294967296"],
        ["--width", "65537"],
        ["--seed", "+1"],
        ["--lr", "0"],
        ["--lr", "nan"],
        ["--lr", "inf"],
        ["--lr", "1e308"],
        ["--lr", "٣"],
        ["--lr", "1_0"],
        ["--lr=--"],
        ["--seed=--"],
        ["--lr", "x"],
        ["--wd", "-1e-9"],
        ["--amp", "on"],
        ["--amp", "a\nb"],
    ],
)
def test_bad_flags_end_with_one_line_and_2(parser, capsys, flags):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(flags)
    out, err = capsys.readouterr()
    assert ended.value.code == 2 and out == ""
    assert err.startswith("error: ") and err.endswith("(see it.py --help)\n")
    assert err.count("\n") == 1 and len(err) < 300


def test_types_refuse_by_themselves():
    for parse, text in ((cli.whole_number(3), "2"), (cli.positive, "0.0"), (cli.not_negative, "?")):
        with pytest.raises(argparse.ArgumentTypeError, match=repr(text).replace("?", r"\?")):
            parse(text)
