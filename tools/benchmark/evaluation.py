"""Time of evaluation: linear evaluation beside the literal one, neighbors beside scikit-learn's."""

import statistics
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from feeder.batches import whole_clips
from feeder.datasets.ntu import DATASETS
from net.modalities import derive
from net.umurl import UmURL
from tools.benchmark import inputs
from tools.benchmark.measure import MIB, Row, Timing, take_turns
from tools.benchmark.preprocess import prepare
from tools.benchmark.sizes import Size
from tools.evaluation import encoders
from tools.evaluation.features import encode, halves_for
from tools.evaluation.neighbors import CHUNK, nearest
from tools.evaluation.recognition import linear_evaluation, summary
from tools.evaluation.settings import LINEAR, Training
from tools.formats import checkpoint

EPOCHS, TESTS, MILESTONES = 150, 30, (120, 140)  # of the published linear evaluation
ACCURACY_BATCH = 32  # clips: small, so that the few clips here give several steps an epoch


def write_checkpoint(folder: Path, data_root: Path, hidden: int) -> UmURL:
    """Write the checkpoint of an untrained model, as pretrain.py does; returns the model."""
    model = UmURL(hidden, projector_width=16)
    folder.mkdir(parents=True)
    settings = {
        "hidden_size": hidden,
        "num_head": 1,
        "num_layer": 1,
        "projector_width": 16,
        "pre_dataset": "ntu60",
        "protocol": "cross_subject",
        "data_root": str(data_root),
    }
    parts = {"model": model.state_dict(), "optimizer": {}, "scaler": {}, "epoch": 1, "step": 0}
    checkpoint.save(folder, {"settings": settings, "data": {}, "metrics": {}} | parts)
    return model


def recognize(folder: Path, training: Training = LINEAR, seed: int = 0) -> dict:
    """Do what action_classification.py does, but write no files; returns the figures.

    The literal version writes no files either.
    """
    loaded = encoders.load(folder, seed=seed, device=encoders.best_device())
    return summary(
        linear_evaluation(encode(loaded.encoder, halves_for(loaded)), training, seeds=[seed])
    )


def linear(size: Size, device: torch.device, scratch: Path, data_path: Path | None) -> list[Row]:
    """Measure linear evaluation of 150 epochs beside the literal version.

    The literal time is extrapolated from a few epochs and one test.
    """
    theirs, view, model = (inputs.literal(name) for name in ("evaluation", "input", "model"))
    inputs.synthetic_recordings(scratch / "linear" / "raw", *size.evaluation)
    prepare(scratch / "linear" / "raw", scratch / "linear", 1)
    store = inputs.open_store(scratch / "linear", "ntu60")
    train, test = store.split("cross_subject")
    encoder = write_checkpoint(
        scratch / "linear" / "run", scratch / "linear", size.evaluation_hidden
    )
    encoder = encoder.encoder.to(device).eval()
    copy = model.Encoder(size.evaluation_hidden).to(device).eval()
    # Not strict: the literal version also saves its position encoding, a constant.
    copy.load_state_dict(_literal_encoder(encoder), strict=False)
    sets = [
        view.EvaluationViews(*inputs.padded(store, rows), store.label[rows])
        for rows in (train, test)
    ]
    classes = DATASETS["ntu60"].num_classes
    literal = partial(theirs.linear_evaluation, copy, *sets, classes)
    layer = theirs.linear_layer(encoder.feature_size, classes).to(device)
    loader = torch.utils.data.DataLoader(sets[1], 512)
    times = take_turns(
        {
            "ours": lambda: recognize(scratch / "linear" / "run"),
            "epochs": lambda: literal(epochs=size.literal_epochs),
            "test": lambda: theirs.accuracy(copy, layer, loader, device),
        },
        min(size.repeats, 3),
        device,
    )
    epoch = times["epochs"].seconds / size.literal_epochs
    extrapolated = Timing(EPOCHS * epoch + TESTS * times["test"].seconds, times["epochs"].peak)

    ours, literals = _accuracies(size, literal, scratch / "linear" / "run")
    with torch.inference_mode():
        features = encoder(derive(whole_clips(store, test, device))).cpu()
    difference = (features - theirs.extract_features(copy, sets[1])[0]).abs().max().item()
    facts = {
        "literal_extrapolated_from_epochs": size.literal_epochs,
        "top1": _spread(ours),
        "literal_top1": _spread(literals),
        "seeds": size.seeds,
        "epochs_of_top1": size.accuracy_epochs,
        "greatest_difference_of_features": difference,
    }
    clips = len(train) + len(test)
    case = f"hidden {size.evaluation_hidden}, {EPOCHS} epochs"
    return [Row("linear", case, clips, times["ours"], extrapolated, facts)]


def _accuracies(
    size: Size, literal: Callable[..., list], run: Path
) -> tuple[list[float], list[float]]:
    """Top-1 accuracy in percent for each seed: of this code, and of the literal version."""
    ours, literals = [], []
    milestones = [size.accuracy_epochs * milestone // EPOCHS for milestone in MILESTONES]
    training = replace(
        LINEAR,
        epochs=size.accuracy_epochs,
        batch_size=ACCURACY_BATCH,
        schedule=tuple(milestones),
    )
    for seed in range(size.seeds):
        ours.append(recognize(run, training, seed)["top1"])
        torch.manual_seed(seed)
        tests = literal(epochs=size.accuracy_epochs, batch=ACCURACY_BATCH, milestones=milestones)
        literals.append(100 * tests[-1][1])
    return ours, literals


def _literal_encoder(encoder: torch.nn.Module) -> dict[str, torch.Tensor]:
    weights = {f"encoder.{key}": tensor for key, tensor in encoder.state_dict().items()}
    renamed = inputs.literal_weights(weights)
    return {key.removeprefix("backbone."): tensor for key, tensor in renamed.items()}


def _spread(values: list[float]) -> str:
    """Mean and standard deviation over the seeds, in percent."""
    return f"{statistics.mean(values):.1f} ± {statistics.pstdev(values):.1f} %"


def neighbors_mib(queries: int, database: int, dimensions: int, chunk: int = CHUNK) -> float:
    """Most memory in MiB that `nearest` (k = 1) holds beside its arguments.

    It holds normalized copies of queries and database, the similarities of a chunk, and a value and
    an index for each query (twice, while the chunks are joined).
    """
    similarities = min(max(chunk, database), queries * database)
    return (4 * dimensions * (queries + database) + 4 * similarities + 24 * queries) / MIB


def knn(size: Size, device: torch.device, scratch: Path, data_path: Path | None) -> list[Row]:
    """Measure exact neighbors beside scikit-learn's brute force, and tell the bound on memory."""
    n, m, dimensions = size.neighbors
    queries, database = (torch.randn(rows, dimensions, device=device) for rows in (n, m))
    arrays = database.cpu().numpy(), queries.cpu().numpy()

    def scikit_learn() -> np.ndarray:
        brute = NearestNeighbors(n_neighbors=1, algorithm="brute", metric="cosine")
        return brute.fit(arrays[0]).kneighbors(arrays[1], return_distance=False)

    times = take_turns(
        {"ours": lambda: nearest(queries, database, 1), "literal": scikit_learn},
        size.repeats,
        device,
    )
    same = bool((nearest(queries, database, 1)[1].cpu().numpy() == scikit_learn()).all())
    facts = {"identical": same, "bound_mib": neighbors_mib(n, m, dimensions)}
    case = f"{n} x {m} x {dimensions} beside scikit-learn"
    rows = [Row("knn", case, n, times["ours"], times["literal"], facts)]

    n, m, dimensions = size.huge
    bound = neighbors_mib(n, m, dimensions)
    if device.type == "cuda":
        queries, database = (torch.randn(k, dimensions, device=device) for k in (n, m))
        timing = take_turns({"ours": lambda: nearest(queries, database, 1)}, 3, device)["ours"]
        case = f"{n} x {m} x {dimensions}"
        rows.append(Row("knn", case, n, timing, facts={"bound_mib": bound}))
    else:
        facts["bound_mib_63026_x_50919_x_2048"] = bound
    return rows
