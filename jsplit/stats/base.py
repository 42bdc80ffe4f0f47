"""What every statistic shares: containers, checks, and what counts as equal.

Here: `Interval`; `Streams`, which says how replicas came about; the words for what an
interval covers. Not here: any estimate.
"""

import dataclasses
import numbers
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.types import JsplitError

STREAMS = ("shuffle", "bootstrap", "fixed")
NUM_RESAMPLES = 2_000
ROUNDING = 1e-7
"""Values are equal if they differ by less than this share of their size.

The order of a sum may change it by as much. The engine adds 32 steps in float32 and
then adds these sums without loss. Over a thousand steps and more this leaves errors of
1e-8 to 5e-8 of a mean, while a single step of 100,000 weighs 1e-5 of it.
"""


class Interval(NamedTuple):
    """An estimate and its interval; every field is [..] (a float for one row)."""

    mean: np.ndarray  # [..] float64
    low: np.ndarray  # [..] float64; NaN = unknown
    high: np.ndarray  # [..] float64; NaN = unknown

    @classmethod
    def around(cls, mean: np.ndarray, half_width: np.ndarray) -> "Interval":
        """Returns mean -+ half_width; NaN as half-width marks unknown limits."""
        return cls(mean[()], (mean - half_width)[()], (mean + half_width)[()])

    @classmethod
    def unknown(cls, mean: np.ndarray) -> "Interval":
        """Returns an estimate whose error is not known."""
        return cls.around(mean, np.full_like(mean, np.nan))


class SampleRange(NamedTuple):
    """What the samples of a test set can be; the limits broadcast to [..]."""

    low: ArrayLike  # smallest possible value of a sample, or -inf
    high: ArrayLike  # largest possible value of a sample, or inf
    num_samples: ArrayLike  # N >= 1, in the test set
    attained: ArrayLike = True  # whether samples at the limits are to be expected

    def less(self, low: ArrayLike, high: ArrayLike) -> "SampleRange":
        """Returns the range of the difference to a value from low to high."""
        return self._replace(
            low=np.asarray(self.low) - high, high=np.asarray(self.high) - low
        )


@dataclasses.dataclass(frozen=True)
class Streams:
    """The streams that replicas ran over.

    Attributes:
        kind: "shuffle" or "fixed", all replicas share one test set; "bootstrap",
            replicas have resampled test sets.
        num_orders: consecutive replicas that share one resampled test set and visit it
            in different orders, >= 1; results of `evaluate` have 4. Only "bootstrap"
            streams have test sets to share.

    Raises:
        JsplitError: if the kind is unknown or `num_orders` is not positive.

    Example:
        >>> Streams("bootstrap", num_orders=4).num_units(num_replicas=64)
        16
    """

    kind: str = "shuffle"
    num_orders: int = 1

    def __post_init__(self) -> None:
        checks.choice("stream", self.kind, STREAMS)
        checks.integer("num_orders", self.num_orders, 1)

    @property
    def resampled(self) -> bool:
        """Whether replicas have test sets of their own."""
        return self.kind == "bootstrap"

    @property
    def replicas_per_unit(self) -> int:
        """Replicas that are not independent: the orders of one resampled test set."""
        return self.num_orders if self.resampled else 1

    def num_units(self, num_replicas: int) -> int:
        """Returns how many independent units so many replicas are.

        The orders of one resampled test set say nothing about other test sets. With a
        single unit nothing is known of the error, even if all replicas agree.
        """
        return num_replicas // self.replicas_per_unit


def covers(stream: str, horizon: int, num_samples: int) -> str:
    """Says in one sentence what an interval over such replicas covers.

    Args:
        stream: kind of the replicas' streams, "shuffle", "bootstrap" or "fixed".
        horizon: T, steps of a replica, >= 1.
        num_samples: N, samples of the data set, >= 1.

    Returns:
        One line without a final full stop, "<level of error>: <what was resampled>".

    Raises:
        JsplitError: if the stream is unknown or a count is not positive.

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
    """Tells per row if [.., R] values are equal up to a rounding of [..] `scale`."""
    return np.ptp(values, axis=-1) <= ROUNDING * scale


def as_numbers(name: str, values: ArrayLike) -> np.ndarray:
    """Returns values as float64, or raises if they are no numbers in equal rows."""
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "SUMmc":  # texts, times and complex numbers
            return given.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError):
        pass
    raise JsplitError(
        f"{name} must be numbers, in rows of one length, got {checks.shown(values)}"
    )


def finite(name: str, values: ArrayLike, num_axes: int = 1) -> np.ndarray:
    """Returns finite values as float64, or says what is wrong with them.

    Args:
        name: what the message calls the values.
        values: [.., R] numbers.
        num_axes: axes that must be there and not empty, counted from the last, >= 1.

    Raises:
        JsplitError: if values are no numbers, missing or not finite.
    """
    array = as_numbers(name, values)
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
