"""The table of retrieved clips: written, read again, refused where it is something else."""

import numpy as np
import pytest

from tools import cli
from tools.evaluation import retrieved_clips
from tools.evaluation.retrieved_clips import Retrieved


def test_what_is_written_is_read_again(tmp_path):
    similarity = np.array([[0.9, 0.5], [1.0, -0.25]])
    table = Retrieved(["q1", "q2"], [["a", "b"], ["c", "a"]], similarity)
    retrieved_clips.write(tmp_path / "r.csv", table)
    again = retrieved_clips.read(tmp_path / "r.csv")
    assert again[:2] == table[:2] and np.allclose(again.similarity, similarity, atol=1e-6)
    header = (tmp_path / "r.csv").read_text().splitlines()[0]
    assert header == "query,found_1,similarity_1,found_2,similarity_2"
    assert [p.name for p in tmp_path.iterdir()] == ["r.csv"]


def test_rows_of_a_store_become_names_five_at_most():
    found = np.arange(12).reshape(2, 6)
    made = retrieved_clips.table(list("abcdefghijkl"), np.array([3, 0]), found, found / 12)
    assert made.queries == ["d", "a"]
    assert made.found == [list("abcde"), list("ghijk")]
    assert (made.similarity == found[:, :5] / 12).all()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("name,x\n", 1),
        ("query,found_1,similarity_1\nq,a\n", 2),
        ("query,found_1,similarity_1\nq,a,0.5\nq,a,nan\n", 3),
        ("query,found_1,similarity_1\nq,a,0.5,b\n", 2),
    ],
)
def test_another_table_is_refused(text, line, tmp_path):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(cli.UserError, match=f"line {line}:"):
        retrieved_clips.read(tmp_path / "r.csv")
