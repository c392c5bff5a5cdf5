"""How large the measured inputs are."""

from typing import NamedTuple


class Size(NamedTuple):
    """Sizes of everything that is measured, in clips unless something else is said."""

    recordings: tuple[int, int]  # raw files that both versions read: people, actions; 3 cameras
    linked: int  # raw files for several workers, links to those
    many: int  # raw files of few frames, for the bound on memory
    models: tuple[tuple[int, int], ...]  # (hidden size, batch) of steps beside the literal one
    width: int  # of the projectors
    views: int  # batch of the input
    evaluation: tuple[int, int]  # data set of linear evaluation: people, actions; 3 cameras
    evaluation_hidden: int
    accuracy_epochs: int  # of linear evaluations whose accuracies are compared
    seeds: int  # of those
    literal_epochs: int  # from which the literal time of 150 is extrapolated
    neighbors: tuple[int, int, int]  # queries, database, dimensions
    huge: tuple[int, int, int]  # the same, where the bound on memory is shown
    store: int  # clips of the store that training is measured on
    batches: tuple[int, ...]  # of that training
    hidden: int  # size of that training's model
    steps: int  # of that training, in one measurement
    compiled: tuple[bool, ...]  # whether torch.compile is used there
    matrix: int  # rows of the square product that rates are held against
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
    steps=38,  # an epoch of the larger batch, so that reading ahead is not for nothing
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
