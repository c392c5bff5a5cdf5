"""Settings: one declaration for flags, values and checkpoints."""

from dataclasses import fields

import pytest

import pretrain
from feeder.strengths import Strengths
from net.methods import METHODS, BaselineSettings, UmURLSettings
from tools.training import settings
from tools.training.settings import Settings


def test_flags_give_the_record_that_values_give():
    flags = "--hidden-size 32 --lr 1e-3 --schedule 3 5 --compile --inter-weight 0"
    flags += " --shear-amplitude 0.5"
    by_values = Settings(
        hidden_size=32,
        lr=1e-3,
        schedule=(3, 5),
        compile=True,
        strengths=Strengths(shear_amplitude=0.5),
        loss=UmURLSettings(inter_weight=0),
    )
    assert pretrain.parse_args(flags.split()) == by_values
    assert pretrain.parse_args([]).plain() == Settings().plain()
    assert Settings(method="baseline").of_loss == BaselineSettings()


def test_settings_are_plain_values_that_a_checkpoint_holds():
    plain = Settings(schedule=(1, 2)).plain()
    assert plain["schedule"] == [1, 2] and plain["checkpoint_path"] == "checkpoints/default"
    assert plain["intra_weight"] == 5.0 and "invariance_weight" not in plain
    assert plain["shear_amplitude"] == 1.0
    parts = (Settings, UmURLSettings, Strengths)
    assert len(plain) == sum(len(fields(part)) for part in parts) - 2
    every = {k for name in METHODS for k in Settings(method=name).plain()}
    assert settings.defaults().keys() == every
    assert settings.defaults() | Settings().plain() == settings.defaults()


@pytest.mark.parametrize("name", settings.RECIPES)
def test_a_recipe_stands_for_its_settings_and_a_flag_by_hand_wins(name):
    told = settings.RECIPES[name]
    plain = pretrain.parse_args(["--recipe", name]).plain()
    others = Settings(method=told.get("method", "umurl")).plain()
    assert plain == others | told | {"recipe": name}
    ours = pretrain.parse_args(["--recipe", name, "--lr", "0.25", "--no-cosine"]).plain()
    assert ours == plain | {"lr": 0.25, "cosine": False}


def test_the_recipe_of_the_published_method_changes_nothing():
    assert settings.RECIPES["umurl"] == {} and Settings().recipe == "umurl"
    assert pretrain.parse_args(["--recipe", "umurl"]) == pretrain.parse_args([])


def test_recipes_are_told_by_help_and_others_are_refused(capsys):
    with pytest.raises(SystemExit):
        pretrain.parse_args(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "umurl: as published" in shown and "umurl_plus: --" in shown
    with pytest.raises(SystemExit):
        pretrain.parse_args(["--recipe", "best"])
    assert "--recipe" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--recipe"):
        settings.from_names({"recipe": "best"})


def test_a_setting_of_another_method_is_refused(capsys):
    with pytest.raises(SystemExit):
        pretrain.parse_args(["--method", "baseline", "--intra-weight", "1"])
    told = capsys.readouterr().err
    assert "--intra-weight" in told and "--invariance-weight" in told and told.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "flag"),
    [
        ({"hidden_size": 0}, "--hidden-size"),
        ({"hidden_size": 2.5}, "--hidden-size"),
        ({"lr": 0.0}, "--lr"),
        ({"lr": float("nan")}, "--lr"),
        ({"schedule": (1, -2)}, "--schedule"),
        ({"method": "nothing"}, "--method"),
        ({"checkpoint_path": 3}, "--checkpoint-path"),
        ({"strengths": Strengths(zero_probability=1.5)}, "--zero-probability"),
        ({"loss": UmURLSettings(intra_weight=-1)}, "--intra-weight"),
    ],
)
def test_values_are_checked_as_flags_are(wrong, flag):
    with pytest.raises(ValueError, match=flag):
        Settings(**wrong)
