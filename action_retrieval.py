"""Action retrieval: nearest neighbors among the training clips.

    python action_retrieval.py --checkpoint-path checkpoints/ntu60_xsub

The predicted class of a test clip is that of its nearest training clips, by the cosine similarity
of features (tools/evaluation/neighbors.py). With --query the command shows the training clips
nearest to a new recording instead.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import common
from tools.evaluation import confusion, encoders, features, flags, neighbors, results, robustness
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import Features, Halves
from tools.evaluation.results import Evaluation
from tools.evaluation.standardize import scale_of, standardized

SHOWN = 5  # training clips that --query shows at least; more if --knn-neighbours asks for more
# Flags of evaluations that have no effect with --query.
WITHOUT_QUERY = ("save_features", "label_fraction", "labels_per_class", "map", *robustness.KINDS)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    flags.add_shared(parser)
    add = parser.add_argument_group("retrieval").add_argument
    add("--knn-neighbours", type=int, nargs="+", default=[1], metavar="K",
        help="number of neighbors that vote; several: an accuracy for each (1)")  # fmt: skip
    add("--map", action="store_true", help="mean average precision, which sorts all similarities")
    add("--query", type=Path, metavar="FILE", help="only show the clips nearest to this recording")
    args = parser.parse_args(argv)
    flags.check_shared(parser, args)
    if min(args.knn_neighbours) < 1:
        parser.error("--knn-neighbours must be at least 1")
    if args.runs > 1 and not (args.label_fraction or args.labels_per_class):
        parser.error("--runs is for --label-fraction or --labels-per-class, else all are alike")
    if args.query and (
        given := [n for n in WITHOUT_QUERY if getattr(args, n) not in (None, False)]
    ):
        parser.error(f"--{given[0].replace('_', '-')} has no effect with --query")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args, start = parse_args(argv), time.perf_counter()
    curves = flags.curves(args)

    # ---- encoder and data
    loaded = encoders.load(
        args.checkpoint_path, args.pretrained, seed=args.seed, device=encoders.best_device()
    )
    data = features.halves_for(loaded, args.data_root, args.finetune_dataset, args.protocol)
    if args.classes:
        data = features.of_classes(data, flags.classes_in(args.classes))
    robustness.check(data.store, curves)
    modalities = args.modalities or loaded.modalities
    if args.query:
        show(loaded, data, modalities, args)
        return
    names = ("label_fraction", "labels_per_class", "classes", "knn_neighbours")
    evaluation = Evaluation(
        task="retrieval",
        loaded=loaded,
        data=data,
        modalities=modalities,
        settings={name: getattr(args, name) for name in names},
        seed=args.seed,
        runs=args.runs,
        start=start,
    )

    # ---- neighbors by the features as they are and, with --standardize, by standardized features
    encoded = features.encode(loaded.encoder, data, evaluation.streams)  # each clip once
    if args.save_features:
        features.save_features(args.save_features, encoded)
    publish(evaluation, encoded, args, curves)
    if args.standardize:
        encoded, scale = standardized(encoded)
        publish(replace(evaluation, scale=scale), encoded, args, curves)
    print(f"next: python -m tools.report {loaded.folder}")


def publish(
    evaluation: Evaluation,
    encoded: Features,
    args: argparse.Namespace,
    curves: dict[str, list[float]],
) -> None:
    """Find the neighbors of the test clips; write and print the results.

    curves: {kind: amounts} of the curves over incomplete test clips.
    """
    loaded, data, scale = evaluation.loaded, evaluation.data, evaluation.scale
    votes, labels = args.knn_neighbours, flags.labels(args)
    runs = [
        neighbors.retrieve(encoded, votes, labels, seed, rank_all=args.map)
        for seed in evaluation.seeds
    ]
    figures = neighbors.summary(runs) | features.untrained(data)
    path = results.write(evaluation, figures)

    # ---- TensorBoard, confusion matrix, the nearest clips of each test clip
    with results.new_events(evaluation.file("")) as writer:
        for k, accuracy in figures["accuracies"].items():
            writer.add_scalar(f"retrieval/accuracy_{k}nn", accuracy)
        confusion.write(evaluation, np.stack([run.predicted.cpu() for run in runs]), writer)
    neighbors.write_table(evaluation.file("_neighbours.csv"), data, runs[0])

    # ---- curves over incomplete test clips
    def accuracies(load: features.Loader) -> list[float]:
        rows, streams = data.test, evaluation.streams
        test = features.extract_features(loaded.encoder, data.store, rows, streams, load=load)
        altered = encoded._replace(test=scale.apply(test) if scale else test)
        again = (neighbors.retrieve(altered, votes[:1], labels, seed) for seed in evaluation.seeds)
        return [run.figures["accuracy"] for run in again]

    drawn = robustness.write_curves(evaluation, curves, accuracies)

    # ---- what is printed
    parts = ["features standardized"] if scale else []
    parts += [f"{k}-NN accuracy {accuracy:.2f} %" for k, accuracy in figures["accuracies"].items()]
    parts += [f"recall@5 {figures['recall_at_5']:.2f} %"]
    parts += [] if figures["map"] is None else [f"mAP {figures['map']:.2f} %"]
    parts += [f"means of {len(runs)} runs"] if len(runs) > 1 else []
    print(f"{loaded.kind} encoder, {data.store.title} {data.protocol}: {', '.join(parts)}")
    if unseen := figures["classes_without_training"]:
        clips = figures["test_clips_of_classes_without_training"]
        print(f"{clips} of {len(data.test)} test clips have a class without training clip: "
              f"{', '.join(unseen)}")  # fmt: skip
    print(f"written to {', '.join(map(str, [path, *drawn]))}")


def show(
    loaded: LoadedEncoder, data: Halves, modalities: tuple[str, ...], args: argparse.Namespace
) -> None:
    """Print the training clips nearest to a recording, by standardized features, too, if asked."""
    store, encoder = data.store, loaded.encoder
    clip = features.read_recording(args.query, store.description)
    query = features.encode_clip(encoder, clip, modalities)[None]
    what = "encoding training clips"
    (bank,) = features.extract_features(encoder, store, data.train, [modalities], what=what)
    searches = {"": (query, bank)}
    if args.standardize:
        scale = scale_of(bank)
        searches[" of standardized features"] = (scale.apply(query), scale.apply(bank))
    count = min(max(SHOWN, *args.knn_neighbours), len(bank))
    for which, (one, among) in searches.items():
        print(f"cosine similarity{which}, training clip, action")
        (values,), (indices,) = neighbors.nearest(one, among, count)
        for similarity, row in zip(values.tolist(), data.train[indices.cpu().numpy()], strict=True):
            action = f"A{store.action[row]:03d} {store.class_names[store.label[row]]}"
            print(f"{similarity:.4f}  {store.names[row]}  {action}")


if __name__ == "__main__":
    common.run(main)
