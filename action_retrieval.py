"""Action retrieval: nearest neighbors among the training clips.

    python action_retrieval.py --checkpoint-path checkpoints/ntu60_xsub

The predicted class of a test clip is that of its nearest training clips, by the cosine similarity
of features. With --query it shows the training clips nearest to a new recording instead.
"""

import argparse
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import common
from tools.evaluation import confusion, encoders, features, flags, results, robustness
from tools.evaluation.features import Features, TrainTestSplit, scale_of, standardized
from tools.evaluation.neighbors import average_precision, nearest, percent, vote
from tools.formats.tables import write_csv

SHOWN = 5  # training clips for each query: shown with --query, and in the table of neighbors
# Flags of evaluations that have no effect with --query.
WITHOUT_QUERY = ("save_features", "label_fraction", "labels_per_class", "map", *robustness.KINDS)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    flags.add_shared(parser)
    add = parser.add_argument_group("retrieval").add_argument
    votes = "neighbors that vote; several: an accuracy for each (1); with --query: clips shown (5)"
    add("--knn-neighbours", type=int, nargs="+", metavar="K", help=votes)
    add("--map", action="store_true", help="mean average precision, which sorts all similarities")
    add("--query", type=Path, metavar="FILE", help="only show the clips nearest to this recording")
    args = parser.parse_args(argv)
    flags.check_shared(parser, args)
    args.knn_neighbours = args.knn_neighbours or [SHOWN if args.query else 1]
    if min(args.knn_neighbours) < 1:
        parser.error("--knn-neighbours must be at least 1")
    without = [name for name in WITHOUT_QUERY if getattr(args, name) not in (None, False)]
    without += ["seed"] if args.seed and args.pretrained != "random" else []
    if args.query and without:
        parser.error(f"{common.flag(without[0])} has no effect with --query")
    if args.runs > 1 and not (args.label_fraction or args.labels_per_class):
        parser.error("--runs is for --label-fraction or --labels-per-class, else all are the same")
    return args


def main(argv: list[str] | None = None) -> None:
    args, start = parse_args(argv), time.perf_counter()

    # ---- encoder and data
    loaded = encoders.load(
        args.checkpoint_path, args.pretrained, seed=args.seed, device=encoders.best_device()
    )
    classes = flags.classes_in(args.classes)
    data = features.split_for(loaded, args.data_root, args.finetune_dataset, args.protocol, classes)
    args.modalities = modalities = loaded.modalities_of(args.modalities)
    if args.query:
        show(loaded.encoder, data, args)
        return
    settings = {name: getattr(args, name) for name in results.defaults("retrieval")}
    evaluation = results.Evaluation(
        "retrieval", loaded, data, modalities, settings, args.seed, args.runs, start
    )

    # ---- neighbors by the features as they are and, with --standardize, by standardized features
    encoded = features.encode(loaded.encoder, data, evaluation.streams)  # each clip once
    if args.save_features:
        features.save_features(args.save_features, encoded)
    evaluate(evaluation, encoded, args)
    if args.standardize:
        encoded, scale = standardized(encoded)
        evaluate(replace(evaluation, scale=scale), encoded, args)
    print(f"next: python -m tools.report {loaded.folder}")


def evaluate(evaluation: results.Evaluation, encoded: Features, args: argparse.Namespace) -> None:
    """Find the neighbors of the test clips in each run; write and print the results."""
    loaded, data, scale = evaluation.loaded, evaluation.data, evaluation.scale
    runs = [retrieve(encoded, args, seed, rank_all=args.map) for seed in evaluation.seeds]

    # ---- figures: means over runs, and an unbiased deviation
    each, votes = [run for run, *_ in runs], args.knn_neighbours
    figures = {"neighbours": votes[0], "runs": each}
    for name in ("accuracy", "map", "recall_at_1", "recall_at_5"):
        values = [run[name] for run in each]
        figures[name] = None if None in values else statistics.fmean(values)
    mean = {k: statistics.fmean(run["accuracies"][k] for run in each) for k in votes}
    tops = [run["accuracy"] for run in each]
    figures |= {"accuracies": mean, "accuracy_std": statistics.stdev(tops) if tops[1:] else None}
    path = results.write(evaluation, figures)

    # ---- TensorBoard, confusion matrix, the nearest clips of each test clip
    with results.new_events(evaluation.file("")) as writer:
        for k, accuracy in figures["accuracies"].items():
            writer.add_scalar(f"retrieval/accuracy_{k}nn", accuracy)
        predicted = np.stack([taken.cpu() for _, taken, *_ in runs])
        confusion.write(evaluation, predicted, writer)
    _, _, found, similarity = runs[0]
    names, header = np.array(data.store.names), ["query"]
    columns = [names[data.test]]
    for i in range(min(SHOWN, found.shape[1])):
        header += [f"found_{i + 1}", f"similarity_{i + 1}"]
        columns += [names[found[:, i]], [f"{value:.6f}" for value in similarity[:, i].tolist()]]
    write_csv(evaluation.file("_neighbours.csv"), header, zip(*columns, strict=True))

    # ---- curves over incomplete test clips
    def accuracy_of(load: features.Loader) -> list[float]:
        rows, streams = data.test, evaluation.streams
        test = features.extract_features(loaded.encoder, data.store, rows, streams, load=load)
        altered = encoded._replace(test=scale.apply(test) if scale else test)
        return [retrieve(altered, args, seed)[0]["accuracy"] for seed in evaluation.seeds]

    drawn = robustness.write_curves(evaluation, args.curves, accuracy_of)

    # ---- what is printed
    parts = [f"{k}-NN accuracy {accuracy:.2f} %" for k, accuracy in figures["accuracies"].items()]
    parts += [f"recall@5 {figures['recall_at_5']:.2f} %"]
    parts += [] if figures["map"] is None else [f"mAP {figures['map']:.2f} %"]
    parts += [f"means of {len(runs)} runs"] if len(runs) > 1 else []
    results.print_result(evaluation, ", ".join(parts), [path, *drawn])


def retrieve(
    encoded: Features, args: argparse.Namespace, seed: int, *, rank_all: bool = False
) -> tuple[dict[str, Any], Tensor, np.ndarray, Tensor]:
    """Find the labelled training clips nearest to each of m test clips, whose class is by vote.

    encoded: of one stream. rank_all: compute mean average precision, too.
    Returns the figures in percent; the predicted classes (m,), by the first of --knn-neighbours;
    rows of the store (m, k), nearest first, and their cosine similarities (m, k).
    """
    data, votes = encoded.data, args.knn_neighbours
    labelled = args.labels.draw(data.store.label[data.train], seed)
    kept = torch.from_numpy(labelled).to(encoded.train.device)
    (queries,), (bank,) = encoded.test, encoded.train[:, kept]
    classes, truth = encoded.train_classes[kept], encoded.test_classes
    if max(votes) > len(bank):
        raise common.UserError(f"--knn-neighbours {max(votes)} is more than {len(bank)} clips")

    similarity, indices = nearest(queries, bank, min(max(SHOWN, *votes), len(bank)))
    found = classes[indices]  # (m, k)
    predicted = {k: vote(found[:, :k]) for k in votes}
    accuracies = {k: percent(some == truth) for k, some in predicted.items()}
    precision = None
    if rank_all and torch.isin(truth, classes).any():
        precision = 100 * average_precision(queries, bank, truth, classes).nanmean().item()
    right = found == truth[:, None]
    figures = {"seed": seed, "labelled_clips": len(labelled), "neighbours": votes[0]}
    figures |= {"accuracy": accuracies[votes[0]], "accuracies": accuracies, "map": precision}
    figures["recall_at_1"] = percent(right[:, 0])
    figures["recall_at_5"] = percent(right[:, :5].any(1))
    rows = data.train[labelled][indices.cpu().numpy()]
    return figures, predicted[votes[0]], rows, similarity


def show(encoder: nn.Module, data: TrainTestSplit, args: argparse.Namespace) -> None:
    """Print the training clips nearest to a recording, by standardized features, too, if asked."""
    store, modalities = data.store, args.modalities
    clip = features.read_recording(args.query, store.description)
    query = features.encode_clip(encoder, clip, modalities)[None]
    (bank,) = features.extract_features(encoder, store, data.train, [modalities])
    ways = [("", query, bank)]
    if args.standardize:
        scale = scale_of(bank)
        ways.append((" of standardized features", scale.apply(query), scale.apply(bank)))
    for which, one, among in ways:
        print(f"cosine similarity{which}, training clip, action")
        (values,), (indices,) = nearest(one, among, min(max(args.knn_neighbours), len(bank)))
        for similarity, row in zip(values.tolist(), data.train[indices.cpu().numpy()], strict=True):
            action = f"A{store.action[row]:03d} {store.class_names[store.label[row]]}"
            print(f"{similarity:.4f}  {store.names[row]}  {action}")


if __name__ == "__main__":
    common.run(main)
