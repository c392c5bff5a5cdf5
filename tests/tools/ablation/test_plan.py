"""Which runs an ablation has, and what they are called."""

from dataclasses import replace
from pathlib import Path

import pytest
from tools.training.settings import RECIPES

from tools.ablation import plan
from tools.ablation.variants import ALONE, DEFAULT, VARIANTS, streams_of, with_needed

PLAN = plan.Plan([DEFAULT, "late"], plan.base_of({}), [1e-3, 1e-2], range(3), Path("out"), "f")


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_can_be_trained_and_read(name):
    variant = VARIANTS[name]
    settings = plan.settings_of(name, plan.base_of({}))
    assert settings.plain().items() >= dict(variant.changes).items()
    assert Path(name).name == name and variant.title
    if variant.encoders:
        assert len(variant.encoders) == len(variant.streams) and not variant.changes
        assert not any(VARIANTS[other].encoders for other in variant.encoders)


def test_an_encoder_is_read_as_all_rows_need_it():
    assert set(ALONE) < set(streams_of(DEFAULT))
    assert streams_of("no_intra") == VARIANTS["no_intra"].streams
    assert with_needed(["late"]) == [DEFAULT, "late"]
    assert with_needed(["late_alone"]) == [DEFAULT, "joint", "bone", "motion", "late_alone"]
    assert streams_of("joint") == (("joint",),)


def test_runs_are_variants_by_rates_by_seeds_and_readers_come_last():
    runs = PLAN.runs()
    assert len(runs) == 2 * 2 * 3 and len({run.folder for run in runs}) == len(runs)
    assert [run.variant for run in runs] == [DEFAULT] * 6 + ["late"] * 6
    trained = {(run.lr, run.seed): run.folder for run in runs[:6]}
    assert all(run.encoders == (trained[run.lr, run.seed],) * 3 for run in runs[6:])
    for run in runs:
        assert (run.settings.lr, run.settings.seed) == (run.lr, run.seed)


def test_a_folder_has_another_name_for_other_settings_alone():
    def folders(given, **more):
        return [run.folder for run in replace(PLAN, base=plan.base_of(given), **more).runs()]

    usual = folders({})
    assert folders({"data_root": "elsewhere", "save_every": 3, "workers": 2}) == usual
    for other in ({"epochs": 61}, {"shear_amplitude": 0.5}, {"recipe": "umurl_plus"}):
        assert not set(folders(other)) & set(usual)
    assert not set(folders({}, fingerprint="g")) & set(usual)
    assert not set(folders({}, every=5)[:6]) & set(usual)


def test_the_base_of_all_variants():
    base = plan.base_of({"epochs": 240, "recipe": "umurl_plus"})
    assert base["schedule"] == (186,) and base["pre_dataset"] == "nwucla"
    assert base.items() >= RECIPES["umurl_plus"].items()
    assert plan.base_of({"schedule": [3]})["schedule"] == [3]
    assert plan.settings_of(DEFAULT, plan.base_of({})).schedule == (46,)


def test_rows_that_change_nothing_are_known():
    for given in ({}, {"recipe": "umurl_plus"}, {"projector_width": 1024}):
        same = plan.unchanged([*VARIANTS], plan.base_of(given))
        assert DEFAULT not in same and "no_intra" not in same
        assert ("width_1024" in same) == ("projector_width" in given)
        assert ("umurl_plus" in same) == ("recipe" in given)
        assert ("no_rotation" in same) == ("recipe" not in given)
