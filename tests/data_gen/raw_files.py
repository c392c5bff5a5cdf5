"""Write raw `.skeleton` files for tests."""

from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"
HEADER = "72057594037931101 0 1 1 1 1 0 0.01119184 -0.256052 2"
REST = "277.419 191.8218 NaN NaN -0.2059419 0.05349901 0.9692109 -0.1239193 2"


def raw_text(frames: list[list[np.ndarray]], numbers: list[list[int]] | None = None) -> str:
    """The text of a raw file; frames: for each its bodies (25, 3); numbers: of tracking."""
    lines = [str(len(frames))]
    for t, bodies in enumerate(frames):
        lines.append(str(len(bodies)))
        for m, body in enumerate(bodies):
            number = HEADER.split()[0] if numbers is None else str(numbers[t][m])
            lines += [f"{number} {HEADER.split(maxsplit=1)[1]}", str(len(body))]
            lines += [f"{x!r} {y!r} {z!r} {REST}" for x, y, z in np.asarray(body).tolist()]
    return "\n".join(lines) + "\n"


def random_frames(counts: list[int], seed: int = 0) -> list[list[np.ndarray]]:
    """Random bodies some metres in front of the camera; counts: how many in each frame."""
    rng = np.random.default_rng(seed)
    return [[rng.normal((0, 0, 3), 0.5, (25, 3)) for _ in range(count)] for count in counts]


def write_clips(folder: Path, names: list[str], counts: list[int] = (1, 1, 2)) -> Path:
    """Write a folder with a small raw file of each name."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        (folder / f"{name}.skeleton").write_text(raw_text(random_frames(counts, seed)))
    return folder
