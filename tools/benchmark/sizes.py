"""How large the measured inputs are."""

from typing import NamedTuple


class Size(NamedTuple):
    """Sizes of everything that is measured; in clips, unless a comment says otherwise."""

    recordings: tuple[int, int]  # raw files that both versions read: people, actions; 3 cameras
    linked: int  # links to these raw files, for several workers
    many: int  # raw files of few frames, to show how memory grows
    models: tuple[tuple[int, int], ...]  # (hidden size, batch) of the measured steps
    width: int  # outputs of a projector
    views: int  # batch of the measured input
    evaluation: tuple[int, int]  # data set of linear evaluation: people, actions; 3 cameras
    evaluation_hidden: int
    accuracy_epochs: int  # epochs of the linear evaluations whose accuracies are compared
    seeds: int  # seeds of these evaluations
    literal_epochs: int  # epochs from which the literal time of 150 epochs is extrapolated
    neighbors: tuple[int, int, int]  # queries, database, dimensions
    huge: tuple[int, int, int]  # the same, for the bound on memory
    store: int  # clips of the store on which training is measured
    batches: tuple[int, ...]  # batches of this training
    hidden: int  # hidden size of this training
    steps: int  # steps of this training in one measurement
    compiled: tuple[bool, ...]  # whether this training uses torch.compile
    matrix: int  # rows of the square product whose rate is the measure
    repeats: int  # of each measurement


SMALL = Size(
    recordings=(4, 4),
    linked=6_000,
    many=100_000,
    models=((128, 64), (1024, 16)),
    width=4096,
    views=64,
    evaluation=(12, 16),
    evaluation_hidden=128,
    accuracy_epochs=20,
    seeds=20,
    literal_epochs=2,
    neighbors=(2048, 8192, 256),
    huge=(50_919, 63_026, 2048),
    store=2_000,
    batches=(64,),
    hidden=128,
    steps=5,
    compiled=(False,),
    matrix=2048,
    repeats=5,
)
FULL = SMALL._replace(
    views=512,
    evaluation_hidden=1024,
    store=40_091,
    batches=(512, 1024),
    hidden=1024,
    steps=38,  # an epoch of the larger batch, so that reading ahead takes part
    compiled=(False, True),
    matrix=8192,
)
TOY = SMALL._replace(
    recordings=(3, 1),
    linked=24,
    many=48,
    models=((8, 4),),
    width=16,
    views=4,
    evaluation=(3, 2),
    evaluation_hidden=8,
    accuracy_epochs=5,
    seeds=2,
    literal_epochs=1,
    neighbors=(32, 64, 8),
    store=120,
    batches=(8,),
    hidden=8,
    steps=2,
    matrix=32,
    repeats=1,
)
SIZES = {"toy": TOY, "small": SMALL, "full": FULL}
