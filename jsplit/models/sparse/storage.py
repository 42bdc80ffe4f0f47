"""How many bytes each half of a network takes, counted from its arrays.

Here: values and indices of every layer, and their sums on either side of a split. Not
here: operations and shipped activations (`jsplit.recording.measure_layers`).
"""

from collections.abc import Sequence

import jax
import numpy as np
from flax import nnx

from jsplit.models.multi_exit import MultiExit
from jsplit.models.sparse.layers import Indices


def storage_bytes(model: MultiExit) -> dict[str, list[int]]:
    """Returns the bytes of each layer and exit.

    Args:
        model: network with L exits.

    Returns:
        layer_value_bytes: [L] weights, biases and stored statistics of each block.
        layer_index_bytes: [L] what each block stores of its sparsity pattern.
        head_value_bytes: [L] those of each exit head.
        head_index_bytes: [L] likewise.

    Example:
        >>> from flax import nnx
        >>> from jsplit.models import SparseMLP, storage_bytes
        >>> model = SparseMLP(10, out_degrees=(2, 9, 10), rngs=nnx.Rngs(0))
        >>> storage_bytes(model)["layer_value_bytes"]  # 4 (1600 + 40), 4 (360 + 40)
        [6560, 1600]
        >>> storage_bytes(model)["layer_index_bytes"]  # 2 x 1600, 1 x 360
        [3200, 360]
    """
    stored = {}
    for name, modules in (("layer", model.blocks), ("head", model.heads)):
        stored[f"{name}_value_bytes"] = [
            _bytes(module, nnx.Not(nnx.Any(Indices, nnx.RngState)))
            for module in modules
        ]
        stored[f"{name}_index_bytes"] = [_bytes(module, Indices) for module in modules]
    return stored


def halves(
    per_layer: Sequence[float], per_head: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the device and the cloud have of anything counted per layer.

    At split i the device has blocks 1..i and exit i, which reads the activation that
    may be shipped; the cloud has the blocks behind it and the last exit.

    Args:
        per_layer: [L] bytes or operations of each block.
        per_head: [L] those of each exit head.

    Returns:
        head: [L - 1] on the device at splits 1..L - 1.
        tail: [L - 1] in the cloud.

    Example:
        >>> from jsplit.models.sparse.storage import halves
        >>> head, tail = halves([10, 20, 30], [1, 2, 3])
        >>> head.tolist(), tail.tolist()
        ([11, 32], [53, 33])
    """
    layers, heads = np.asarray(per_layer), np.asarray(per_head)
    before = np.cumsum(layers)
    return (before + heads)[:-1], (before[-1] - before + heads[-1])[:-1]


def _bytes(module: nnx.Module, what: nnx.filterlib.Filter) -> int:
    leaves = jax.tree.leaves(nnx.state(module, what))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
