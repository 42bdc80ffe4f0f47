"""Distortions of images, to see how a policy does when the world changes.

Here: blur and noise, on whole batches. Not here: data sets or networks.
Called by `cli`, experiments and users.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jsplit import checks
from jsplit.types import JsplitError

TRUNCATE = 4.0  # standard deviations; SciPy's default


def gaussian_blur(images: ArrayLike, sigma: float) -> Array:
    """Blurs each image with a Gaussian.

    The same numbers as `scipy.ndimage.gaussian_filter` over height and width with
    its defaults: mode "reflect" (d c b a | a b c d | d c b a) and a kernel cut at 4
    standard deviations.

    Args:
        images: [N, H, W, channels].
        sigma: Standard deviation in pixels, >= 0; 0 changes nothing. A Python
            number, since it fixes the kernel: a new one compiles again.

    Returns:
        [N, H, W, channels] float32.

    Raises:
        JsplitError: An argument is out of shape or range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jsplit.data.distort import gaussian_blur
        >>> dot = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2, 0].set(1.0)
        >>> [round(float(pixel), 3) for pixel in gaussian_blur(dot, 0.5)[0, 2, :, 0]]
        [0.0, 0.084, 0.619, 0.084, 0.0]
    """
    return _blur(_checked(images), checks.number("sigma", sigma, low=0.0))


@jax.jit(static_argnames="sigma")
def _blur(images: Array, sigma: float) -> Array:
    # Along one axis a blur is a matrix. For images of a few hundred pixels two
    # matrix products beat a convolution, and reflection costs nothing.
    _, height, width, _ = images.shape
    return jnp.einsum(
        "ih,jw,nhwc->nijc",
        _blur_matrix(height, sigma),
        _blur_matrix(width, sigma),
        images,
        precision=jax.lax.Precision.HIGHEST,
    )


def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """Returns the [size, size] float32 matrix that blurs a line of pixels."""
    radius = int(TRUNCATE * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2) if radius else np.ones(1)
    # The reflected line repeats with period 2 * size; the kernel may span several.
    source = (np.arange(size)[:, None] + offsets) % (2 * size)
    source = np.where(source < size, source, 2 * size - 1 - source)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], source), weights / weights.sum())
    return matrix.astype(np.float32)


def gaussian_noise(images: ArrayLike, std: float, key: Array) -> Array:
    """Adds Gaussian noise to each pixel and clips to [0, 1].

    Args:
        images: [N, H, W, channels] in [0, 1].
        std: Standard deviation of the noise before clipping, >= 0.
        key: Typed key (`jax.random.key(seed)`), consumed; the same one gives the
            same noise.

    Returns:
        [N, H, W, channels] float32 in [0, 1].

    Raises:
        JsplitError: An argument is out of shape or range.

    Example:
        >>> import jax
        >>> from jsplit.data.distort import gaussian_noise
        >>> grey = jax.numpy.full((1, 4, 4, 1), 0.5)
        >>> gaussian_noise(grey, 0.1, jax.random.key(0)).shape
        (1, 4, 4, 1)
    """
    return _add_noise(_checked(images), checks.number("std", std, low=0.0), key)


@jax.jit
def _add_noise(images: Array, std: Array, key: Array) -> Array:
    noise = jax.random.normal(key, images.shape, jnp.float32)
    return jnp.clip(images + std * noise, 0.0, 1.0)


def _checked(images: ArrayLike) -> Array:
    images = jnp.asarray(images, jnp.float32)
    if images.ndim != 4:
        raise JsplitError(
            f"images must have shape [N, H, W, channels], got {images.shape}"
        )
    return images
