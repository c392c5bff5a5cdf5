"""A GPU that computes nothing: devices, types, shapes, memory and waiting as on CUDA, anywhere.

Its tensors are torch's FakeTensors; those on the CPU are real. torch's autograd wants a driver for
the former, so the way back through the graph is done here.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

LEAST_TORCH = (2, 6)  # whose autograd tells what a node of its graph expects
_READING = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique")
_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot")
_COPIES = ("_to_copy", "copy_", "_copy_from")


class EmulatedGpu(TorchDispatchMode):
    """What stands in for a GPU inside `emulated_gpu`.

    waits: where the host would have waited for the GPU until its work is done, by operation: a
    value that is read, a copy of memory that is not pinned or for which one waits. Values that are
    read are zeros, and conditions are what `truth` says.
    """

    device = torch.device("cuda", 0)

    def __init__(self):
        super().__init__()
        self.waits: list[str] = []
        self.truth = False
        self._pinned: dict[int, Any] = {}  # storages by address, which stay

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if any(isinstance(x, FakeTensor) for x in tensors) or _names_gpu(args, kwargs):
            if name in _PRODUCTS and len({x.dtype for x in tensors}) > 1:
                raise RuntimeError(f"{name} of tensors of several types")
            self._look(name, tensors, args, kwargs)
            if name == "_local_scalar_dense":
                return self._value(tensors[0].dtype)
            if name == "_to_copy" and kwargs.get("device") == torch.device("cpu"):
                with unset_fake_temporarily():
                    value = self._value(tensors[0].dtype)
                    return torch.full(tensors[0].shape, value, dtype=tensors[0].dtype)
            return function(*args, **kwargs)
        with unset_fake_temporarily():  # on the CPU alone
            if name == "_pin_memory":
                return self._pin(args[0].clone())
            if name == "is_pinned":
                return args[0].untyped_storage()._cdata in self._pinned
            if kwargs.pop("pin_memory", False):
                return self._pin(function(*args, **kwargs))
            return function(*args, **kwargs)

    def _value(self, kind: torch.dtype) -> bool | int | float:
        return self.truth if kind == torch.bool else 0.0 if kind.is_floating_point else 0

    def _pin(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self._pinned[storage._cdata] = storage
        return tensor

    def _look(self, name: str, tensors: list[Tensor], args: tuple, kwargs: dict) -> None:
        """Note an operation for which the host waits."""
        indices = args[1] if name in ("index", "index_put_") else ()
        waits = name.startswith(_READING) or any(
            index is not None and index.dtype == torch.bool for index in indices
        )
        if name in _COPIES:
            source = tensors[-1]
            device = tensors[0].device if name == "copy_" else kwargs.get("device")
            asynchronous = kwargs.get("non_blocking", len(args) > 2 and args[2])
            on_gpu = source.device.type == "cuda"
            pinned = on_gpu or source.untyped_storage()._cdata in self._pinned
            moves = device is not None and torch.device(device).type != source.device.type
            waits = moves and not (asynchronous and pinned)
        if waits:
            self.waits.append(name)


def _names_gpu(args: tuple, kwargs: dict) -> bool:
    leaves = tree_leaves((args, kwargs))
    return any(isinstance(x, torch.device) and x.type == "cuda" for x in leaves)


@contextmanager
def emulated_gpu() -> Iterator[EmulatedGpu]:
    """Inside, `cuda:0` can be used as if it were there, but that its tensors have no values.

    Modules come to it by `on_gpu`. Raises NotImplementedError where torch is too old.
    """
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    if version < LEAST_TORCH:
        raise NotImplementedError("emulating a GPU takes torch {}.{} or newer".format(*LEAST_TORCH))
    graph, gpu = _Graph(), EmulatedGpu()
    patches = {
        # Where there is no GPU torch would switch autocast off; this one has bf16.
        "torch.cuda.amp.common.amp_definitely_not_available": lambda: False,
        "torch.cuda.is_bf16_supported": lambda *_, **__: True,
        "torch.Tensor.backward": lambda loss: graph.backward(loss),
        # Where no gradient can ever be, operations come here before they are taken apart.
        "torch._C._InferenceMode": lambda mode: torch.set_grad_enabled(not mode),
        # By it a checkpoint within the graph knows that it was computed again already.
        "torch._C._current_graph_task_id": lambda: graph.passes,
    }
    with ExitStack() as stack:
        for name, function in patches.items():
            stack.enter_context(mock.patch(name, function))
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(_Saved, graph.unpack))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(gpu)
        yield gpu


def on_gpu(module: nn.Module) -> nn.Module:
    """The module with weights and buffers of an emulated GPU in the place of its own."""
    for part in module.modules():
        for key, weight in part._parameters.items():
            if weight is not None:
                part._parameters[key] = nn.Parameter(_like(weight), weight.requires_grad)
        for key, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[key] = _like(buffer)
    return module


def _like(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=EmulatedGpu.device)


class _Saved:
    """A tensor that the graph keeps for the way back, until that was there."""

    def __init__(self, tensor: Tensor):
        self.tensor: Tensor | None = tensor


class _Graph:
    """Goes back through the graph as torch's autograd does, and frees what it keeps on the way."""

    def __init__(self):
        self._unpacked: list[_Saved] = []
        self.passes = 0  # how often the way back was begun

    def unpack(self, saved: _Saved) -> Tensor:
        """What torch asks for when a node runs."""
        self._unpacked.append(saved)
        return saved.tensor

    @torch.no_grad()
    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a scalar to the leaves that it depends on."""
        self.passes += 1
        # Of each node the gradients of its outputs, by their number.
        gradients: dict[Any, dict[int, Tensor]] = defaultdict(dict)
        gradients[loss.grad_fn][0] = torch.ones_like(loss)
        for node in _from_the_end(loss.grad_fn):
            given = gradients.pop(node, None)
            if given is None:
                continue
            if hasattr(node, "variable"):  # a leaf
                leaf, gradient = node.variable, given[0]
                assert (gradient.shape, gradient.device) == (leaf.shape, leaf.device)
                leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient
                continue
            run = getattr(node, "apply", node)  # of a node that is written in Python
            found = run(*map(given.get, range(len(node._input_metadata))))
            del given
            while self._unpacked:
                self._unpacked.pop().tensor = None
            found = found if isinstance(found, tuple) else (found,)
            # A node written in Python tells of all arguments; others stand behind the tensors.
            for (source, number), gradient in zip(node.next_functions, found, strict=False):
                if source is not None and gradient is not None:
                    _add(gradients[source], number, gradient, source._input_metadata[number])


def _add(held: dict[int, Tensor], number: int, gradient: Tensor, expected: Any) -> None:
    if gradient.shape != expected.shape:  # of what was broadcast
        gradient = gradient.sum_to_size(expected.shape)
    gradient = gradient.to(expected.dtype)
    held[number] = held[number] + gradient if number in held else gradient


def _from_the_end(root: Any) -> list[Any]:
    """The nodes that a node depends on, each behind all that depend on it."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node is not None and node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((source, False) for source, _ in node.next_functions)
    return order[::-1]
