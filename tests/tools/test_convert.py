"""The command `tools.convert`: its targets, and flags that have no effect."""

import pytest

from common import UserError
from tools import convert


def test_targets_must_be_free_and_sources_of_a_known_format(converted, tmp_path, data_root):
    with pytest.raises(UserError):
        converted("from-arrays", tmp_path, tmp_path / "ntu61")
    with pytest.raises(UserError):
        converted("to-arrays", data_root / "ntu60", data_root)
    with pytest.raises(UserError, match="cross_setup"):
        converted("to-arrays", data_root / "ntu60", tmp_path / "a", "--protocol", "cross_setup")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flags",
    [
        ("to-pkl", "--protocol", "cross_view"),
        ("to-npz", "--num-head", "2"),
        ("to-published", "--pre-dataset", "ntu60"),
        ("from-published", "--names", "a.txt"),
        ("import", "--num-head", "2"),
        ("import", "--proto", "cross_view"),
        ("to-arrays", "--skeleton", "coco_17"),
    ],
)
def test_flags_without_effect_are_errors(capsys, flags):
    with pytest.raises(SystemExit) as ended:
        convert.parse_args([flags[0], "source", "target", *flags[1:]])
    assert ended.value.code == 2 and flags[1] in capsys.readouterr().err
