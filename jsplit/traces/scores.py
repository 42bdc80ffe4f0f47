"""Confidence, entropy, prediction of numbers per class [N, L, C], a block at a time.

Here: logits and probabilities, told apart, and lists of one array per exit. Not here:
the softmax itself (`softmax`).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.traces import arrays, softmax
from jsplit.types import JsplitError

Summary = Callable[[str, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""From a name and numbers [N, L, C] to confidence, entropy and prediction, [N, L]."""

BLOCK = 1 << 18  # numbers looked at at once; more would only take memory
ROUNDING = 5e-3  # a softmax in half precision sums to 1 up to this


def by_sample(
    name: str, value: Any, labels: Any, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """Returns numbers [N, L, C]; a list may have one array [N, C] per exit.

    Args:
        name: what messages call them.
        value: an array [N, L, C], a list of N arrays [L, C] or of L arrays [N, C].
        labels: [N], which tell these lists apart.
        shape: that they must have, None = any.

    Raises:
        JsplitError: if the shape is another one, or a list may be read in two ways.
    """
    count = np.shape(labels)[0] if np.ndim(labels) == 1 else -1
    if isinstance(value, list | tuple) and all(np.ndim(x) == 2 for x in value):
        lengths = {np.shape(one)[0] for one in value}
        per_exit = lengths == {count} and all(hasattr(x, "shape") for x in value)
        if per_exit and len(value) == count:
            raise JsplitError(
                f"{name} must be one array [N, L, C] where N = L, got a list of "
                f"{count} arrays, which may be samples or exits"
            )
        if per_exit:
            value = [arrays.numbers(name, one, None) for one in value]
            try:
                value = np.stack(value, axis=1)
            except ValueError as error:
                raise JsplitError(f"{name}: exits differ: {error}") from error
    array = arrays.per_class(name, arrays.numbers(name, value, shape))
    if array.shape[0] != count == array.shape[1]:
        raise JsplitError(
            f"{name} must have shape [N, L, C], got {array.shape} for {count} labels; "
            "swap the first two axes of [L, N, C]"
        )
    return array


def of_logits(
    name: str, logits: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what `softmax.summary` says of logits [N, L, C], each [N, L].

    Raises:
        JsplitError: if a logit is not allowed, or those of an exit are probabilities.
    """
    summed = np.ones(logits.shape[1], bool)  # exits whose numbers all sum to 1

    def one(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        arrays.check_logits(name, block)
        if summed.any():
            summed[:] &= _sum_to_one(block).all(axis=0)
        return softmax.summary(block)

    found = _in_blocks(name, logits, one, arrays.check_logits)
    if summed.any():
        raise JsplitError(
            f"{name} must be logits, before the softmax, got probabilities at exit "
            f"{int(summed.argmax()) + 1} (>= 0, sums 1); hand them over with "
            "Trace.from_probabilities, or as probabilities in a file"
        )
    return found


def of_probabilities(
    name: str, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns confidence, entropy and prediction of probabilities [N, L, C].

    Raises:
        JsplitError: if one is not in [0, 1], or they do not sum to 1.
    """

    def check(name: str, block: np.ndarray) -> None:
        arrays.refuse(name, block, ~np.isfinite(block), "finite")
        outside = (block < -arrays.ROUNDING) | (block > 1 + ROUNDING)
        arrays.refuse(name, block, outside, "in [0, 1]")
        sums = block.sum(axis=-1, dtype=np.float64)
        arrays.refuse(
            f"the sum of {name}", sums, np.abs(sums - 1) > ROUNDING, "1 over classes"
        )

    def one(block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        check(name, block)
        block = block.clip(0, 1)
        logs = np.log(block, out=np.zeros_like(block), where=block > 0)
        # A probability rounded above 1 would make it negative.
        entropy = np.maximum(-(block * logs).sum(axis=-1), 0)
        return block.max(axis=-1), entropy, block.argmax(axis=-1)

    return _in_blocks(name, probabilities, one, check)


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Returns logits with these probabilities; -inf where one is 0."""
    given = arrays.as_floats("probabilities", probabilities)
    with np.errstate(divide="ignore"):
        return np.log(given.clip(0, 1))


def _sum_to_one(block: np.ndarray) -> np.ndarray:
    """Tells of each sample and exit whether its numbers are probabilities, [n, L]."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums = block.sum(axis=-1, dtype=np.float64)
    return (np.abs(sums - 1) <= ROUNDING) & (block.min(axis=-1) >= 0)


def _in_blocks(
    name: str,
    given: np.ndarray,
    one: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
    check: Callable[[str, np.ndarray], None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns what `one` says of each block, put together."""
    if checks.is_traced(given):
        raise JsplitError(f"{name} {checks.NOT_TRACED}")
    parts = []
    for rows in _blocks(given.shape):
        block = arrays.as_floats(name, given[rows])
        try:
            parts.append(one(block))
        except JsplitError:
            # Again on all of them, to say where, and how many there are.
            check(name, arrays.as_floats(name, given))
            raise
    confidence, entropy, prediction = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    return confidence, entropy, prediction


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, BLOCK // (shape[1] * shape[2]))
    for start in range(0, shape[0], step):
        yield slice(start, start + step)
