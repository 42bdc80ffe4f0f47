"""Layers that several image networks share, in the form that is fast on a CPU.

Here: pixels to numbers, 3 x 3 windows, depthwise convolution, the pooling head. Not
here: blocks and networks (the other files of `models`), which call this.

XLA's own small convolutions are slow on a CPU, their gradients more so; everything
here is made of shifts, sums and matrix products instead. All of it is NHWC.
"""

import jax.numpy as jnp
from flax import nnx
from jax import Array


def to_unit(images: Array) -> Array:
    """Returns images as float32 in [0, 1]: uint8 is divided by 255, floats are kept.

    Example:
        >>> import jax.numpy as jnp
        >>> from jsplit.models.layers import to_unit
        >>> to_unit(jnp.array([0, 255], jnp.uint8)).tolist()
        [0.0, 1.0]
    """
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255.0
    return images


def windows3x3(x: Array, stride: int) -> Array:
    """Returns the 3 x 3 window around every `stride`-th pixel, zeros outside.

    A 3 x 3 convolution is a matrix product with it: XLA's CPU gradient of a small
    convolution took ten times as long.

    Args:
        x: [B, H, W, channels].
        stride: 1 or 2.

    Returns:
        [B, ceil(H / stride), ceil(W / stride), 9 * channels], row by row.
    """
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    # Columns, then rows: six slices to compile instead of nine.
    x = jnp.concatenate([x[:, :, j : j + width : stride] for j in range(3)], axis=-1)
    return jnp.concatenate([x[:, i : i + height : stride] for i in range(3)], axis=-1)


def depthwise3x3(x: Array, kernel: Array, stride: int) -> Array:
    """Convolves each channel with its own 3 x 3 kernel, zeros outside.

    y[b, h, w, c] = sum_ij kernel[i, j, c] x[b, s h + i - 1, s w + j - 1, c], s = stride,
    as nine shifted multiply-adds.

    Args:
        x: [B, H, W, channels].
        kernel: [3, 3, channels].
        stride: 1 or 2.

    Returns:
        [B, ceil(H / stride), ceil(W / stride), channels].
    """
    height, width = x.shape[1:3]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y = jnp.zeros((), x.dtype)
    for i in range(3):
        for j in range(3):
            y += kernel[i, j] * x[:, i : i + height : stride, j : j + width : stride]
    return y


class PoolHead(nnx.Module):
    """Global average pool, then a linear classifier."""

    def __init__(self, in_channels: int, num_classes: int, *, rngs: nnx.Rngs) -> None:
        """Takes the channels of the activation and the number of classes."""
        self.linear = nnx.Linear(in_channels, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to logits [B, C]."""
        return self.linear(x.mean(axis=(1, 2)))
