"""The table's arithmetic: means, the chosen learning rate, paired differences; its files."""

import csv

import pytest

from tools.ablation import table
from tools.ablation.variants import DEFAULT


def result(variant, lr, seed, value, held_out):
    """A result all of whose figures are the same."""
    sizes = {"hidden_size": 8, "projector_width": 16, "batch_size": 4, "epochs": 2, "amp": "off"}
    return {
        "variant": variant,
        "lr": lr,
        "seed": seed,
        "settings": {"protocol": "cross_view", **sizes},
        "title": "some data",
        "clips": [40, 20],
        "code": {"commit": "0" * 40, "device": "cpu"},
        "test": dict.fromkeys(table.FIGURES, value),
        "held_out": dict.fromkeys(table.FIGURES, held_out),
        "curve": [],
        "seconds": 1.0,
    }


def results():
    """On held-out subjects the default is best at 0.1, no_intra at 0.2; on test clips not."""
    found = []
    for seed, value in enumerate((70.0, 72.0, 74.0)):
        found += [result(DEFAULT, 0.1, seed, value, 60), result(DEFAULT, 0.2, seed, 99, 50)]
        found += [result("no_intra", 0.2, seed, value - seed, 60 + seed)]
        found += [result("no_intra", 0.1, seed, 90, 60)]
    return found


def knn(found):
    return {row["variant"]: row for row in table.rows(found) if row["figure"] == "knn"}


def test_rows_hold_means_and_paired_differences():
    default, row = knn(results()).values()
    assert (default["variant"], default["lr"], default["difference"]) == (DEFAULT, 0.1, None)
    assert (row["lr"], row["seeds"], row["mean"], row["std"]) == (0.2, 3, 71, 1)
    assert row["difference"] == pytest.approx(-1)  # of 0, -1, -2
    assert row["high"] == pytest.approx(-1 + 4.303 / 3**0.5, abs=1e-3) and row["noise"] is True
    same = [result(DEFAULT, 0.1, seed, 70 + seed, 60) for seed in range(3)]
    same += [one | {"variant": "no_intra"} for one in same]
    assert knn(same)["no_intra"]["noise"] is True


def test_a_rate_with_fewer_seeds_is_not_chosen_and_pairs_are_of_common_seeds():
    found = [*results(), result("no_intra", 0.4, 0, 80, 99)]
    assert knn(found)["no_intra"]["lr"] == 0.2
    row = knn([r for r in results() if r["variant"] == DEFAULT or r["seed"] == 2])["no_intra"]
    assert (row["seeds"], row["difference"], row["low"], row["noise"]) == (1, -2, None, None)


def test_files_hold_all_of_it(tmp_path):
    found = results()
    found[0]["curve"] = [{"epoch": 1, "step": 10, **found[0]}, {"epoch": 2, "step": 20, **found[0]}]
    table.write(found, tmp_path)
    texts = {path.stem: path.read_text() for path in tmp_path.glob("*.csv")}
    read = {name: list(csv.DictReader(text.splitlines())) for name, text in texts.items()}
    assert len(read["table"]) == 2 * len(table.FIGURES) and len(read["runs"]) == len(found)
    assert [point["step"] for point in read["curves"]] == ["10", "20"]
    assert (float(read["table"][-1]["difference"]), read["table"][-1]["noise"]) == (-1, "True")
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [line.count("|") for line in lines[2:6]] == [8] * 4 and "some data" in lines[0]
    assert (tmp_path / "differences.png").stat().st_size > 10_000
