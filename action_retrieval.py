"""Action retrieval: nearest neighbors among the training clips.

    python action_retrieval.py --checkpoint-path checkpoints/ntu60_xsub

Each test clip takes the class of its nearest training clips, by cosine similarity of features. With
--query, the training clips that are nearest to a new recording are shown instead.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_gen.preparing.commands import command
from tools import cli
from tools.evaluation import flags
from tools.evaluation.settings import defaults

if TYPE_CHECKING:  # they import torch, which is slow
    from tools.evaluation.features import Features
    from tools.evaluation.labels import Labels
    from tools.evaluation.results import Evaluation
    from tools.evaluation.standardize import Scale

SHOWN = 5  # of --query, or as many as --knn-neighbours asks for


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    flags.add_encoder_and_data(parser)
    retrieval = parser.add_argument_group("retrieval")
    retrieval.add_argument("--knn-neighbours", type=cli.whole_number(1), nargs="+",
                           metavar="K", default=argparse.SUPPRESS,
                           help="how many neighbors vote; several numbers: each (1)")
    retrieval.add_argument("--query", type=Path, metavar="FILE.skeleton",
                           help="show the training clips nearest to this recording, no more")
    flags.add_reading(parser)
    args = parser.parse_args(argv)
    if args.runs > 1 and not (args.label_fraction or args.labels_per_class):
        parser.error("--runs is for --label-fraction or --labels-per-class, else all are alike")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    from tools.evaluation import altered_clips, encoders, features, retrieval, standardize
    from tools.evaluation.labels import Labels
    from tools.evaluation.results import Evaluation

    start = time.perf_counter()
    usual = defaults("retrieval")
    settings = {key: getattr(args, key, value) for key, value in usual.items()}
    settings["standardize"] = False  # this comes second
    labels = Labels(args.label_fraction, args.labels_per_class)
    curves = flags.curves(args)

    # ---- encoder and data
    device = encoders.best_device()
    loaded = encoders.load(args.checkpoint_path, args.pretrained, seed=args.seed, device=device)
    data = features.halves_for(loaded, args.data_root, args.finetune_dataset, args.protocol)
    data = features.of_classes(data, flags.classes_in(args.classes)) if args.classes else data
    retrieval.check(settings["knn_neighbours"], len(data.train))
    altered_clips.check(data.store, curves)
    names = args.modalities or loaded.modalities
    evaluation = Evaluation(
        *("retrieval", loaded, data, names, settings, args.seed, args.runs), start
    )
    if args.query:
        show(evaluation, args.query, standardized=args.standardize)
        return

    # ---- neighbors by the features as they are and, if asked for, standardized
    found = features.encode(loaded.encoder, data, [names])
    if args.save_features:
        features.save_features(args.save_features, found)
    publish(evaluation, found, labels, curves)
    if args.standardize:
        inputs, scale = standardize.standardized(found)
        way = evaluation._replace(settings=settings | {"standardize": True})
        publish(way, inputs, labels, curves, scale)


def publish(
    evaluation: "Evaluation",
    features: "Features",
    labels: "Labels",
    curves: dict[str, list[float]],
    scale: "Scale | None" = None,
) -> None:
    """Find the neighbors of the test clips; write and print what was found.

    labels: how many training clips of each class can be found. curves: those over altered test
    clips, {kind: amounts}. scale: by which the features were standardized.
    """
    from tools.evaluation import (
        confusion,
        results,
        retrieval,
        retrieved_clips,
        robustness,
        standardize,
    )

    loaded, data, events = evaluation.loaded, evaluation.data, evaluation.events
    neighbors, seeds = evaluation.settings["knn_neighbours"], evaluation.seeds
    runs = retrieval.retrieve(features, neighbors, labels, seeds)
    found = retrieval.summary(runs)
    path = results.write(evaluation, found)
    predicted = results.predicted(runs).cpu()
    classes = [*data.store.label[data.test]] * len(runs)
    matrix = confusion.confusion(data.store.class_names, classes, predicted)
    with results.new_events(events) as writer:
        for k, accuracy in found["accuracies"].items():
            writer.add_scalar(f"retrieval/accuracy_{k}nn", accuracy)
        confusion.write(matrix, path, writer)
    table = retrieved_clips.table(data.store.names, data.test, runs[0].found, runs[0].similarity)
    retrieved_clips.write(path.with_name(f"{path.stem}_neighbours.csv"), table)
    if scale:
        standardize.write(path.with_name(f"{path.stem}_scale.npz"), scale)
    accuracies = robustness.of_retrieval(
        *(loaded.encoder, features, evaluation.modalities, neighbors[0], labels, seeds, scale)
    )
    drawn = [
        robustness.write(robustness.curve(kind, amounts, accuracies), path)
        for kind, amounts in curves.items()
    ]

    said = ["features standardized"] if scale else []
    said += [f"{k}-NN accuracy {accuracy:.2f} %" for k, accuracy in found["accuracies"].items()]
    said += [f"recall@5 {found['recall_at_5']:.2f} %"]
    said += [] if found["map"] is None else [f"mAP {found['map']:.2f} %"]
    if unseen := found["test_clips_of_classes_without_training"]:
        said.append(f"{unseen} of {len(data.test)} test clips have a class without training")
    said += [f"means of {len(runs)} runs"] if len(runs) > 1 else []
    print(
        f"{loaded.kind} encoder, {data.store.title} {data.protocol}: {', '.join(said)}\n"
        f"written to {', '.join(map(str, [path, *drawn]))}\n"
        f"next: {command('tools.report', loaded.folder)}"
    )


def show(evaluation: "Evaluation", query: Path, *, standardized: bool) -> None:
    """Print the training clips nearest to a recording, one a line, under the columns' names.

    standardized: print those by standardized features, too.
    """
    from tools.evaluation.features import encode_clip, extract_features, read_recording
    from tools.evaluation.neighbors import nearest
    from tools.evaluation.standardize import scale_of

    encoder, store, rows = evaluation.loaded.encoder, evaluation.data.store, evaluation.data.train
    names = evaluation.modalities
    feature = encode_clip(encoder, read_recording(query), names)[None]
    database = extract_features(encoder, store, rows, names, what="encoding training clips")
    count = min(max(SHOWN, *evaluation.settings["knn_neighbours"]), len(rows))
    ways = {"": (feature, database)}
    if standardized:
        scale = scale_of(database)
        ways[" of standardized features"] = (scale.apply(feature), scale.apply(database))
    for how, (one, among) in ways.items():
        print(f"cosine similarity{how}, training clip, action")
        values, indices = nearest(one, among, count)
        for similarity, row in zip(values[0].tolist(), rows[indices[0].cpu().numpy()], strict=True):
            action = f"A{store.action[row]:03d} {store.class_names[store.label[row]]}"
            print(f"{similarity:.4f}  {store.names[row]}  {action}")


if __name__ == "__main__":
    cli.run(main)
