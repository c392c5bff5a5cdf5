"""Count what a computation asks of the device: operations, bytes, kernel launches, and memory.

It counts where torch dispatches operations, so it works on any device, with real or with emulated
tensors (see emulation.py).
"""

import weakref
from collections.abc import Iterable
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

GATHER, REDUCE = COLLECTIVES = "gathers of all ranks", "sums of all ranks"
# Kinds of operations, and how the names of torch's operations of that kind begin.
KINDS = {
    "products": ("mm", "addmm", "bmm", "baddbmm", "_scaled_dot_product", "linear"),
    "softmax": ("_softmax",),
    "layer norm": ("native_layer_norm",),
    "batch norm": ("native_batch_norm", "_native_batch_norm", "cudnn_batch_norm"),
    "relu": ("relu", "threshold", "clamp_min"),
    "casts and copies": ("_to_copy", "copy", "clone", "cat", "stack", "slice_backward", "slice_sc"),
    "maxima": ("max", "value_selecting", "scatter", "amax"),
    "input": ("_embedding_bag", "index", "gather", "argsort", "sort"),
    "optimizer": ("_fused_adam", "_amp_"),
    GATHER: ("allgather", "_allgather"),
    REDUCE: ("allreduce",),
    "sums": ("sum", "mean", "var", "std", "linalg_vector_norm", "mse_loss"),
}
OTHER = "elementwise"
# Operations that, like views, touch no memory of the device.
_FREE = ("empty", "new_empty", "_unsafe_view", "lift_fresh", "_local_scalar_dense", "set_")


class Work(NamedTuple):
    """The work of one or more operations.

    launches: number of operations; each launches one kernel or more.
    flops: additions and multiplications of matrix products.
    moved: bytes read and written, if each tensor of an operation is read or written once.
    """

    launches: int = 0
    flops: int = 0
    moved: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(*map(sum, zip(self, other, strict=True)))


class Operation(NamedTuple):
    """One operation that torch dispatched.

    kind: one of KINDS, or OTHER.
    dtype: the type of its first tensor.
    phase: what the program was doing, see `Counting.phase`.
    reads, writes: {number of a value: its bytes}. Each value has a number of its own.
    """

    kind: str
    dtype: torch.dtype
    phase: str
    work: Work
    reads: dict[int, int]
    writes: dict[int, int]


class Counting(TorchDispatchMode):
    """A context that notes each operation inside it, and the memory of the tensors that it makes.

    device: only tensors on this device count.
    operations: what was computed, in order.
    held: bytes that are held now.
    peak: most bytes that were held at one time.
    phase: text that the caller sets; the operations that follow carry it.
    """

    def __init__(self, device: torch.device):
        super().__init__()
        self.device = device
        self.operations: list[Operation] = []
        self.held = self.peak = 0
        self.phase = ""
        self._storages: dict[int, Any] = {}
        self._values: dict[int, int] = {}  # storage -> number of the value that it holds now
        self._numbers = count()

    def by_kind(self) -> dict[str, Work]:
        """The summed work of each kind of operation."""
        found: dict[str, Work] = {}
        for operation in self.operations:
            found[operation.kind] = found.get(operation.kind, Work()) + operation.work
        return found

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that were made before, such as weights, until they are freed."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            key = storage._cdata
            if tensor.device.type != self.device.type or key in self._storages:
                continue
            size = storage.nbytes()
            self._storages[key] = weakref.finalize(storage, self._drop, key, size)
            self.held += size
            self.peak = max(self.peak, self.held)

    def _drop(self, key: int, size: int) -> None:
        del self._storages[key]
        self._values.pop(key, None)
        self.held -= size

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        made = [x for x in tree_leaves(out) if isinstance(x, Tensor)]
        self.hold(made)
        made = made or _written(function, args, kwargs)
        read = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        there = [x for x in (*made, *read) if x.device.type == self.device.type]
        name = function.overloadpacket.__name__
        computes = function.namespace in ("aten", "c10d") and not function.is_view
        if there and computes and not name.startswith(_FREE):
            reads = {self._value(x): _bytes(x) for x in read}
            writes = {self._value(x, new=True): _bytes(x) for x in made}
            moved = sum(reads.values()) + sum(writes.values())
            work = Work(1, _flops(function, args, kwargs, out), moved)
            operation = Operation(_kind(name), there[0].dtype, self.phase, work, reads, writes)
            self.operations.append(operation)
        return out

    def _value(self, tensor: Tensor, *, new: bool = False) -> int:
        key = tensor.untyped_storage()._cdata
        if new or key not in self._values:
            self._values[key] = next(self._numbers)
        return self._values[key]


def _written(function, args: tuple, kwargs: dict[str, Any]) -> list[Tensor]:
    """What an operation that returns nothing writes to, such as a fused optimizer."""
    arguments = function._schema.arguments
    values = {x.name: value for x, value in zip(arguments, args, strict=False)} | kwargs
    written = {x.name for x in arguments if x.alias_info and x.alias_info.is_write}
    if values.get("grad_scale") is None:
        written -= {"grads"}  # which are written only to take the scale out of them
    return [x for x in tree_leaves([values.get(n) for n in written]) if isinstance(x, Tensor)]


def _kind(name: str) -> str:
    return next((kind for kind, names in KINDS.items() if name.startswith(names)), OTHER)


def _flops(function, args, kwargs, out) -> int:
    formula = flop_registry.get(function.overloadpacket)
    return formula(*args, **kwargs, out_val=out) if formula else 0


def _bytes(x: Tensor) -> int:
    """Bytes of the elements that lie in memory: an expanded dimension counts as one of size 1."""
    elements = x.element_size()
    for size, stride in zip(x.shape, x.stride(), strict=True):
        elements *= size if stride else min(size, 1)
    return elements
