"""The ablation's pictures show what the table says."""

from tests.tools.ablation.test_table import result, results
from tools.ablation import pictures, table
from tools.drawing import figures


def test_differences_are_dots_with_their_intervals(tmp_path):
    rows = [row for row in table.rows(results()) if row.differences]
    figure = pictures.differences(rows)
    left = figure.axes[0]
    shown = [line.get_xdata() for line in left.lines]
    found = rows[0].differences["linear"]
    assert any(list(x) == [found.low, found.high] for x in shown)
    assert any(list(x) == [found.mean] for x in shown)
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["without intra"]
    figures.save(figure, tmp_path / "differences.svg", dpi=80)
    alone = table.rows([r for r in results() if r["seed"] == 0])
    assert pictures.differences([row for row in alone if row.differences])


def test_curves_are_means_over_seeds():
    found = [result("default", 0.1, seed, 70.0, 60.0) for seed in (0, 1)]
    for number, one in enumerate(found):
        one["curve"] = [
            {"step": step, "test": dict.fromkeys(table.FIGURES, step + 10 * number)}
            for step in (8, 16)
        ]
    (row,) = table.rows(found)
    assert pictures.over_steps(found, row, "knn") == ([8, 16], [[8, 18], [16, 26]])
    (line,) = pictures.curves(found, [row]).axes[0].lines
    assert line.get_xydata().tolist() == [[8, 13], [16, 21]]
