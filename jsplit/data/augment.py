"""Random changes of training images that keep their class, on the device.

Here: shifts and mirror images, by key. JAX can compile them. Not here: distortions of
test images (`distort`).
"""

import jax
import jax.numpy as jnp
from jax import Array

PADDING = 4  # pixels; what is usual for images of 32 x 32


def random_crop(images: Array, key: Array, padding: int = PADDING) -> Array:
    """Cuts a window of the images' size from each image with a black border.

    Args:
        images: [B, H, W, channels], any dtype.
        key: typed key, consumed.
        padding: width of the border in pixels; images move by -padding..padding.

    Returns:
        [B, H, W, channels] of the same dtype.

    Example:
        >>> import jax
        >>> from jsplit.data.augment import random_crop
        >>> images = jax.numpy.ones((2, 8, 8, 1), "uint8")
        >>> moved = random_crop(images, jax.random.key(0))
        >>> moved.shape, moved.dtype
        ((2, 8, 8, 1), dtype('uint8'))
    """
    batch = len(images)
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    corners = jax.random.randint(key, (batch, 2), 0, 2 * padding + 1)

    def window(image: Array, corner: Array) -> Array:
        start = (corner[0], corner[1], jnp.int32(0))
        return jax.lax.dynamic_slice(image, start, images.shape[1:])

    return jax.vmap(window)(jnp.pad(images, border), corners)


def random_flip(images: Array, key: Array) -> Array:
    """Mirrors each image left to right with probability 1/2.

    Args:
        images: [B, H, W, channels], any dtype.
        key: typed key, consumed.

    Returns:
        [B, H, W, channels] of the same dtype.
    """
    flipped = jax.random.bernoulli(key, 0.5, (len(images), 1, 1, 1))
    return jnp.where(flipped, images[:, :, ::-1], images)
