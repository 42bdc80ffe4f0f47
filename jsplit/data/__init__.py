"""Labelled examples in memory, as NumPy arrays.

Here: the container and its checks. Not here: where the examples come from
(`data.digits`), how they are distorted (`data.distort`), any network.
Called by `training`, `recording`, `cli` and by users.
"""

import dataclasses

import numpy as np
from jax.typing import ArrayLike

from jsplit import checks
from jsplit.types import JsplitError


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Examples with their labels, checked when built.

    Attributes:
        images: [N, H, W, channels] float32, finite; the built-in sets are in [0, 1].
        labels: [N] int32 classes, 0..num_classes - 1.
        name: For example "digits"; becomes `meta["dataset"]` of a trace.
        split: For example "test".
        num_classes: C >= 2.

    Example:
        >>> import numpy as np
        >>> from jsplit.data import Dataset
        >>> labels = np.array([0, 1, 1])
        >>> data = Dataset(np.zeros((3, 8, 8, 1)), labels, "toy", "train", 2)
        >>> data.images.dtype, len(data)
        (dtype('float32'), 3)
    """

    images: np.ndarray
    labels: np.ndarray
    name: str
    split: str
    num_classes: int

    def __post_init__(self) -> None:
        checks.integer("num_classes", self.num_classes, 2)
        images, labels = check_examples(self.images, self.labels, self.num_classes)
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.labels)


def check_examples(
    images: ArrayLike, labels: ArrayLike, num_classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns examples as NumPy arrays, or raises if they cannot be used.

    Args:
        images: [N, ...] finite numbers, N >= 1.
        labels: [N] integers, 0..num_classes - 1.
        num_classes: C; None leaves the upper end of the labels open.

    Returns:
        images: [N, ...], floating-point ones as float32, others as they are.
        labels: [N] int32.

    Raises:
        JsplitError: A shape, a dtype or a value is not as above.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim < 2 or len(images) == 0:
        raise JsplitError(
            f"images must have shape [N, ...] with N >= 1, got {images.shape}"
        )
    if labels.shape != images.shape[:1]:
        raise JsplitError(
            f"labels must have shape {images.shape[:1]}, one per image, "
            f"got {labels.shape}"
        )
    if np.issubdtype(images.dtype, np.floating):
        images = images.astype(np.float32, copy=False)
        if not np.isfinite(images).all():
            raise JsplitError(
                "images must be finite, got "
                f"{np.count_nonzero(~np.isfinite(images))} NaN or infinite values"
            )
    if not np.issubdtype(labels.dtype, np.integer):
        raise JsplitError(f"labels must be integers, got dtype {labels.dtype}")
    bad = labels < 0
    rule = ">= 0"
    if num_classes is not None:
        bad |= labels >= num_classes
        rule = f"from 0 to {num_classes - 1}"
    if bad.any():
        first = int(np.argmax(bad))
        raise JsplitError(
            f"labels must be {rule}, got {labels[first]} at position {first}"
        )
    return images, labels.astype(np.int32, copy=False)
