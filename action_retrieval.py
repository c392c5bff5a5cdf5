"""Action retrieval: nearest neighbors among the training clips.

    python action_retrieval.py --checkpoint-path checkpoints/ntu60_xsub

The predicted class of a test clip is that of its nearest training clips, by the cosine similarity
of features. With --query the command shows the training clips nearest to a new recording instead.
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

if TYPE_CHECKING:  # these modules import torch, which is slow
    from tools.evaluation.features import Features
    from tools.evaluation.labels import Labels
    from tools.evaluation.results import Evaluation
    from tools.evaluation.standardize import Scale

SHOWN = 5  # training clips that --query shows at least; more if --knn-neighbours asks for more


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    flags.add_encoder_and_data(parser)
    retrieval = parser.add_argument_group("retrieval")
    retrieval.add_argument("--knn-neighbours", type=cli.whole_number(1), nargs="+",
                           metavar="K", default=argparse.SUPPRESS,
                           help="number of neighbors that vote; several: an accuracy for each (1)")
    retrieval.add_argument("--query", type=Path, metavar="FILE.skeleton",
                           help="only show the training clips nearest to this recording")
    flags.add_reading(parser)
    args = parser.parse_args(argv)
    if args.runs > 1 and not (args.label_fraction or args.labels_per_class):
        parser.error("--runs is for --label-fraction or --labels-per-class, else all are alike")
    return args
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    """Run the evaluation that the flags ask for; write and print its results."""
    args = parse_args(argv)
    from tools.evaluation import altered_clips, encoders, features, retrieval, standardize
    from tools.evaluation.labels import Labels
    from tools.evaluation.results import Evaluation

    start = time.perf_counter()
    settings = {key: getattr(args, key, value) for key, value in defaults("retrieval").items()}
    settings["standardize"] = False  # standardized features are a second result
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

    # ---- neighbors by the features as they are and, with --standardize, by standardized features
    encoded = features.encode(loaded.encoder, data, [names])
    if args.save_features:
        features.save_features(args.save_features, encoded)
    publish(evaluation, encoded, labels, curves)
    if args.standardize:
        encoded, scale = standardize.standardized(encoded)
        named = evaluation._replace(settings=settings | {"standardize": True})
        publish(named, encoded, labels, curves, scale)


def publish(
    evaluation: "Evaluation",
    features: "Features",
    labels: "Labels",
    curves: dict[str, list[float]],
    scale: "Scale | None" = None,
) -> None:
    """Find the neighbors of the test clips; write and print the results.

    evaluation: the encoder, the data and the settings
    features: the features of training and test clips
    labels: how many training clips of each class may be neighbors
    curves: {kind: amounts} of the curves over altered test clips
    scale: how the features were standardized, if they were
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
    figures = retrieval.summary(runs)
    path = results.write(evaluation, figures)
    predicted = results.predicted(runs).cpu()
    classes = [*data.store.label[data.test]] * len(runs)
    matrix = confusion.confusion(data.store.class_names, classes, predicted)
    with results.new_events(events) as writer:
        for k, accuracy in figures["accuracies"].items():
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

    parts = ["features standardized"] if scale else []
    parts += [f"{k}-NN accuracy {accuracy:.2f} %" for k, accuracy in figures["accuracies"].items()]
    parts += [f"recall@5 {figures['recall_at_5']:.2f} %"]
    parts += [] if figures["map"] is None else [f"mAP {figures['map']:.2f} %"]
    if unseen := figures["test_clips_of_classes_without_training"]:
        parts.append(f"{unseen} of {len(data.test)} test clips have a class without training")
    parts += [f"means of {len(runs)} runs"] if len(runs) > 1 else []
    print(
        f"{loaded.kind} encoder, {data.store.title} {data.protocol}: {', '.join(parts)}\n"
        f"written to {', '.join(map(str, [path, *drawn]))}\n"
        f"next: {command('tools.report', loaded.folder)}"
    )


def show(evaluation: "Evaluation", query: Path, *, standardized: bool) -> None:
    """Print the training clips nearest to a recording, one in a line.

    evaluation: the encoder, the data and the settings
    query: the recording, a `.skeleton` file
    standardized: whether to print the nearest clips by standardized features too
    """
    from tools.evaluation.features import encode_clip, extract_features, read_recording
    from tools.evaluation.neighbors import nearest
    from tools.evaluation.standardize import scale_of

    encoder, store, rows = evaluation.loaded.encoder, evaluation.data.store, evaluation.data.train
    names = evaluation.modalities
    feature = encode_clip(encoder, read_recording(query), names)[None]
    database = extract_features(encoder, store, rows, names, what="encoding training clips")
    count = min(max(SHOWN, *evaluation.settings["knn_neighbours"]), len(rows))
    searches = {"": (feature, database)}
    if standardized:
        scale = scale_of(database)
        searches[" of standardized features"] = (scale.apply(feature), scale.apply(database))
    for which, (feature, database) in searches.items():
        print(f"cosine similarity{which}, training clip, action")
        values, indices = nearest(feature, database, count)
        for similarity, row in zip(values[0].tolist(), rows[indices[0].cpu().numpy()], strict=True):
            action = f"A{store.action[row]:03d} {store.class_names[store.label[row]]}"
            print(f"{similarity:.4f}  {store.names[row]}  {action}")


if __name__ == "__main__":
    cli.run(main)
