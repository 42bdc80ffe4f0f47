"""Layers that several image networks share, in the form that is fast on a CPU.

Here: pixels to numbers, 3 x 3 windows, depthwise convolution, the pooling head. Not
here: blocks and networks (the other files of this package).

XLA's own small convolutions are slow on a CPU, their gradients more so; everything
here is made of shifts, sums and matrix products instead. All of it is NHWC.
"""

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array


def to_unit(images: Array) -> Array:
    """Returns images as float32 in [0, 1]: uint8 is divided by 255, floats are kept.

    Example:
        >>> import jax.numpy as jnp
        >>> from jsplit.models.networks.layers import to_unit
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
    x = _padded(x)
    # Columns, then rows: six slices to compile instead of nine.
    x = jnp.concatenate([x[:, :, j : j + width : stride] for j in range(3)], axis=-1)
    return jnp.concatenate([x[:, i : i + height : stride] for i in range(3)], axis=-1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def depthwise3x3(x: Array, kernel: Array, stride: int) -> Array:
    """Convolves each channel with its own 3 x 3 kernel, zeros outside.

    y[b, h, w, c] = sum_ij kernel[i, j, c] x[b, h stride + i - 1, w stride + j - 1, c],
    as nine shifted multiply-adds, which XLA makes one loop of. On a CPU this is 25 to
    80 times faster than its own grouped convolution.

    Args:
        x: [B, H, W, channels].
        kernel: [3, 3, channels].
        stride: 1 or 2.

    Returns:
        [B, ceil(H / stride), ceil(W / stride), channels].
    """
    return _depthwise(x, kernel, stride)


def _depthwise(x: Array, kernel: Array, stride: int) -> Array:
    windows = _shifts(_padded(x), stride, x.shape[1:3])
    terms = [tap * w for tap, w in zip(kernel.reshape(9, -1), windows, strict=True)]
    return functools.reduce(jnp.add, terms)


def _padded(x: Array) -> Array:
    """Returns [B, H + 2, W + 2, channels], a frame of zeros around x."""
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def _shifts(padded: Array, stride: int, size: tuple[int, ...]) -> list[Array]:
    """Returns what each of the nine taps sees, row by row, for images of `size`."""
    height, width = size
    return [
        padded[:, i : i + height : stride, j : j + width : stride]
        for i in range(3)
        for j in range(3)
    ]


def _depthwise_forward(
    x: Array, kernel: Array, stride: int
) -> tuple[Array, tuple[Array, Array]]:
    return depthwise3x3(x, kernel, stride), (x, kernel)


def _depthwise_backward(
    stride: int, saved: tuple[Array, Array], grad: Array
) -> tuple[Array, Array]:
    """Returns the gradients of x and of the kernel.

    Left to itself JAX would keep all nine shifted copies of x, and sum each product
    with `grad` over the batch from memory. Sample by sample both stay in the cache:
    three to six times faster.
    """
    x, kernel = saved
    if stride == 1:
        x_grad = _depthwise(grad, kernel[::-1, ::-1], 1)
    else:
        forward = lambda x: _depthwise(x, kernel, stride)  # noqa: E731
        (x_grad,) = jax.linear_transpose(forward, x)(grad)

    def add(sums: list[Array], sample: tuple[Array, Array]) -> tuple[list[Array], None]:
        padded, grad = sample
        windows = _shifts(padded[None], stride, x.shape[1:3])
        return [s + w[0] * grad for s, w in zip(sums, windows, strict=True)], None

    # A sum of bfloat16 stops growing after some hundred terms.
    wide = jnp.promote_types(grad.dtype, jnp.float32)
    start = [jnp.zeros(grad.shape[1:], wide)] * 9
    sums, _ = jax.lax.scan(add, start, (_padded(x), grad))
    kernel_grad = jnp.stack([s.sum(axis=(0, 1)) for s in sums])
    return x_grad, kernel_grad.reshape(kernel.shape).astype(kernel.dtype)


depthwise3x3.defvjp(_depthwise_forward, _depthwise_backward)


@jax.custom_vjp
def pointwise(x: Array, kernel: Array) -> Array:
    """Convolves with a 1 x 1 kernel: a matrix product over the channels.

    Args:
        x: [..., in].
        kernel: [in, out].

    Returns:
        [..., out].
    """
    return x @ kernel


def _pointwise_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return x @ kernel, (x, kernel)


def _pointwise_backward(saved: tuple[Array, Array], grad: Array) -> tuple[Array, Array]:
    """Returns the gradients of x and of the kernel.

    The barrier has x and `grad` computed once, as they lie in memory. Without it XLA
    computes one a second time, transposed and slowly, for the gradient of the kernel.
    """
    (x, kernel), grad = jax.lax.optimization_barrier((saved, grad))
    flat, flat_grad = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
    # The left factor is transposed in memory: let it be the narrower one.
    if x.shape[-1] <= grad.shape[-1]:
        kernel_grad = flat.T @ flat_grad
    else:
        kernel_grad = (flat_grad.T @ flat).T
    return grad @ kernel.T, kernel_grad


pointwise.defvjp(_pointwise_forward, _pointwise_backward)


class BatchNorm(nnx.Module):
    """Batch norm over all axes but the last, in evaluation mode unless told otherwise.

    A sample's logits must not depend on who else is in its batch, so the stored
    statistics are used; `jsplit.train` switches with `nnx.view`. The numbers are those
    of `nnx.BatchNorm`. That one computes (x - mean) a + b and in training keeps
    x - mean; this one computes a x + (b - a mean) and keeps x, which the layer before
    keeps anyway.
    """

    MOMENTUM, EPSILON = 0.9, 1e-5  # as in torchvision, which calls the first one 0.1

    def __init__(self, channels: int, *, rngs: nnx.Rngs) -> None:
        """Takes the number of channels, the last axis; nothing is random here."""
        del rngs
        self.scale = nnx.Param(jnp.ones(channels, jnp.float32))
        self.bias = nnx.Param(jnp.zeros(channels, jnp.float32))
        self.mean = nnx.BatchStat(jnp.zeros(channels, jnp.float32))
        self.var = nnx.BatchStat(jnp.ones(channels, jnp.float32))
        self.use_running_average = True

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Switches to the stored statistics (True) or to the batch's own (False).

        Args:
            use_running_average: which of the two; None changes nothing.
        """
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: Array) -> Array:
        """Maps [..., channels] to the same shape."""
        mean, var = self.mean[...], self.var[...]
        if not self.use_running_average:
            axes, old = tuple(range(x.ndim - 1)), self.MOMENTUM
            # In bfloat16 the difference of the two means would be rounding.
            wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
            now = wide.mean(axes)
            spread = jnp.maximum(jnp.square(wide).mean(axes) - jnp.square(now), 0.0)
            self.mean[...] = jax.lax.stop_gradient(old * mean + (1 - old) * now)
            self.var[...] = jax.lax.stop_gradient(old * var + (1 - old) * spread)
            mean, var = now, spread
        scale = self.scale[...] * jax.lax.rsqrt(var + self.EPSILON)
        return (x * scale + (self.bias[...] - mean * scale)).astype(x.dtype)


class PoolHead(nnx.Module):
    """Global average pool, then a linear classifier."""

    def __init__(self, in_channels: int, num_classes: int, *, rngs: nnx.Rngs) -> None:
        """Takes the channels of the activation and the number of classes."""
        self.linear = nnx.Linear(in_channels, num_classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        """Maps [B, H, W, in] to logits [B, C]."""
        return self.linear(x.mean(axis=(1, 2)))
