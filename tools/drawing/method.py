"""The picture of the method: a clip, its views, the one encoder, the projectors and the loss."""

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from feeder.skeletons import NTU
from net.modalities import FRAMES, MODALITIES
from tools.drawing import draw, scenes

WIDTH, HEIGHT = 12.6, 5.4  # inches; all positions below are in inches, too
PIXELS = 150  # width of a skeleton's picture
ROWS = (4.35, 3.05, 1.75, 0.45)  # height of each view: joint, bone, motion, fused
COLORS = {"joint": "#1f5fbf", "bone": "#17734a", "motion": "#a34e00", "fused": "#5b3f8c"}
GRAY = "#5c636a"
ENCODER = f"""one encoder
for all

transformer over
{FRAMES} frames
+
transformer over
{NTU.bodies * NTU.skeleton.num_joints} joints

maximum of each,
side by side"""


def picture(clip: Tensor, seed: int) -> Figure:
    """Draw the method with a clip (T, M, V, C) and the augmented views that a seed gives."""
    figure = Figure((WIDTH, HEIGHT), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    views_of(axes, clip, seed)
    encoder_of(axes)
    projectors_of(axes)
    loss_of(axes)
    return figure


def views_of(axes: Axes, clip: Tensor, seed: int) -> None:
    """Draw the clip and, below each other, its four views as the network gets them."""
    whole, *views = scenes.of_augmentation(clip, seed).items()
    show(axes, whole[1], 0.15, 2.05, 1.5)
    write(axes, 0.9, 1.85, "a clip", size=10)
    write(axes, 2.28, 0.12, "four views: crop, then shear or corruption", size=8, color=GRAY)
    for (name, scene), row, kind in zip(views, ROWS, COLORS, strict=True):
        show(axes, scene, 2.0, row - 0.1, 1.05)
        write(axes, 3.12, row + 0.42, name, color=COLORS[kind], align="left")
        arrow(axes, (1.65, 2.8), (1.98, row + 0.42))


def encoder_of(axes: Axes) -> None:
    """Draw the embeddings, the fusion and the one encoder."""
    for row, kind in zip(ROWS, COLORS, strict=True):
        words = f"embed {kind}" if kind != "fused" else "embed all three,\nmean, linear"
        arrow(axes, (4.02, row + 0.42), (4.22, row + 0.42), COLORS[kind])
        box(axes, 4.25, row + 0.12, 1.35, 0.6, words, COLORS[kind])
        arrow(axes, (5.62, row + 0.42), (6.0, row + 0.42), COLORS[kind])
    box(axes, 6.02, 0.35, 1.7, 4.95, ENCODER, GRAY)


def projectors_of(axes: Axes) -> None:
    """Draw one projector for each modality; the fused feature goes through all of them."""
    for row, kind in zip(ROWS, MODALITIES, strict=False):
        box(axes, 8.32, row + 0.12, 1.25, 0.6, f"project {kind}", COLORS[kind])
        arrow(axes, (7.75, row + 0.55), (8.3, row + 0.55), COLORS[kind])
        arrow(axes, (8.0, row + 0.29), (8.3, row + 0.29), COLORS["fused"])
    top, bottom = ROWS[0] + 0.29, ROWS[-1] + 0.42
    axes.plot((7.75, 8.0, 8.0), (bottom, bottom, top), color=COLORS["fused"], linewidth=1.1)
    write(axes, 8.95, 0.5, "the fused feature\ngoes through all three", color=COLORS["fused"])


def loss_of(axes: Axes) -> None:
    """Draw the outputs, and what the loss makes similar."""
    for row, kind in zip(ROWS, MODALITIES, strict=False):
        arrow(axes, (9.6, row + 0.55), (10.0, row + 0.62), COLORS[kind])
        arrow(axes, (9.6, row + 0.3), (10.0, row + 0.22), COLORS["fused"])
        write(axes, 10.22, row + 0.62, f"$z_{kind[0]}$", size=12, color=COLORS[kind])
        write(axes, 10.22, row + 0.2, f"$z_{{u{kind[0]}}}$", size=12, color=COLORS["fused"])
        axes.add_patch(
            FancyArrowPatch(
                (10.45, row + 0.62),
                (10.45, row + 0.22),
                arrowstyle="<->",
                mutation_scale=9,
                color=GRAY,
                connectionstyle="arc3,rad=-0.6",
            )
        )
        write(axes, 10.72, row + 0.42, "intra", color=GRAY, align="left")
        arrow(axes, (10.42, row + 0.66), (11.55, 3.47 + 0.12 * (1 - ROWS.index(row))), COLORS[kind])
    write(axes, 12.0, 3.47, "inter:\nto the mean\nof the three", color=GRAY)
    words = "all six outputs: variance kept up, covariance kept down"
    write(axes, 10.6, 1.25, "loss = 5 (intra + inter) + reg", size=10)
    write(axes, 10.6, 0.98, f"reg on {words}", size=8, color=GRAY)


def show(axes: Axes, scene: scenes.Scene, left: float, bottom: float, side: float) -> None:
    """Draw the middle frame of a scene in a square."""
    view = draw.fit([scene], PIXELS)
    picture = draw.draw(scene, len(scene.joints) // 2, view).permute(1, 2, 0).numpy()
    axes.imshow(picture, extent=(left, left + side, bottom, bottom + side), aspect="auto")
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))


def box(axes, left, bottom, width, height, text, color) -> None:
    """Draw a box with text."""
    style = "round,pad=0,rounding_size=0.07"
    patch = FancyBboxPatch(
        (left, bottom), width, height, style, facecolor="white", edgecolor=color, linewidth=1.4
    )
    axes.add_patch(patch)
    write(axes, left + width / 2, bottom + height / 2, text, color=color)


def arrow(axes, start, end, color=GRAY) -> None:
    """Draw an arrow."""
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color=color, linewidth=1.1)
    )


def write(axes, x, y, text, *, size=9, color="black", align="center") -> None:
    """Write text at a position."""
    axes.text(x, y, text, fontsize=size, color=color, ha=align, va="center", linespacing=1.3)
