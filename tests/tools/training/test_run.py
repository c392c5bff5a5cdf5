"""Pre-training by values, of declared methods, and of one that a test declares."""

from dataclasses import dataclass, field, replace

import pytest
import torch

import pretrain
from feeder.store import open_store
from net import methods
from net.losses import umurl_loss
from net.methods import METHODS, Method, UmURLSettings
from net.umurl import UmURL
from tests.runs import call, pretraining
from tests.test_pretrain import curves
from tools.formats import checkpoint
from tools.training.distributed import Process
from tools.training.run import pretrain as train
from tools.training.settings import Settings
from tools.training.step import Training, training_step

TINY = {"hidden_size": 8, "projector_width": 12, "batch_size": 12, "epochs": 1}
TINY |= {"pre_dataset": "ntu60", "workers": 0, "monitor_every": 0, "print_freq": 1}


def test_values_train_as_flags_do(data_root, tmp_path):
    store = open_store(data_root, "ntu60")
    assert train(Settings(**TINY, checkpoint_path=tmp_path / "values"), store)
    flags = pretraining(data_root, tmp_path / "flags", "--projector-width", 12, "--epochs", 1)
    assert call(pretrain.main, *flags).code == 0
    ours, theirs = (
        checkpoint.load(checkpoint.newest(tmp_path / name))["model"] for name in ("values", "flags")
    )
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())


def test_an_ablation_is_a_flag_and_is_kept_with_the_run(data_root, tmp_path):
    flags = ("--epochs", 1, "--intra-weight", 0, "--covariance-weight", 2.5)
    done = call(pretrain.main, *pretraining(data_root, tmp_path / "run", *flags))
    assert done.code == 0, done.err
    kept = checkpoint.load(checkpoint.newest(tmp_path / "run"))["settings"]
    weights = [kept[f"{term}_weight"] for term in ("intra", "inter", "variance", "covariance")]
    assert weights == [0, 5, 5, 2.5]
    seen = curves(tmp_path / "run")
    for i, total in enumerate(seen["loss/total"]):
        parts = (seen[f"loss/{term}"][i] for term in ("variance", "covariance"))
        assert abs(total - 5 * seen["loss/inter"][i] - sum(parts)) < 1e-4 * total


def test_a_run_of_code_without_a_setting_goes_on_at_its_default(data_root, tmp_path):
    folder = tmp_path / "run"
    assert call(pretrain.main, *pretraining(data_root, folder, "--epochs", 1)).code == 0
    path = checkpoint.newest(folder)
    saved = checkpoint.load(path)
    settings = {k: v for k, v in saved["settings"].items() if not k.endswith("_weight")}
    parts = {name: saved[name] for name in checkpoint.PARTS if name != "code"}
    checkpoint.save(folder, parts | {"settings": settings})
    refused = call(
        pretrain.main, *pretraining(data_root, folder, "--epochs", 2, "--inter-weight", 1)
    )
    assert refused.code == 1 and "--inter-weight is 1.0 here and was 5.0" in refused.err
    assert call(pretrain.main, *pretraining(data_root, folder, "--epochs", 2)).code == 0


# ---- a method that is declared here and nowhere else


@dataclass(frozen=True)
class SmallFeatures(UmURLSettings):
    size_weight: float = field(default=0.5, metadata={"group": "loss", "help": "of the size"})


def loss(unimodal, fused, feature, settings):
    terms = umurl_loss(unimodal, fused, feature, settings)
    size = feature.square().mean()
    return terms | {"total": terms["total"] + settings.size_weight * size, "size": size}


TOY = Method(
    title="UmURL with small features",
    model="net.umurl:UmURL",
    loss=f"{__name__}:loss",
    settings=SmallFeatures,
    terms=METHODS["umurl"].terms | {"size": "Loss: size of features"},
)


def test_a_declared_method_trains_and_is_told_by_its_title(data_root, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "toy", TOY)
    store, folder = open_store(data_root, "ntu60"), tmp_path / "run"
    chosen = Settings(method="toy", loss=SmallFeatures(size_weight=2), **TINY)
    assert train(replace(chosen, checkpoint_path=folder), store)
    assert checkpoint.load(checkpoint.newest(folder))["settings"]["size_weight"] == 2
    assert min(curves(folder)["loss/size"]) > 0
    assert methods.title("toy") == "UmURL with small features"
    assert methods.curve_titles()["loss/size"] == "Loss: size of features"


def test_a_term_on_the_feature_itself_teaches_the_encoder():
    model, process = UmURL(8, projector_width=12), Process(0, 1, torch.device("cpu"))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}

    def on_feature(unimodal, fused, feature):
        return {"total": feature.square().mean()}

    scaler = torch.amp.GradScaler("cpu", enabled=False)
    optimizer = torch.optim.SGD(model.parameters())
    training = Training(model, on_feature, optimizer, scaler, None, process)
    training_step(training, Given(torch.randn(4, 6, 64, 2, 25, 3)), 0.1)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved and all(name.startswith("encoder.") for name in moved)


@pytest.mark.parametrize("amp", [None, torch.bfloat16])
def test_views_are_made_in_full_precision_whatever_the_network_computes_in(amp):
    model, process = UmURL(8, projector_width=12), Process(0, 1, torch.device("cpu"))
    seen = []

    class Watched(Given):
        def views(self) -> torch.Tensor:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().views()

    model.encoder.register_forward_hook(lambda *_: seen.append(torch.is_autocast_enabled("cpu")))
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    optimizer = torch.optim.SGD(model.parameters())
    training = Training(model, umurl_loss, optimizer, scaler, amp, process)
    training_step(training, Watched(torch.randn(4, 6, 64, 2, 25, 3)), 0.1)
    assert seen == [False, amp is not None]


@dataclass(frozen=True)
class Given:
    given: torch.Tensor

    @property
    def shares(self) -> list[int]:
        return [self.given.shape[1]]

    def views(self) -> torch.Tensor:
        return self.given
