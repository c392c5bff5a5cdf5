"""The rows of the ablation table. Each row is declared once.

This file does not import torch, so that `--help` is fast.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from net import MODALITIES
from tools.training.settings import RECIPES

ALL = (MODALITIES,)
ALONE = tuple((name,) for name in MODALITIES)


class Variant(NamedTuple):
    """One row of the table.

    title: the name that readers see.
    changes: {name of a setting of pre-training: value}, where it differs from the default.
    streams: sets of modalities; evaluation reads each of them and trains a linear layer for each.
    encoders: names of the variants whose encoders it takes, one for each stream. Empty: it
        pre-trains an encoder itself.
    """

    title: str
    changes: Mapping[str, Any] = {}
    streams: tuple[tuple[str, ...], ...] = ALL
    encoders: tuple[str, ...] = ()


DEFAULT = "default"
# The published method changes each view, half of them by shear and half by corruption. Where one
# of both is off, the other one keeps its half.
HALF = {"spatial_probability": 0.5}
VARIANTS = {
    DEFAULT: Variant("default"),
    # ---- the loss
    "no_intra": Variant("without intra", {"intra_weight": 0.0}),
    "no_inter": Variant("without inter", {"inter_weight": 0.0}),
    "no_variance": Variant("without variance", {"variance_weight": 0.0}),
    "no_covariance": Variant("without covariance", {"covariance_weight": 0.0}),
    "baseline": Variant("simple baseline: two fused views", {"method": "baseline"}),
    "one_fused": Variant("one fused view", {"method": "umurl"}),
    # ---- the views
    "shared_view": Variant("one view for all modalities", {"shared_view": True}),
    "no_shear": Variant("no shear", HALF | {"shear_probability": 0.0}),
    "no_corruption": Variant("no corruption", HALF | {"shear_probability": 1.0}),
    "no_spatial": Variant("neither shear nor corruption", {"spatial_probability": 0.0}),
    "half_crop": Variant("crops of half a clip at least", {"shortest_crop": 0.5}),
    "no_crop": Variant("no crop", {"shortest_crop": 1.0}),
    "no_rotation": Variant("no rotation", {"yaw": 0.0, "tilt": 0.0}),
    "published_crops": Variant("crops as published", {"shortest_crop": 0.1, "fewest_frames": 64}),
    # ---- sizes
    "width_512": Variant("projectors 512 wide", {"projector_width": 512}),
    "width_1024": Variant("projectors 1024 wide", {"projector_width": 1024}),
    "two_layers": Variant("two transformer layers", {"num_layer": 2}),
    # ---- how modalities are fused
    "read_joint": Variant("the default's encoder, joints alone", {}, (ALONE[0],), (DEFAULT,)),
    "read_bone": Variant("the default's encoder, bones alone", {}, (ALONE[1],), (DEFAULT,)),
    "read_motion": Variant("the default's encoder, motion alone", {}, (ALONE[2],), (DEFAULT,)),
    "late": Variant("the default's encoder, late fusion", {}, ALONE, (DEFAULT,) * 3),
    "joint": Variant("pre-trained on joints alone", {"method": "joint"}, (ALONE[0],)),
    "bone": Variant("pre-trained on bones alone", {"method": "bone"}, (ALONE[1],)),
    "motion": Variant("pre-trained on motion alone", {"method": "motion"}, (ALONE[2],)),
    "late_alone": Variant("these three, late fusion", {}, ALONE, MODALITIES),
    # ---- candidates
    "pair": Variant("a second fused view", {"method": "umurl_pair"}),
    "rotation": Variant("rotations", {"yaw": 60.0, "tilt": 25.0}),
    "crops_of_short": Variant(
        "crops of 0.3 at least, of short clips, too", {"shortest_crop": 0.3, "fewest_frames": 8}
    ),
    "halves": Variant("losses on both halves, too", {"method": "umurl_halves"}),
    "positions": Variant("positions of spatial tokens", {"encoder": "spatial_positions"}),
    "average": Variant("average of the weights", {"average": 0.99}),
    "cosine": Variant("warm-up and cosine", {"cosine": True, "warmup_epochs": 3}),
    "decoupled": Variant("decoupled weight decay 0.05", {"decoupled_wd": True, "wd": 0.05}),
    **{name: Variant(f"recipe {name}", {"recipe": name}) for name in RECIPES if RECIPES[name]},
}


def streams_of(name: str) -> tuple[tuple[str, ...], ...]:
    """The streams that any row reads of a variant's encoder."""
    own = () if VARIANTS[name].encoders else VARIANTS[name].streams
    taken = (
        stream
        for variant in VARIANTS.values()
        for encoder, stream in zip(variant.encoders, variant.streams, strict=False)
        if encoder == name
    )
    return tuple(dict.fromkeys((*own, *taken)))


def with_needed(names: list[str]) -> list[str]:
    """Some variants, the default, and the variants whose encoders they take, in the table's order.

    names: of the variants that the user asks for.
    """
    needed = {DEFAULT, *names, *(one for name in names for one in VARIANTS[name].encoders)}
    return [name for name in VARIANTS if name in needed]
