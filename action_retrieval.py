"""Action retrieval: nearest neighbours among the training clips.

    python action_retrieval.py --checkpoint-path checkpoints/ntu60_xsub

Each test clip takes the class of its nearest training clips, by cosine similarity of features. With
--query, the training clips that are nearest to a new recording are shown instead.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from data_gen.preparing.commands import command
from tools import cli
from tools.evaluation import confusion, encoders, flags, results, retrieved
from tools.evaluation.encoders import LoadedEncoder
from tools.evaluation.features import (
    Halves,
    encode,
    encode_clip,
    extract_features,
    halves_for,
    read_recording,
    save_features,
)
from tools.evaluation.neighbours import nearest
from tools.evaluation.results import Evaluation
from tools.evaluation.retrieval import retrieve

SHOWN = 5  # of --query, or as many as --knn-neighbours asks for


# fmt: off
def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    flags.add_encoder_and_data(parser)
    retrieval = parser.add_argument_group("retrieval")
    retrieval.add_argument("--knn-neighbours", type=cli.whole_number(1), nargs="+", default=[1],
                           metavar="K", help="how many neighbours vote; several numbers: each")
    retrieval.add_argument("--query", type=Path, metavar="FILE.skeleton",
                           help="show the training clips nearest to this recording, no more")
    return parser.parse_args(argv)
# fmt: on


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    start = time.perf_counter()

    # ---- encoder and data
    device = encoders.best_device()
    loaded = encoders.load(args.checkpoint_path, args.pretrained, seed=args.seed, device=device)
    data = halves_for(loaded, args.data_root, args.finetune_dataset, args.protocol)
    if (most := max(args.knn_neighbours)) > len(data.train):
        raise cli.UserError(f"--knn-neighbours {most} is more than {len(data.train)} clips")
    if args.query:
        show(loaded, data, args.modalities, args.query, max(SHOWN, most))
        return

    # ---- neighbours of the test clips
    features = encode(loaded.encoder, data, [args.modalities])
    if args.save_features:
        save_features(args.save_features, features)
    found = retrieve(features, args.knn_neighbours)

    # ---- results
    settings = {"knn_neighbours": args.knn_neighbours}
    evaluation = Evaluation("retrieval", loaded, data, args.modalities, settings, args.seed)
    path = results.write(evaluation, found.figures(), time.perf_counter() - start)
    classes = data.store.label[data.test]
    matrix = confusion.confusion(data.store.class_names, classes, found.predicted.cpu())
    with results.new_events(evaluation.events) as writer:
        for k, accuracy in found.accuracies.items():
            writer.add_scalar(f"retrieval/accuracy_{k}nn", accuracy)
        confusion.write(matrix, path, writer)
    table = retrieved.table(data.store.names, data.test, found.found, found.similarity)
    retrieved.write(path.with_name(f"{path.stem}_neighbours.csv"), table)
    said = [f"{k}-NN accuracy {accuracy:.2f} %" for k, accuracy in found.accuracies.items()]
    said.append(f"recall@5 {found.recalls[5]:.2f} %")
    if found.mean_precision is not None:
        said.append(f"mAP {found.mean_precision:.2f} %")
    if found.unseen:
        said.append(f"{found.unseen} of {len(data.test)} test clips have a class without training")
    print(
        f"{loaded.kind} encoder, {data.store.title} {data.protocol}: {', '.join(said)}\n"
        f"written to {path}\nnext: {command('tools.report', loaded.folder)}"
    )


def show(
    loaded: LoadedEncoder, data: Halves, modalities: tuple[str, ...], query: Path, count: int
) -> None:
    """Print the training clips nearest to a recording, one a line, under the columns' names."""
    feature = encode_clip(loaded.encoder, read_recording(query), modalities)
    database = extract_features(loaded.encoder, data.store, data.train, modalities)
    values, indices = nearest(feature[None], database, min(count, len(database)))
    names = data.store.class_names
    print("cosine similarity, training clip, action")
    for similarity, row in zip(values[0].tolist(), data.train[indices[0].cpu()], strict=True):
        action = int(data.store.action[row])
        print(f"{similarity:.4f}  {data.store.names[row]}  A{action:03d} {names[action - 1]}")


if __name__ == "__main__":
    cli.run(main)
