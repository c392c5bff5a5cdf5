"""An emulated GPU: it computes nothing, but has CUDA's devices, types, shapes, memory and waiting.

Tensors on the emulated GPU are torch's FakeTensors; tensors on the CPU are real. torch's autograd
needs a CUDA driver to go back through a graph of FakeTensors, so this module goes back itself.
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

LEAST_TORCH = (2, 6)  # since then a node of autograd's graph tells the shapes that it expects
_READING = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select", "unique")
_PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot")
_COPIES = ("_to_copy", "copy_", "_copy_from")


class EmulatedGpu(TorchDispatchMode):
    """The state of the GPU that `emulated_gpu` emulates.

    waits: names of the operations for which the host would have waited until the GPU is done:
        reading a value, or a copy that is not asynchronous, or one of memory that is not pinned.
    truth: what each condition is, when the host reads a boolean value. Other values are read as
        zeros.
    """

    device = torch.device("cuda", 0)

    def __init__(self):
        super().__init__()
        self.waits: list[str] = []
        self.truth = False
        self._pinned: dict[int, Any] = {}  # address -> storage, held so that no address is reused

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
        with unset_fake_temporarily():  # all tensors are on the CPU
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
        """Note the operation, if the host waits for it."""
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
    """Inside this context `cuda:0` can be used as if it were there; its tensors have no values.

    Modules move to the GPU by `on_gpu`. Raises NotImplementedError where torch is too old.
    """
    version = tuple(map(int, torch.__version__.split(".")[:2]))
    if version < LEAST_TORCH:
        raise NotImplementedError("emulating a GPU takes torch {}.{} or newer".format(*LEAST_TORCH))
    graph, gpu = _Graph(), EmulatedGpu()
    patches = {
        # Without a GPU torch would switch autocast off. The emulated GPU has bf16.
        "torch.cuda.amp.common.amp_definitely_not_available": lambda: False,
        "torch.cuda.is_bf16_supported": lambda *_, **__: True,
        "torch.Tensor.backward": lambda loss: graph.backward(loss),
        # In inference mode torch dispatches composite operations whole; no_grad decomposes them.
        "torch._C._InferenceMode": lambda mode: torch.set_grad_enabled(not mode),
        # torch's activation checkpointing asks for this number to recompute only once a pass.
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
    """Move a module's weights and buffers to the emulated GPU; returns the module."""
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
    """A tensor that the graph keeps for the backward pass, until its node has run."""

    def __init__(self, tensor: Tensor):
        self.tensor: Tensor | None = tensor


class _Graph:
    """Goes back through the graph as torch's autograd does, and frees what the graph keeps."""

    def __init__(self):
        self._unpacked: list[_Saved] = []
        self.passes = 0  # how many backward passes have begun

    def unpack(self, saved: _Saved) -> Tensor:
        """Give a node the tensor that it saved; torch calls this when the node runs."""
        self._unpacked.append(saved)
        return saved.tensor

    @torch.no_grad()
    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a scalar loss to the leaves that it depends on."""
        self.passes += 1
        # node -> {number of its output: gradient of that output}
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
            run = getattr(node, "apply", node)  # `apply`: a node that is written in Python
            found = run(*map(given.get, range(len(node._input_metadata))))
            del given
            while self._unpacked:
                self._unpacked.pop().tensor = None
            found = found if isinstance(found, tuple) else (found,)
            # A node written in Python returns a gradient for each argument, tensors first.
            for (source, number), gradient in zip(node.next_functions, found, strict=False):
                if source is not None and gradient is not None:
                    _add(gradients[source], number, gradient, source._input_metadata[number])


def _add(held: dict[int, Tensor], number: int, gradient: Tensor, expected: Any) -> None:
    if gradient.shape != expected.shape:  # the forward pass broadcast this tensor
        gradient = gradient.sum_to_size(expected.shape)
    gradient = gradient.to(expected.dtype)
    held[number] = held[number] + gradient if number in held else gradient


def _from_the_end(root: Any) -> list[Any]:
    """The nodes that a node depends on; each comes after all nodes that depend on it."""
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
