"""Labelled examples in memory, as NumPy arrays.

Here: the container and its checks. Not here: where the examples come from (`loading`,
`digits`), how they are distorted (`distort`), any network.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jsplit import checks
from jsplit.types import JsplitError


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Examples with their labels, checked when built.

    Attributes:
        inputs: [N, ...], one array. Images are [N, H, W, channels], uint8 0..255 or
            float32 in [0, 1] (a model takes either); texts are int32 [N, 2, S], token
            ids (0 = padding) over segment ids.
        labels: [N] int32 classes, 0..num_classes - 1.
        name: for example "digits"; becomes `meta["dataset"]` of a trace.
        split: for example "test".
        num_classes: C >= 2.
        meta: JSON-able facts, such as how many examples were left out and why.

    Example:
        >>> import numpy as np
        >>> from jsplit.data import Dataset
        >>> labels = np.array([0, 1, 1])
        >>> data = Dataset(np.zeros((3, 8, 8, 1)), labels, "toy", "train", 2)
        >>> data.inputs.dtype, len(data)
        (dtype('float32'), 3)
    """

    inputs: np.ndarray
    labels: np.ndarray
    name: str
    split: str
    num_classes: int
    meta: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.integer("num_classes", self.num_classes, 2)
        inputs, labels = check_examples(self.inputs, self.labels, self.num_classes)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "labels", labels)

    def __len__(self) -> int:
        return len(self.labels)


def check_examples(
    inputs: ArrayLike, labels: ArrayLike, num_classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns examples as NumPy arrays, or raises if they cannot be used.

    Args:
        inputs: [N, ...] finite numbers, N >= 1.
        labels: [N] integers, 0..num_classes - 1.
        num_classes: C; None leaves the upper end of the labels open.

    Returns:
        inputs: [N, ...], floating-point ones as float32, others as they are.
        labels: [N] int32.

    Raises:
        JsplitError: if a shape, a dtype or a value is not as above.
    """
    inputs, labels = np.asarray(inputs), np.asarray(labels)
    if inputs.ndim < 2 or len(inputs) == 0:
        raise JsplitError(
            f"inputs must have shape [N, ...] with N >= 1, got {inputs.shape}"
        )
    if labels.shape != inputs.shape[:1]:
        raise JsplitError(
            f"labels must have shape {inputs.shape[:1]}, one per image, "
            f"got {labels.shape}"
        )
    if np.issubdtype(inputs.dtype, np.floating):
        inputs = inputs.astype(np.float32, copy=False)
        if not np.isfinite(inputs).all():
            raise JsplitError(
                "inputs must be finite, got "
                f"{np.count_nonzero(~np.isfinite(inputs))} NaN or infinite values"
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
    return inputs, labels.astype(np.int32, copy=False)
