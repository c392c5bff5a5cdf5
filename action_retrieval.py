"""Action retrieval: nearest neighbours among the training clips.

    python action_retrieval.py --checkpoint-path checkpoints/ntu60_xsub

Each test clip takes the class of its nearest training clips, by cosine similarity of features.
"""

import argparse

from torch.utils.tensorboard import SummaryWriter

from tools import cli, evaluation
from tools.neighbours import nearest, vote


def parse_args() -> argparse.Namespace:
    parser = cli.Parser(__doc__.splitlines()[0])
    evaluation.add_arguments(parser)
    retrieval = parser.add_argument_group("retrieval")
    retrieval.add_argument(
        "--knn-neighbours", type=cli.whole_number(1), default=1, help="neighbours that vote"
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    subject = evaluation.load_subject(args)
    k = args.knn_neighbours
    if k > len(subject.train):
        raise cli.UserError(f"--knn-neighbours {k} is more than {len(subject.train)} clips")
    database = evaluation.extract_features(subject, subject.train, "encoding training clips")
    queries = evaluation.extract_features(subject, subject.test, "encoding test clips")

    _, neighbours = nearest(queries, database, k)  # (n, k)
    predicted = vote(evaluation.labels(subject, subject.train)[neighbours])
    right = predicted == evaluation.labels(subject, subject.test)
    accuracy = 100 * right.float().mean().item()

    with SummaryWriter(subject.folder / f"retrieval_{subject.name}") as writer:
        writer.add_scalar(f"retrieval/accuracy_{k}nn", accuracy)
    path = evaluation.write_results(subject, "retrieval", {"neighbours": k, "accuracy": accuracy})
    print(
        f"{subject.name} encoder, {subject.store.dataset} {subject.protocol}: "
        f"{k}-NN accuracy {accuracy:.2f} %\nwritten to {path}"
    )


if __name__ == "__main__":
    cli.run(main)
