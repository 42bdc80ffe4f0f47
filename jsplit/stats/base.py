"""What every statistic here shares: its containers, its checks, equality of rows.

Here: `Interval`, the kinds of stream and the words for what an interval covers. Not
here: any estimate. Called by every other module of the package.
"""

import numbers
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.types import JsplitError

STREAMS = ("shuffle", "bootstrap", "fixed")
NUM_RESAMPLES = 2_000
ROUNDING = 1e-7
"""Relative spread below which values are equal: what the order of a sum may leave.

The engine adds 32 steps in float32, and these sums without loss: over a thousand steps
and more that leaves 1e-8 to 5e-8 of a mean. One step of 100,000 weighs 1e-5 of it.
"""


class Interval(NamedTuple):
    """An estimate and its interval; every field is [..] (a float for one row)."""

    mean: np.ndarray  # [..] float64
    low: np.ndarray  # [..] float64; NaN = unknown
    high: np.ndarray  # [..] float64; NaN = unknown


def covers(stream: str, horizon: int, num_samples: int) -> str:
    """Says in one sentence what an interval over such replicas covers.

    Args:
        stream: How the replicas' streams were made: "shuffle", "bootstrap", "fixed".
        horizon: T, steps of a replica, >= 1.
        num_samples: N, samples of the data set, >= 1.

    Returns:
        One line without a final full stop, "<level of error>: <what was resampled>".

    Raises:
        JsplitError: If the stream is unknown or a count is not positive.

    Example:
        >>> covers("fixed", 100, 100)
        'none: one fixed order; replicas differ by what is drawn within a run only'
    """
    checks.choice("stream", stream, STREAMS)
    checks.integer("horizon", horizon, 1)
    checks.integer("num_samples", num_samples, 1)
    if stream == "fixed":
        return (
            "none: one fixed order; replicas differ by what is drawn within a run only"
        )
    if stream == "bootstrap":
        return (
            f"test-set error: {num_samples} samples resampled with replacement, runs "
            f"of {horizon}; does not vanish with more replicas"
        )
    seen = (
        "the same test set"
        if horizon >= num_samples
        else (f"{horizon} of the same {num_samples} samples")
    )
    return (
        f"simulation error: {seen} in other orders; says nothing about other test sets"
    )


def is_constant(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Tells per row whether [.., R] values are equal up to rounding."""
    return np.ptp(values, axis=-1) <= ROUNDING * scale


def finite(name: str, values: ArrayLike, num_axes: int = 1) -> np.ndarray:
    """Returns values as float64 [.., R] or says where they are not usable."""
    array = np.asarray(values, np.float64)
    if array.ndim < num_axes or 0 in array.shape[-num_axes:]:
        what = "replica on the last axis" if num_axes == 1 else "entry on every axis"
        axes = "" if num_axes == 1 else f"{num_axes} axes or more and "
        raise JsplitError(
            f"{name} must have {axes}at least one {what}, got shape {array.shape}"
        )
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise JsplitError(f"{name} must be finite, got {array[index]} at {index}")
    return array


def finite_pair(
    values: ArrayLike, other: ArrayLike, name: str = "baseline"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as float64 of one shape or says what is wrong."""
    ours, theirs = finite("values", values), finite(name, other)
    if ours.shape != theirs.shape:
        raise JsplitError(
            f"{name} must have the shape of values {ours.shape}, got {theirs.shape}"
        )
    return ours, theirs


def open_unit(name: str, value: float) -> float:
    """Returns a probability strictly between 0 and 1, or raises."""
    if not isinstance(value, numbers.Real) or not 0 < value < 1:
        raise JsplitError(f"{name} must lie strictly between 0 and 1, got {value}")
    return float(value)


def check_options(level: float, stream: str, num_orders: int = 1) -> None:
    """Raises unless level is a probability and the replicas are described rightly."""
    open_unit("level", level)
    checks.choice("stream", stream, STREAMS)
    checks.integer("num_orders", num_orders, 1)
