"""The rows of the ablation table."""

from typing import NamedTuple

from net import MODALITIES

DEFAULT = "default"
JOINT, BONE, MOTION = ALONE = tuple((name,) for name in MODALITIES)


class Variant(NamedTuple):
    title: str
    flags: str = ""  # of pretrain.py
    streams: tuple[tuple[str, ...], ...] = (MODALITIES,)  # clips are encoded by each set
    encoders: tuple[str, ...] = ()  # rows whose encoders it takes, one a stream; (): its own


VARIANTS = {
    DEFAULT: Variant("default"),
    # ---- the loss
    "no_intra": Variant("without intra", "--intra-weight 0"),
    "no_inter": Variant("without inter", "--inter-weight 0"),
    "no_variance": Variant("without variance", "--variance-weight 0"),
    "no_covariance": Variant("without covariance", "--covariance-weight 0"),
    "baseline": Variant("simple baseline: two fused views", "--method baseline"),
    "one_fused": Variant("one fused view", "--method umurl"),
    # ---- the views; shear and corruption change half of them each
    "shared_view": Variant("one view for all modalities", "--shared-view"),
    "no_shear": Variant("no shear", "--spatial-probability 0.5 --shear-probability 0"),
    "no_corruption": Variant("no corruption", "--spatial-probability 0.5 --shear-probability 1"),
    "no_spatial": Variant("neither shear nor corruption", "--spatial-probability 0"),
    "half_crop": Variant("crops of half a clip at least", "--shortest-crop 0.5"),
    "no_crop": Variant("no crop", "--shortest-crop 1"),
    "published_crops": Variant("crops as published", "--shortest-crop 0.1 --fewest-frames 64"),
    # ---- sizes
    "width_512": Variant("projectors 512 wide", "--projector-width 512"),
    "width_1024": Variant("projectors 1024 wide", "--projector-width 1024"),
    "two_layers": Variant("two transformer layers", "--num-layer 2"),
    # ---- how modalities are fused
    "read_joint": Variant("the default's encoder, joints alone", "", (JOINT,), (DEFAULT,)),
    "read_bone": Variant("the default's encoder, bones alone", "", (BONE,), (DEFAULT,)),
    "read_motion": Variant("the default's encoder, motion alone", "", (MOTION,), (DEFAULT,)),
    "late": Variant("the default's encoder, late fusion", "", ALONE, (DEFAULT,) * 3),
    "joint": Variant("pre-trained on joints alone", "--method joint", (JOINT,)),
    "bone": Variant("pre-trained on bones alone", "--method bone", (BONE,)),
    "motion": Variant("pre-trained on motion alone", "--method motion", (MOTION,)),
    "late_alone": Variant("these three, late fusion", "", ALONE, MODALITIES),
    # ---- candidates
    "pair": Variant("a second fused view", "--method umurl_pair"),
    "rotation": Variant("rotations", "--yaw 60 --tilt 25"),
    "crops_of_short": Variant(
        "crops of 0.3 at least, of short clips, too", "--shortest-crop 0.3 --fewest-frames 8"
    ),
    "cosine": Variant("warm-up and cosine", "--cosine --warmup-epochs 3"),
    "umurl_plus": Variant("recipe umurl_plus", "--recipe umurl_plus"),
    "plus_rotation_20": Variant("umurl_plus, yaw 20", "--recipe umurl_plus --yaw 20 --tilt 10"),
    "plus_rotation_60": Variant("umurl_plus, yaw 60", "--recipe umurl_plus --yaw 60 --tilt 25"),
}
