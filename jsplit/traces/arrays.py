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
        if checks.is_traced(value):
            array: Any = jnp.asarray(value)
        else:
            array = np.asarray(value)
            _refuse_masked(name, value)
        if array.dtype == object:
            # Such as a column of pandas: numbers, each an object of its own.
            array = np.array(array.tolist())
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
    array = as_floats(name, numbers(name, value, shape), dtype)
    if not checks.is_traced(array):
        refuse(name, array, ~np.isfinite(array), "finite")
    return array


def as_floats(
    name: str, array: np.ndarray, dtype: np.dtype[Any] | None = None
) -> np.ndarray:
    """Returns real numbers in floating point; float64 stays, others become float32."""
    if array.dtype == bool:
        raise JsplitError(f"{name} must hold real numbers, got dtype bool")
    if dtype is None:
        double = array.dtype.kind == "f" and array.dtype.itemsize == 8
        dtype = np.dtype(np.float64 if double else np.float32)
    if checks.is_traced(array):
        return array.astype(dtype)
    with np.errstate(over="ignore"):
        return array.astype(dtype, order="C", copy=False)


def confidences(
    name: str,
    value: Any,
    shape: tuple[int, ...] | None = None,
    dtype: np.dtype[Any] | None = None,
) -> np.ndarray:
    """Returns a fresh [N, L] array of numbers in [0, 1]."""
    array = floats(name, value, shape, dtype)
    check_exits(name, array.shape)
    outside = (array < -ROUNDING) | (array > 1 + ROUNDING)
    refuse(name, array, outside, "in [0, 1]")
    return array.clip(0, 1)


def check_exits(name: str, shape: tuple[int, ...]) -> None:
    """Raises unless this is a shape [N, L]."""
    if len(shape) != 2 or shape[0] < 1 or shape[1] < 2:
        raise JsplitError(
            f"{name} must have shape [N, L] with at least 1 sample and 2 exits, "
            f"got shape {shape}"
        )


def growing(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a fresh [N, L] float64 array, >= 0, that never falls along exits."""
    given = numbers(name, value, shape)
    array = floats(name, given, shape, np.dtype(np.float64)).copy()
    refuse(name, array, array < 0, ">= 0")
    falls = np.zeros(shape, bool)
    falls[:, 1:] = array[:, 1:] < array[:, :-1]
    rule = "at least that of the exit before, counted from the start of the sample"
    refuse(name, array, falls, rule)
    return array


def logits(
    name: str,
    value: Any,
    shape: tuple[int, ...] | None = None,
    dtype: np.dtype[Any] | None = None,
) -> np.ndarray:
    """Returns an [N, L, C] array, finite or -inf for classes that are ruled out."""
    array = per_class(name, numbers(name, value, shape))
    array = as_floats(name, array, dtype)
    if not checks.is_traced(array):
        check_logits(name, array)
    return array


def per_class(name: str, array: np.ndarray) -> np.ndarray:
    """Returns the array, or raises if its shape is not [N, L, C]."""
    if array.ndim != 3 or array.shape[0] < 1 or min(array.shape[1:]) < 2:
        raise JsplitError(
            f"{name} must have shape [N, L, C] with at least 1 sample, 2 exits and 2 "
            f"classes, got shape {array.shape}"
        )
    return array


def check_logits(name: str, array: np.ndarray) -> None:
    """Raises unless logits [N, L, C] are finite, or -inf beside a finite one."""
    good = np.isfinite(array)
    if good.all():
        return
    good |= np.isneginf(array) & good.any(axis=-1, keepdims=True)
    refuse(name, array, ~good, "finite, or -inf for some of the classes")


def classes(
    name: str, value: Any, shape: tuple[int, ...], num_classes: int | None = None
) -> np.ndarray:
    """Returns class numbers as a fresh int32 array; whole floats are welcome."""
    array = numbers(name, value, shape)
    limit = num_classes or np.iinfo(np.int32).max
    if checks.is_traced(array):
        return array.astype(np.int32)
    rule = f"a class in 0..{num_classes - 1}" if num_classes else "an integer >= 0"
    if num_classes and array.size and array.min() == 1 and array.max() == limit:
        rule += "; subtract 1 from classes that count from 1"
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


def names(name: str, value: Any, count: int) -> np.ndarray:
    """Returns [N] names of samples, int64 or text, all different."""
    array = np.array(value)
    if array.dtype == object:
        array = np.array(array.tolist())
    if array.dtype.kind not in "iuU" or array.shape != (count,):
        raise JsplitError(
            f"{name} must be {count} integers or texts, got dtype {array.dtype}, shape "
            f"{array.shape}"
        )
    if array.dtype.kind != "U":
        array = array.astype(np.int64)
    order = np.argsort(array, kind="stable")
    again = order[1:][array[order][1:] == array[order][:-1]]
    if again.size:
        row = int(again.min())
        first = int((array == array[row]).argmax())
        raise JsplitError(
            f"{name} must name each sample once, got {array[row].item()!r} at "
            f"{name}[{first}] and {name}[{row}] ({again.size} of {count} repeat "
            "another, as distributed samplers pad; drop them)"
        )
    return array


def refuse_shifted(prediction: Any, label: Any) -> None:
    """Raises if predictions count classes from 0 and labels from 1, or the reverse."""
    if checks.is_traced((prediction, label)):
        return
    said, truth = np.asarray(prediction), np.asarray(label)[:, None]
    hits = int((said == truth).sum())
    for first, other, shift in (
        ("labels", "predictions", 1),
        ("predictions", "labels", -1),
    ):
        least = truth.min() if shift == 1 else said.min()
        shifted = int((said + shift == truth).sum())
        if least >= 1 and shifted > 3 * hits + 10 and np.unique(truth).size > 1:
            raise JsplitError(
                f"{first} seem to count classes from 1 and {other} from 0, got "
                f"{hits} of {said.size} predictions right as they are and {shifted} "
                f"with 1 subtracted from {first}; subtract it"
            )


def _refuse_masked(name: str, value: Any) -> None:
    parts = value if isinstance(value, list | tuple) else [value]
    for part in parts:
        if isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part):
            raise JsplitError(
                f"{name} must have a value everywhere, got {np.ma.count_masked(part)} "
                "masked ones; drop these samples first"
            )
