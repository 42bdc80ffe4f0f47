"""Encoded images to arrays of one shape.

Here: decoding and encoding with Pillow, cropping and resizing. Not here: where the
bytes come from (`read`), distortions (`distort`), augmentation (`augment`).
"""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.extras import naming
from jsplit.types import JsplitError

MAX_PIXELS = 2**27  # half a gigabyte decoded; beyond, somebody fills memory


def decode(encoded: Sequence[bytes], shape: tuple[int, int, int]) -> np.ndarray:
    """Returns images as one array.

    An image of another size is cropped at its centre to the shape's proportions and
    resized (bilinear, over all pixels that an output pixel covers).

    Args:
        encoded: N image files (JPEG, PNG, ...).
        shape: height, width, and 1 (grey) or 3 (colour) channels.

    Returns:
        [N, H, W, channels] uint8.

    Raises:
        JsplitError: if an image cannot be read.
        MissingExtra: if Pillow is not installed.
    """
    Image, ImageOps = _pillow()
    height, width, channels = shape
    mode = {1: "L", 3: "RGB"}[channels]
    array = np.empty((len(encoded), *shape), np.uint8)
    for i, content in enumerate(encoded):
        image = _opened(content, f"image {i} of a batch").convert(mode)
        if image.size != (width, height):
            bilinear = Image.Resampling.BILINEAR
            image = ImageOps.fit(image, (width, height), bilinear)
        array[i] = np.asarray(image).reshape(shape)
    return array


def checked(content: bytes, name: str) -> bytes:
    """Returns an image file as it is, after decoding all of it as a test.

    Args:
        content: the file.
        name: what it is called, for the message.

    Raises:
        JsplitError: if Pillow cannot read all of the image.
        MissingExtra: if it is not installed.
    """
    _opened(content, name)
    return content


def encode_png(image: np.ndarray) -> bytes:
    """Returns an image [H, W, 1 or 3] uint8 as a PNG file."""
    Image, _ = _pillow()
    file = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()


def target_size(
    name: str, stored: Sequence[int | None], asked: int | tuple[int, int] | None
) -> tuple[int, int]:
    """Returns the height and width to decode to.

    Args:
        name: the data set, for the message.
        stored: height and width of its images; None = they differ.
        asked: pixels, (height, width), or None for the stored size.

    Raises:
        JsplitError: if `asked` is no size, or if it is None and images differ.
    """
    if asked is None:
        height, width = stored
        if height is None or width is None:
            raise JsplitError(
                f"image_size: images of {name} differ in size; give one, such as 224"
            )
        return height, width
    pair: Any = asked if isinstance(asked, tuple | list) else (asked, asked)
    if len(pair) != 2:
        raise JsplitError(
            f"image_size must be pixels or (height, width), got {checks.shown(asked)}"
        )
    height, width = (checks.integer("image_size", pixels, 1, 4096) for pixels in pair)
    return height, width


def _opened(content: bytes, name: str) -> Any:
    """Returns an image whose pixels have all been read."""
    Image, _ = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large images
            image = Image.open(io.BytesIO(content))
        _check_pixels(image.size, name)
        image.load()
    except JsplitError:
        raise
    except Image.DecompressionBombError:
        raise JsplitError(f"{name} has more pixels than Pillow reads") from None
    except Exception:  # its many readers raise what they like
        raise JsplitError(f"{name} is damaged or no image") from None
    return image


def _check_pixels(size: tuple[int, int], name: str) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise JsplitError(
            f"{name} must have at most {MAX_PIXELS:,} pixels, got {size[0]} x {size[1]}"
        )


def _pillow() -> tuple[Any, Any]:
    with naming("reading images"):
        from PIL import Image, ImageOps
    return Image, ImageOps
