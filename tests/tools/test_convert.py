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
    "flags", ["to-pkl --protocol cross_view", "from-published --names a.txt", "import --proto a"]
)
def test_flags_without_effect_are_errors(capsys, flags):
    conversion, *more = flags.split()
    with pytest.raises(SystemExit) as ended:
        convert.parse_args([conversion, "source", "target", *more])
    assert ended.value.code == 2 and more[0] in capsys.readouterr().err
