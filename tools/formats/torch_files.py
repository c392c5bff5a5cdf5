"""Read files that torch.save wrote, without running anything in them and without trusting them."""

import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch

# All names that a file's pickle may use. `weights_only` allows more, some of which allocate memory.
_GLOBALS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"} | {
    f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int")
}


def read(path: Path) -> Any:
    """Read the tensors and plain values of a file, on the CPU. Nothing in the file is run.

    The tensors are mapped from the file into memory. Raises ValueError with the reason where the
    file is missing or damaged; checksums are verified.
    """
    try:
        _check(path)
        # A mapped tensor cannot be larger than the file, whatever size the file claims.
        return torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
    # A damaged file can make the unpickler raise nearly any error.
    except Exception as error:
        raise ValueError(reason(error)) from None


def reason(error: Exception) -> str:
    """Why torch.load failed, in one line, without torch's advice to trust the file."""
    text = str(error).rpartition("WeightsUnpickler error: ")[2]
    lines = (line.strip() for line in text.splitlines())
    advice = "Weights only load failed", "Please file an issue", "Check the documentation"
    told = (line for line in lines if line and not line.startswith(advice))
    return next(told, type(error).__name__)


def _check(path: Path) -> None:
    """Raise ValueError unless a file is a zip file as torch writes it, with right checksums."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("it announces more than it holds")
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")
        for entry in entries:
            if entry.filename.lower().endswith(".pkl"):
                for operation, argument, _ in pickletools.genops(archive.read(entry)):
                    if operation.name == "GLOBAL" and argument not in _GLOBALS:
                        raise ValueError(f"it asks for {argument!r}")
