"""torch.compile: where it is used, on one rank or several, once for batches of any size."""

import os
import shutil
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from tools import cli
from tools.training.distributed import Process
from tools.training.settings import Settings

LEAST_CAPABILITY = (7, 0)  # of the GPUs that Triton, the compiler for them, knows
# From here on torch can cut a graph that holds autograd functions where DDP sends gradients.
CUTS_GRAPHS = (2, 6)


class Compiled(nn.Module):
    """A model that is compiled at its first call, once for all sizes of a batch."""

    def __init__(self, model: nn.Module, backend: str = "inductor"):
        super().__init__()
        self.network = torch.compile(model, backend=backend)

    def forward(self, views: Tensor) -> tuple[Tensor, ...]:
        """What the model gives for views of any number of clips: (VIEWS, B, T, M, V, C)."""
        torch._dynamo.maybe_mark_dynamic(views, 1)
        return self.network(views)


def as_asked(model: nn.Module, settings: Settings, process: Process) -> nn.Module:
    """The model, compiled where that is asked for, or is possible on a GPU."""
    missing = None if settings.compile else lacking(process.device)
    if settings.no_compile or (missing and process.device.type == "cpu"):
        return model
    if missing:
        cli.say(f"note: without torch.compile, with which it would be faster: {missing}")
        return model
    return compiled(model, process.world_size)


def compiled(model: nn.Module, ranks: int, backend: str = "inductor") -> nn.Module:
    """The model to be compiled at its first call, to be wrapped in DDP where there are ranks."""
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    if ranks > 1 and version < CUTS_GRAPHS:
        torch._dynamo.config.optimize_ddp = False
    return Compiled(model, backend)


def is_compiled(network: nn.Module) -> bool:
    """Whether a network, wrapped or not, is one that `compiled` made."""
    return any(isinstance(module, Compiled) for module in network.modules())


def cache_folder() -> str:
    """Where torch keeps what it compiled, for the next run; TORCHINDUCTOR_CACHE_DIR moves it."""
    from torch._inductor.codecache import cache_dir

    return cache_dir()


def lacking(device: torch.device) -> str | None:
    """What a device lacks for torch.compile to be the default there; None for a GPU without fault.

    Not on a CPU, where the compilation would take longer than many a run.
    """
    if device.type == "cpu":
        return "it is made for GPUs"
    if torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        return "the GPU is too old for it"
    if find_spec("triton") is None:
        return "the package triton is not installed"
    if not any(map(shutil.which, filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")))):
        return "there is no C compiler; install gcc, or name one by the variable CC"
    return None
