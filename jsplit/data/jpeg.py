"""What JPEG does to an image between pixels and bits, on batches.

Here: colours, blocks, the cosine transform and its quantisation. Not here: entropy
coding, which loses nothing, and checks of arguments (`distort`).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

SIZE = 8

# ITU-T T.81 (1992), annex K, tables K.1 and K.2.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
# ITU-T T.871 (JFIF): RGB to YCbCr, with Cb and Cr around zero.
YCBCR = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.168735892, -0.331264108, 0.5],
        [0.5, -0.418687589, -0.081312411],
    ]
)
HIGHEST = jax.lax.Precision.HIGHEST


def quantise(images: Array, quality: int) -> Array:
    """Returns images after the cosine coefficients of their blocks were rounded.

    Args:
        images: [N, H, W, 1 or 3] float32 in [0, 1].
        quality: 1..100.

    Returns:
        [N, H, W, channels] float32 in [0, 1].
    """
    _, height, width, channels = images.shape
    x = images * 255
    if channels == 3:
        x = jnp.einsum("kc,nhwc->nhwk", _float(YCBCR), x, precision=HIGHEST)
    # Samples are centred around zero; the colour differences already are.
    shift = jnp.array([128.0, 0.0, 0.0][:channels], jnp.float32)
    bottom, right = -height % SIZE, -width % SIZE
    x = jnp.pad(x - shift, ((0, 0), (0, bottom), (0, right), (0, 0)), mode="edge")
    rows, columns = x.shape[1] // SIZE, x.shape[2] // SIZE
    blocks = x.reshape(len(x), rows, SIZE, columns, SIZE, channels)
    dct, table = _float(dct_matrix()), _float(tables(quality)[..., :channels])
    coefficients = jnp.einsum(
        "ui,vj,nriqjc->nrquvc", dct, dct, blocks, precision=HIGHEST
    )
    coefficients = jnp.round(coefficients / table) * table
    blocks = jnp.einsum(
        "ui,vj,nrquvc->nriqjc", dct, dct, coefficients, precision=HIGHEST
    )
    x = blocks.reshape(x.shape)[:, :height, :width] + shift
    if channels == 3:
        back = _float(np.linalg.inv(YCBCR))
        x = jnp.einsum("kc,nhwc->nhwk", back, x, precision=HIGHEST)
    return jnp.clip(x / 255, 0.0, 1.0)


def dct_matrix() -> np.ndarray:
    """Returns the orthonormal cosine transform of 8 numbers, [8, 8] float64."""
    u, i = np.mgrid[:SIZE, :SIZE]
    matrix = np.sqrt(2 / SIZE) * np.cos(np.pi * u * (2 * i + 1) / (2 * SIZE))
    matrix[0] /= np.sqrt(2)
    return matrix


def tables(quality: int) -> np.ndarray:
    """Returns the steps of Y, Cb and Cr at a quality, [8, 8, 3], as libjpeg has them.

    Scaled by 5000 / quality below 50 and 200 - 2 quality above, in percent.
    """
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    standard = np.stack([LUMINANCE, CHROMINANCE, CHROMINANCE], axis=-1)
    return np.clip((standard * percent + 50) // 100, 1, 255)


def _float(matrix: np.ndarray) -> Array:
    return jnp.asarray(matrix, jnp.float32)
