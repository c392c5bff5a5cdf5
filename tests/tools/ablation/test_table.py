"""The table's arithmetic: means, the chosen learning rate, paired differences."""

import csv

import pytest
from tools.training.settings import Settings

from tools.ablation import table
from tools.ablation.variants import DEFAULT


def result(variant, lr, seed, value, held_out):
    """A result all of whose figures are the same."""
    return {
        **{"variant": variant, "lr": lr, "seed": seed, "seconds": 1.0, "title": "some data"},
        **{"code": {"commit": "0" * 40, "device": "cpu"}, "clips": [40, 20], "curve": []},
        "settings": Settings(lr=lr, seed=seed).plain(),
        "test": dict.fromkeys(table.FIGURES, value),
        "held_out": dict.fromkeys(table.FIGURES, held_out),
    }


def results(best_on_test=90.0):
    """The default is best at 0.1 on held-out subjects, no_intra at 0.2."""
    found = []
    for seed, value in enumerate((70.0, 72.0, 74.0)):
        found += [result(DEFAULT, 0.1, seed, value, 60), result(DEFAULT, 0.2, seed, 99, 50)]
        found += [result("no_intra", 0.2, seed, value - seed, 60 + seed)]
        found += [result("no_intra", 0.1, seed, best_on_test, 60)]
    return found


def test_rows_hold_means_and_paired_differences():
    default, row = table.rows(results())
    assert (default.variant, default.lr, default.differences) == (DEFAULT, 0.1, None)
    assert (row.variant, row.lr, row.seeds) == ("no_intra", 0.2, [0, 1, 2])
    assert row.test["knn"] == [70.0, 71.0, 72.0]
    found = row.differences["knn"]  # 0, -1, -2
    assert found.mean == -1 and found.high == pytest.approx(-1 + 4.302653 / 3**0.5)
    assert found.is_noise and "noise" in table.lines([default, row])[3]


def test_the_choice_of_a_learning_rate_does_not_see_the_test_clips():
    chosen = [[row.lr for row in table.rows(results(best))] for best in (0.0, 90.0)]
    assert chosen[0] == chosen[1] == [0.1, 0.2]


def test_a_rate_with_fewer_seeds_is_not_chosen_and_pairs_are_of_common_seeds():
    found = [*results(), result("no_intra", 0.4, 0, 80, 99)]
    assert table.rows(found)[1].lr == 0.2
    some = [r for r in results() if r["variant"] == DEFAULT or r["seed"] == 2]
    row = table.rows(some)[1]
    assert row.seeds == [2] and row.differences["knn"].low is None
    assert "one seed" in table.lines([row])[2]


def test_files_hold_all_of_it(tmp_path):
    found = results()
    table.write(table.rows(found), found, tmp_path)
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(table.FIGURES)
    assert (rows[-1]["difference"], rows[-1]["noise"]) == ("-1.000", "True")
    with (tmp_path / "runs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(found)
    first, _, header, *_ = (tmp_path / "table.md").read_text().splitlines()
    assert first.startswith("some data") and "40 training" in first and header.startswith("| ")
