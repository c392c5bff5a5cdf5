"""The command `tools.convert`: its targets, and flags that have no effect."""

import pytest

from tests.runs import call, refusal
from tools import convert


def test_targets_must_be_free_and_sources_of_a_known_format(tmp_path, data_root):
    source = data_root / "ntu60"
    assert str(tmp_path) in refusal(convert.main, "from-arrays", tmp_path, tmp_path / "ntu61")
    assert str(data_root) in refusal(convert.main, "to-arrays", source, data_root)
    other = ("--protocol", "cross_setup")
    assert other[1] in refusal(convert.main, "to-arrays", source, tmp_path / "a", *other)
    assert not list(tmp_path.iterdir())
    assert str(tmp_path) in refusal(convert.main, "to-npz", source, tmp_path)


@pytest.mark.parametrize(
    "flags", ["to-pkl --protocol cross_view", "from-published --names a.txt", "import --proto a"]
)
def test_flags_without_effect_are_errors(flags):
    conversion, *more = flags.split()
    ended = call(convert.main, conversion, "source", "target", *more)
    assert ended.code == 2 and more[0] in ended.err
