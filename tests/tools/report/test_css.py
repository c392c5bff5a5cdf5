"""The colors of the report's text, as its style sheet has them."""

import re
from itertools import product

import pytest

from tools.report.build import PARTS

CSS = (PARTS / "page.css").read_text()
BACKGROUNDS = ("paper", "surface")
TEXTS = ("ink", "muted", "first", "right", "wrong", *(f"run{i}" for i in range(1, 7)))


def luminance(color: str) -> float:
    """Relative luminance of #rgb or #rrggbb (WCAG 2)."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    rgb = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def palettes() -> list[dict[str, str]]:
    """The variables of the light and of the dark screen."""
    blocks = re.findall(r":root(?::not\(\.printing\))? \{(.*?)\}", CSS, re.S)
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]+);", block)) for block in blocks]


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
def test_text_has_contrast(palette):
    for text, background in product(TEXTS, BACKGROUNDS):
        found = contrast(palette[text], palette[background])
        assert found >= 4.5, f"--{text} on --{background}: {found:.2f}"


def test_text_has_no_other_color():
    assert len(palettes()) == 2 and contrast("#000", "#fff") == pytest.approx(21)
    assert set(re.findall(r"(?<![-\w])(?:color|fill): ([^;}]+)", CSS)) <= {
        *(f"var(--{name})" for name in TEXTS),
        *("inherit", "none"),
    }
    # Only what a reader fades on purpose is faint.
    assert re.findall(r"([^{}]+)\{[^{}]*(?<![-\w])opacity:", CSS) == ["\n.panels g.faint "]
