"""What is shipped at a split: its bytes, its quantisation, what the cloud makes of it.

Here: activations on their way from device to cloud, for any `MultiExit`. Not here: the
halves themselves (`multi_exit`) and the pass over a data set (`jsplit.recording`).

An activation is a pytree whose leaves have the batch first. Its floating-point leaves
are quantised; bools (masks) and integers are shipped as they are.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsplit import checks
from jsplit.models.multi_exit import MultiExit

MAX_BITS = 16
SIDE_BYTES = 8  # smallest value and step, float32, per sample and leaf


def quantise(h: Any, bits: int | None) -> Any:
    """Returns an activation as it arrives after uniform affine quantisation.

    Each floating-point leaf x of each sample is sent as integers of `bits` bits beside
    two float32 numbers, lo = min x and step = (max x - min x) / (2^bits - 1):

        code = round((x - lo) / step),    received = lo + code * step.

    Computed in float32 and returned in the dtype of x; a constant x is received as is.

    Args:
        h: activation, B samples: an array or a pytree of arrays, batch first.
        bits: bits per number, 1..16; None = shipped as it is.

    Returns:
        a pytree like `h`. Bools and integers in it are unchanged.

    Raises:
        JsplitError: if `bits` is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jsplit.models import quantise
        >>> quantise(jnp.array([[0.0, 0.4, 1.2, 3.0]]), 2)
        Array([[0., 0., 1., 3.]], dtype=float32)
    """
    if bits is None:
        return h
    num_steps = 2 ** checks.integer("bits", bits, 1, MAX_BITS) - 1

    def received(leaf: Array) -> Array:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        x = leaf.astype(jnp.float32)
        axes = tuple(range(1, x.ndim))
        low = x.min(axis=axes, keepdims=True)
        step = (x.max(axis=axes, keepdims=True) - low) / num_steps
        code = jnp.round((x - low) / jnp.where(step > 0, step, 1.0))
        return (low + code * step).astype(leaf.dtype)

    return jax.tree.map(received, h)


def shipped_bytes(h: Any, bits: int | None = None) -> int:
    """Returns the bytes one sample of an activation takes on the link.

    Nothing is compressed. Counted per leaf and rounded up to whole bytes: a floating-
    point number at the size of its dtype, or `bits` bits and `SIDE_BYTES` per leaf; a
    bool at one bit; an integer at the size of its dtype.

    Args:
        h: activation, B samples, as arrays or as shapes and dtypes (`jax.eval_shape`).
        bits: as in `quantise`.

    Raises:
        JsplitError: if `bits` is out of range.

    Example:
        >>> import numpy as np
        >>> from jsplit.models import shipped_bytes
        >>> h = np.zeros((1, 10, 4), np.float32), np.zeros((1, 10), bool)
        >>> shipped_bytes(h), shipped_bytes(h, 4)
        (162, 30)
    """
    if bits is not None:
        bits = checks.integer("bits", bits, 1, MAX_BITS)
    total = 0
    for leaf in jax.tree.leaves(h):
        numbers, side = math.prod(leaf.shape[1:]), 0
        each = 8 * np.dtype(leaf.dtype).itemsize
        if leaf.dtype == bool:
            each = 1
        elif bits is not None and jnp.issubdtype(leaf.dtype, jnp.floating):
            each, side = bits, SIDE_BYTES
        total += -(-numbers * each // 8) + side
    return total


def answers_after_shipping(model: MultiExit, x: Any, bits: int) -> Array:
    """Returns what the cloud answers when it gets the quantised activation.

    At each split i < L these are the last logits of
    `tail(quantise(head(x, i), bits), i)`. The activations that are on their way travel
    through the blocks as one batch: every block is compiled once instead of once for
    each split before it, at the price of a batch that grows to (L - 1) * B.

    Args:
        model: network with L exits.
        x: the input of the first block, B samples.
        bits: as in `quantise`.

    Returns:
        [B, L - 1, C] logits, one set for each of the splits 1..L - 1.
    """
    blocks = list(model.blocks)
    h = blocks[0](x)
    shipped = quantise(h, bits)
    for block in blocks[1:-1]:
        h = block(h)
        shipped = jax.tree.map(
            lambda *leaves: jnp.concatenate(leaves), block(shipped), quantise(h, bits)
        )
    logits = model.heads[-1](blocks[-1](shipped))
    return logits.reshape(len(blocks) - 1, -1, logits.shape[-1]).swapaxes(0, 1)
