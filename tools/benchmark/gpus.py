"""What kinds of GPUs can do, as their makers write."""

from typing import NamedTuple

TERA, GIGA, GIB = 1e12, 1e9, 2**30


class Gpu(NamedTuple):
    """A kind of GPU.

    half: operations a second in matrix products of bf16 or fp16 (dense, by tensor cores, summed in
        float32).
    single: operations a second in float32, without tensor cores.
    bandwidth: bytes a second that its memory reads and writes.
    memory: bytes.
    link: bytes a second to the other GPUs of the machine, each way.
    source: where the maker writes these figures.
    """

    name: str
    half: float
    single: float
    bandwidth: float
    memory: float
    link: float
    source: str


def _gpu(name: str, *figures: float, source: str) -> Gpu:
    half, single, bandwidth, memory, link = figures
    return Gpu(
        *(name, half * TERA, single * TERA, bandwidth * GIGA, memory * GIB, link * GIGA, source)
    )


# TFLOP/s of bf16, TFLOP/s of float32, GB/s of memory, GiB, GB/s between GPUs (NVLink, else PCIe).
GPUS = {
    "h200": _gpu("H200 SXM", 989, 67, 4800, 141, 450, source="NVIDIA H200 datasheet"),
    "h100": _gpu("H100 SXM", 989, 67, 3350, 80, 450, source="NVIDIA H100 datasheet"),
    "h100-pcie": _gpu("H100 PCIe", 756, 51, 2000, 80, 64, source="NVIDIA H100 datasheet"),
    "a100": _gpu("A100 SXM 80 GB", 312, 19.5, 2039, 80, 300, source="NVIDIA A100 datasheet"),
    "a100-40": _gpu("A100 SXM 40 GB", 312, 19.5, 1555, 40, 300, source="NVIDIA A100 datasheet"),
    "l40s": _gpu("L40S", 362, 91.6, 864, 48, 32, source="NVIDIA L40S datasheet"),
    "a6000": _gpu("RTX A6000", 154.8, 38.7, 768, 48, 32, source="NVIDIA Ampere GA102 whitepaper"),
    "rtx4090": _gpu("RTX 4090", 165.2, 82.6, 1008, 24, 32, source="NVIDIA Ada whitepaper"),
    "rtx3090": _gpu("RTX 3090", 71, 35.6, 936, 24, 32, source="NVIDIA Ampere GA102 whitepaper"),
    "v100": _gpu("V100 SXM 32 GB", 125, 15.7, 900, 32, 150, source="NVIDIA V100 datasheet"),
}
