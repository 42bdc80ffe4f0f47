"""Distortions of images, to see how a policy does when the world changes.

Here: blur, noise, contrast, brightness and JPEG on whole batches; the published levels;
the names that `--distort` takes. Not here: data sets or networks.

Images are [N, H, W, channels], float32 in [0, 1] or uint8 0..255. Distorted images are
float32. Every distortion is jitted, and `jax.vmap` maps it over images. It also maps
the levels of noise, contrast and brightness. The levels of blur and JPEG are constants
of the compiled program.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jsplit import checks
from jsplit.data import jpeg
from jsplit.types import JsplitError

TRUNCATE = 4.0  # standard deviations; SciPy's default

# I-SplitEE (arXiv 2401.10541). Noise is in units of 0..255 pixels: its code uses the
# first levels, the work it builds on the second.
ISPLITEE_BLUR = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ISPLITEE_NOISE = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
PRIOR_NOISE = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0)


def gaussian_blur(images: ArrayLike, sigma: float) -> Array:
    """Blurs each image with a Gaussian.

    The numbers are those of `scipy.ndimage.gaussian_filter` over height and width with
    its defaults: mode "reflect" (d c b a | a b c d | d c b a) and a kernel cut at 4
    standard deviations.

    Args:
        images: [N, H, W, channels].
        sigma: standard deviation in pixels, >= 0; 0 changes nothing. A Python number:
            it fixes the kernel, so a new one compiles again.

    Returns:
        [N, H, W, channels] float32.

    Raises:
        JsplitError: if an argument is out of shape or range.

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
        _unit(images),
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


def gaussian_noise(images: ArrayLike, std: ArrayLike, key: Array) -> Array:
    """Adds Gaussian noise to each pixel and clips to [0, 1].

    Args:
        images: [N, H, W, channels].
        std: standard deviation of the noise before clipping, >= 0, where white is 1.
        key: typed key (`jax.random.key(seed)`), consumed; the same one gives the
            same noise.

    Returns:
        [N, H, W, channels] float32 in [0, 1].

    Raises:
        JsplitError: if an argument is out of shape or range.

    Example:
        >>> import jax
        >>> from jsplit.data.distort import gaussian_noise
        >>> grey = jax.numpy.full((1, 4, 4, 1), 0.5)
        >>> gaussian_noise(grey, 0.1, jax.random.key(0)).shape
        (1, 4, 4, 1)
    """
    return _add_noise(_checked(images), _level("std", std, low=0.0), key)


@jax.jit
def _add_noise(images: Array, std: Array, key: Array) -> Array:
    noise = jax.random.normal(key, images.shape, jnp.float32)
    return jnp.clip(_unit(images) + std * noise, 0.0, 1.0)


def contrast(images: ArrayLike, factor: ArrayLike) -> Array:
    """Pulls each image towards its mean: clip(mean + factor (x - mean), 0, 1).

    The mean is that of each channel over height and width, as in CIFAR-10-C.

    Args:
        images: [N, H, W, channels].
        factor: >= 0; 1 changes nothing, 0 leaves nothing but the mean.

    Returns:
        [N, H, W, channels] float32 in [0, 1].

    Raises:
        JsplitError: if an argument is out of shape or range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jsplit.data.distort import contrast
        >>> contrast(jnp.array([0.25, 0.75]).reshape(1, 1, 2, 1), 0.5).ravel()
        Array([0.375, 0.625], dtype=float32)
    """
    return _contrast(_checked(images), _level("factor", factor, low=0.0))


@jax.jit
def _contrast(images: Array, factor: Array) -> Array:
    images = _unit(images)
    mean = images.mean(axis=(1, 2), keepdims=True)
    return jnp.clip(mean + factor * (images - mean), 0.0, 1.0)


def brightness(images: ArrayLike, change: ArrayLike) -> Array:
    """Adds to the value of each pixel in the HSV sense, as in CIFAR-10-C.

    The value v = max of the channels becomes clip(v + change, 0, 1). Hue and saturation
    stay, so the channels are scaled by new over old value. Black turns grey. A
    grey image is simply clipped after adding.

    Args:
        images: [N, H, W, channels].
        change: -1..1.

    Returns:
        [N, H, W, channels] float32 in [0, 1].

    Raises:
        JsplitError: if an argument is out of shape or range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jsplit.data.distort import brightness
        >>> orange = jnp.array([0.5, 0.25, 0.0]).reshape(1, 1, 1, 3)
        >>> brightness(orange, 0.25).ravel()
        Array([0.75 , 0.375, 0.   ], dtype=float32)
    """
    return _brighten(_checked(images), _level("change", change, low=-1.0, high=1.0))


@jax.jit
def _brighten(images: Array, change: Array) -> Array:
    images = _unit(images)
    value = images.max(axis=-1, keepdims=True)
    wanted = jnp.clip(value + change, 0.0, 1.0)
    scale = wanted / jnp.where(value > 0.0, value, 1.0)
    return jnp.where(value > 0.0, images * scale, wanted)


def jpeg_quantise(images: ArrayLike, quality: int) -> Array:
    """Quantises the cosine coefficients of 8 x 8 blocks, as a JPEG file does.

    Three channels are turned into YCbCr, and colour is not subsampled. The tables are
    those of the JPEG standard (its annex K), scaled by quality as libjpeg does. Images
    whose sides are no multiple of 8 are continued by their last row and column.
    Unlike a decoder, this does not round pixels to whole numbers.

    Args:
        images: [N, H, W, 1 or 3].
        quality: 1..100. A Python number: a new one compiles again.

    Returns:
        [N, H, W, channels] float32 in [0, 1].

    Raises:
        JsplitError: if an argument is out of shape or range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jsplit.data.distort import jpeg_quantise
        >>> grey = jpeg_quantise(jnp.full((1, 8, 8, 1), 0.5), 50)
        >>> round(float(grey[0, 0, 0, 0]), 3)
        0.502
    """
    images = _checked(images)
    if images.shape[-1] not in (1, 3):
        raise JsplitError(f"images must have 1 or 3 channels, got {images.shape[-1]}")
    return _jpeg(images, checks.integer("quality", quality, 1, 100))


@jax.jit(static_argnames="quality")
def _jpeg(images: Array, quality: int) -> Array:
    return jpeg.quantise(_unit(images), quality)


class Level(NamedTuple):
    """What the number after a distortion's name means and may be."""

    meaning: str
    low: float
    high: float = math.inf
    whole: bool = False


# What `--distort NAME=LEVEL` takes.
DISTORTIONS = {
    "blur": Level("standard deviation in pixels", 0),
    "noise": Level("standard deviation in units of 0..255 pixels", 0),
    "contrast": Level("factor, 1 = unchanged", 0),
    "brightness": Level("added to the value", -1, 1),
    "jpeg": Level("quality", 1, 100, whole=True),
}


def distort(images: ArrayLike, name: str, level: float, key: Array) -> Array:
    """Applies a distortion by name.

    Args:
        images: [N, H, W, channels].
        name: one of `DISTORTIONS`.
        level: how much, see `DISTORTIONS`. "noise" is `gaussian_noise` with
            std = level / 255.
        key: typed key for the noise, consumed; the others ignore it.

    Returns:
        [N, H, W, channels] float32.

    Raises:
        JsplitError: if there is no such distortion, or if an argument is out of range.

    Example:
        >>> import jax
        >>> from jsplit.data.distort import distort
        >>> grey = jax.numpy.full((1, 8, 8, 1), 0.5)
        >>> distort(grey, "brightness", 0.25, jax.random.key(0)).max()
        Array(0.75, dtype=float32)
    """
    level = _checked_level(checks.choice("distortion", name, DISTORTIONS), level)
    if name == "blur":
        return gaussian_blur(images, level)
    if name == "noise":
        return gaussian_noise(images, level / 255, key)
    if name == "contrast":
        return contrast(images, level)
    if name == "brightness":
        return brightness(images, level)
    return jpeg_quantise(images, int(level))


def _checked_level(name: str, level: Any) -> Any:
    """Returns the level of a distortion, or raises if it is out of range."""
    if isinstance(level, jax.Array):
        return level  # under vmap or jit it has no value to check
    meaning, low, high, whole = DISTORTIONS[name]
    label = f"level of {name} ({meaning})"
    if not whole:
        return checks.number(label, level, low, high)
    if isinstance(level, float) and level.is_integer():
        level = int(level)
    return checks.integer(label, level, int(low), int(high))


def parse_distortion(text: str) -> tuple[str, float]:
    """Reads "blur=0.8" as a name and a level.

    Args:
        text: "NAME=LEVEL" with a name in `DISTORTIONS`.

    Returns:
        name: one of `DISTORTIONS`.
        level: a number that `distort` takes with it.

    Raises:
        JsplitError: if the text is something else, or if the level is out of range.
            The message lists what exists.

    Example:
        >>> from jsplit.data.distort import parse_distortion
        >>> parse_distortion("blur=0.8")
        ('blur', 0.8)
    """
    name, equals, level = text.partition("=")
    if not equals:
        listed = ", ".join(f"{x} ({y.meaning})" for x, y in DISTORTIONS.items())
        raise JsplitError(
            f"distortion must be NAME=LEVEL, got {checks.shown(text)}; "
            f"there are {listed}"
        )
    name = checks.choice("distortion", name.strip(), DISTORTIONS)
    try:
        number = float(level)
    except ValueError:
        number = math.nan
    return name, _checked_level(name, level if math.isnan(number) else number)


def _checked(images: ArrayLike) -> Array:
    # Bytes stay bytes until they are on the device: a quarter to copy.
    if getattr(images, "dtype", None) != np.uint8:
        images = jnp.asarray(images, jnp.float32)
    images = jnp.asarray(images)
    if images.ndim != 4:
        raise JsplitError(
            f"images must have shape [N, H, W, channels], got {images.shape}"
        )
    return images


def _unit(images: Array) -> Array:
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255
    return images


def _level(name: str, value: ArrayLike, **bounds: float) -> Array:
    # Arrays are taken as they are: under vmap or jit they have no value to check.
    if not isinstance(value, jax.Array):
        value = checks.number(name, value, **bounds)
    return jnp.asarray(value, jnp.float32)
