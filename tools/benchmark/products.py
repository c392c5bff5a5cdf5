"""The matrix products of a training step: their number of operations, and a call that does them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from feeder.skeletons import NTU
from net.modalities import FRAMES, MODALITIES, SPATIAL_TOKEN


class Product(NamedTuple):
    """`times` products (groups, rows, inner) · (groups, inner, columns).

    backward: how many products of the same size the gradients take. It is 2, or 1 where the input
        needs no gradient, and for a matrix times its own transpose.
    """

    times: int
    groups: int
    rows: int
    inner: int
    columns: int
    backward: int = 2

    @property
    def operations(self) -> int:
        """Additions and multiplications, forward and backward."""
        forward = 2 * self.groups * self.rows * self.inner * self.columns
        return self.times * (1 + self.backward) * forward


def of_step(hidden: int, batch: int, width: int, head: int = 1, layer: int = 1) -> list[Product]:
    """All matrix products of a step of UmURL: linear layers, attention, Gram matrices of the loss.

    Inputs of the same weights count as one product of more rows. The projectors are an exception:
    they are called twice, since batch norm needs separate statistics. The list is that of the
    published method; this code does fewer (see TransformerLayer.attend_with_one_head).

    hidden, width: hidden size and outputs of a projector. head, layer: attention heads, layers.
    """
    modalities, encodings = len(MODALITIES), len(MODALITIES) + 1
    found = []
    joints = NTU.bodies * NTU.skeleton.num_joints
    for tokens, token_size in ((FRAMES, NTU.frame_size), (joints, SPATIAL_TOKEN)):
        rows = tokens * batch
        # The tokens of each modality are embedded for its own view and for the fused view.
        found.append(Product(modalities, 1, 2 * rows, token_size, hidden, backward=1))
        found.append(Product(modalities, 1, 2 * rows, hidden, hidden))
        found.append(Product(1, 1, rows, hidden, hidden))  # fusion
        found.append(Product(layer, 1, encodings * rows, hidden, 3 * hidden))  # query, key, value
        heads = encodings * batch * head
        found.append(Product(layer, heads, tokens, hidden // head, tokens))  # similarities
        found.append(Product(layer, heads, tokens, tokens, hidden // head))  # weighted sums
        # The output of attention and the two layers of the feed-forward network.
        found.append(Product(3 * layer, 1, encodings * rows, hidden, hidden))
    calls = 2 * modalities
    found.append(Product(2 * calls, 1, batch, 2 * hidden, 2 * hidden))
    found.append(Product(calls, 1, batch, 2 * hidden, width))
    found.append(Product(calls, 1, batch, width, batch, backward=1))  # the Gram matrices
    return found


def operations(products: list[Product]) -> int:
    """Additions and multiplications of all products."""
    return sum(product.operations for product in products)


def runner(products: list[Product], device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """Make a call that computes the products and their gradients, and nothing else."""
    operands = [(product, _operands(product, device, dtype)) for product in products]

    def run():
        for product, (x, weight, gradient) in operands:
            for _ in range(product.times):
                torch.matmul(x, weight.mT)
                torch.matmul(gradient.mT, x)
                if product.backward == 2:
                    torch.matmul(gradient, weight)

    return run


def _operands(product: Product, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    # As in linear layers: a row for each input; a row of weights for each output.
    shapes = (
        (product.rows, product.inner),
        (product.columns, product.inner),
        (product.rows, product.columns),
    )
    groups = () if product.groups == 1 else (product.groups,)
    return [torch.randn(*groups, *shape, device=device, dtype=dtype) for shape in shapes]
