"""torch.compile: where it is used, with one or several ranks, once for all batch sizes."""

import os
import shutil
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from tools import cli
from tools.training.distributed import Process
from tools.training.settings import Settings

LEAST_CAPABILITY = (7, 0)  # least compute capability of a GPU for which Triton can compile
# The version of torch since which DDP can split a graph that has our own autograd functions.
CUTS_GRAPHS = (2, 6)


class Compiled(nn.Module):
    """A model that is compiled at its first call, once for all batch sizes."""

    def __init__(self, model: nn.Module, backend: str = "inductor"):
        super().__init__()
        self.network = torch.compile(model, backend=backend)

    def forward(self, views: Tensor) -> tuple[Tensor, ...]:
        """The model's outputs for views (VIEWS, B, T, M, V, C), for any B."""
        torch._dynamo.maybe_mark_dynamic(views, 1)
        return self.network(views)


def as_asked(model: nn.Module, settings: Settings, process: Process) -> nn.Module:
    """Compile the model: where `--compile` asks for it, and on a GPU that can, by default."""
    missing = None if settings.compile else lacking(process.device)
    if settings.no_compile or (missing and process.device.type == "cpu"):
        return model
    if missing:
        cli.say(f"note: without torch.compile, with which it would be faster: {missing}")
        return model
    return compiled(model, process.world_size)


def compiled(model: nn.Module, ranks: int, backend: str = "inductor") -> nn.Module:
    """The model, to be compiled at its first call.

    Wrap the result in DDP if there are several ranks.
    """
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    if ranks > 1 and version < CUTS_GRAPHS:
        torch._dynamo.config.optimize_ddp = False
    return Compiled(model, backend)


def is_compiled(network: nn.Module) -> bool:
    """Whether a network, wrapped in DDP or not, was made by `compiled`."""
    return any(isinstance(module, Compiled) for module in network.modules())


def cache_folder() -> str:
    """The folder where torch keeps compiled code for the next run.

    TORCHINDUCTOR_CACHE_DIR moves it.
    """
    from torch._inductor.codecache import cache_dir

    return cache_dir()


def lacking(device: torch.device) -> str | None:
    """Why torch.compile is not the default on this device, in words; None where it is the default.

    It is never the default on a CPU, where compiling takes longer than many runs.
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
