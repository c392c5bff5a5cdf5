"""Pictures put together: order, frames, files."""

import torch

from tools.drawing import sheets


def test_rows_keep_order_and_evenly_keeps_both_ends():
    tiles = [
        [torch.full((3, 8, 8), 10 * r + c, dtype=torch.uint8) for c in range(3)] for r in (0, 1)
    ]
    sheet = sheets.rows(tiles)
    assert sheet.shape == (3, 2 * 10 + 2, 3 * 10 + 2)
    assert [sheet[0, 2 + 10 * r, 2 + 10 * c].item() for r in (0, 1) for c in (0, 1, 2)] == [
        *(0, 1, 2),
        *(10, 11, 12),
    ]
    assert sheets.evenly(100, 5) == [0, 25, 50, 74, 99]
    assert sheets.evenly(3, 8) == [0, 1, 2]
