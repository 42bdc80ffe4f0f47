"""Checks of whole arrays that users hand in, each failing with one clear line.

Here: shapes, types, ranges and the first value that breaks a rule. Not here: checks of
single values (`checks`).
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jsplit import checks
from jsplit.types import JsplitError

ROUNDING = 1e-6  # a softmax in float32 may leave [0, 1] by this much


def refuse(name: str, values: np.ndarray, bad: np.ndarray, rule: str) -> None:
    """Raises if any value is bad, showing the first one and how many there are.

    Traced values are taken as they are.
    """
    if checks.is_traced((values, bad)):
        return
    if bad.any():
        first = np.unravel_index(int(bad.argmax()), bad.shape)
        where = ", ".join(str(i) for i in first)
        raise JsplitError(
            f"{name} must be {rule}, got {values[first]!s} at {name}[{where}] "
            f"({int(bad.sum())} of {bad.size} values break this)"
        )


def numbers(name: str, value: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """Returns `value` as an array of numbers of any kind, of the shape if one is given.

    Raises:
        JsplitError: if it holds no numbers or has another shape.
    """
    try:
        array: Any = (
            jnp.asarray(value) if checks.is_traced(value) else np.asarray(value)
        )
    except (ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise JsplitError(f"{name} must be an array of numbers: {reason}") from error
    # Not a test of dtype.kind: bfloat16, for one, is of kind "V".
    if not np.can_cast(array.dtype, np.float64, "same_kind"):
        raise JsplitError(f"{name} must hold numbers, got dtype {array.dtype}")
    if shape is not None and array.shape != shape:
        raise JsplitError(f"{name} must have shape {shape}, got {array.shape}")
    return array


def floats(
    name: str,
    value: Any,
    shape: tuple[int, ...] | None = None,
    dtype: np.dtype[Any] | None = None,
) -> np.ndarray:
    """Returns a finite array; float64 stays, anything else becomes float32."""
    array = numbers(name, value, shape)
    if array.dtype == bool:
        raise JsplitError(f"{name} must hold real numbers, got dtype bool")
    if dtype is None:
        double = array.dtype.kind == "f" and array.dtype.itemsize == 8
        dtype = np.dtype(np.float64 if double else np.float32)
    if checks.is_traced(array):
        return array.astype(dtype)
    with np.errstate(over="ignore"):
        array = array.astype(dtype, order="C", copy=False)
    refuse(name, array, ~np.isfinite(array), "finite")
    return array


def confidences(
    name: str,
    value: Any,
    shape: tuple[int, ...] | None = None,
    dtype: np.dtype[Any] | None = None,
) -> np.ndarray:
    """Returns a fresh [N, L] array of numbers in [0, 1]."""
    array = floats(name, value, shape, dtype)
    if array.ndim != 2 or array.shape[0] < 1 or array.shape[1] < 2:
        raise JsplitError(
            f"{name} must have shape [N, L] with at least 1 sample and 2 exits, "
            f"got shape {array.shape}"
        )
    outside = (array < -ROUNDING) | (array > 1 + ROUNDING)
    refuse(name, array, outside, "in [0, 1]")
    return array.clip(0, 1)


def logits(
    name: str,
    value: Any,
    shape: tuple[int, ...] | None = None,
    dtype: np.dtype[Any] | None = None,
) -> np.ndarray:
    """Returns a finite [N, L, C] array."""
    array = floats(name, value, shape, dtype)
    if array.ndim != 3 or array.shape[0] < 1 or min(array.shape[1:]) < 2:
        raise JsplitError(
            f"{name} must have shape [N, L, C] with at least 1 sample, 2 exits and 2 "
            f"classes, got shape {array.shape}"
        )
    return array


def classes(
    name: str, value: Any, shape: tuple[int, ...], num_classes: int | None = None
) -> np.ndarray:
    """Returns class numbers as a fresh int32 array; whole floats are welcome."""
    array = numbers(name, value, shape)
    limit = num_classes or np.iinfo(np.int32).max
    if checks.is_traced(array):
        return array.astype(np.int32)
    rule = f"a class in 0..{num_classes - 1}" if num_classes else "an integer >= 0"
    if (array == -1).any():
        rule += "; drop unlabelled samples (-1) first"
    allowed = (array >= 0) & (array < limit)
    allowed &= array == np.floor(array)
    refuse(name, array, ~allowed, rule)
    return array.astype(np.int32, order="C")


def booleans(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a fresh bool array made of bool or 0/1."""
    array = numbers(name, value, shape)
    if checks.is_traced(array):
        return array.astype(bool)
    refuse(name, array, (array != 0) & (array != 1), "bool or 0/1")
    return array.astype(bool, order="C")
