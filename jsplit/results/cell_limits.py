"""Limits and p values of the cells of a sweep, from what is kept of every cell.

Here: which streams and which range each number belongs to. Not here: the rules
(`stats.limits`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import stats
from jsplit.engine.streams import ORDERS
from jsplit.results.metrics import is_attained
from jsplit.results.settings import DIFFERENCE, OWN, RANGE
from jsplit.stats.limits import interval_of, p_value_of
from jsplit.stats.student import Estimate

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


def own_limits(data: Dataset, level: float) -> stats.Interval:
    """Returns the mean of every cell and its limits, in the dims of the means.

    Args:
        data: of a `Runs`.
        level: probability that the limits cover, in (0, 1).
    """
    found, possible = estimates(data, OWN), ranges(data)
    parts = [interval_of(found, level, streams, possible) for streams in _kinds(data)]
    return stats.Interval(
        *(_by_stream(data, part) for part in zip(*parts, strict=True))
    )


def difference_limits(data: Dataset, level: float) -> tuple[stats.Interval, np.ndarray]:
    """Returns the differences to the baseline with their limits, and p values.

    Args:
        data: of a `Runs`.
        level: probability that the limits cover, in (0, 1).
    """
    found, possible = estimates(data, DIFFERENCE), ranges_of_differences(data)
    parts = [
        (*interval_of(found, level, streams, possible), p_value)
        for streams in _kinds(data)
        for p_value in [p_value_of(found, streams, possible)]
    ]
    *interval, p_value = (_by_stream(data, part) for part in zip(*parts, strict=True))
    return stats.Interval(*interval), p_value


def estimates(data: Dataset, names: Sequence[str]) -> Estimate:
    """Returns the estimates of these names, in the dims of the means."""
    return Estimate(*(data[name].values for name in names))


def ranges(data: Dataset) -> stats.SampleRange:
    """Returns what a step can come to, in the dims of the means."""
    attained = np.array([is_attained(str(metric)) for metric in data["metric"].values])
    least, most, number = (data[name].values for name in RANGE)
    return stats.SampleRange(least, most, number, attained)


def ranges_of_differences(data: Dataset) -> stats.SampleRange:
    """Returns what a step can differ by from the baseline's, in the same dims."""
    of = ranges(data)
    base = data["policy"].values.astype(str).tolist().index(str(data.attrs["baseline"]))
    axis = data["mean"].dims.index("policy")
    return of.less(*(np.take(np.asarray(end), [base], axis) for end in of[:2]))


def streams_of_kind(kind: str) -> stats.Streams:
    """Returns the streams of a sweep's replicas of this kind."""
    return stats.Streams(kind, ORDERS if kind == "bootstrap" else 1)


def _kinds(data: Dataset) -> list[stats.Streams]:
    """Returns the streams of a sweep; several where they are an axis."""
    kinds = [data.attrs["stream"]] if "stream" in data.attrs else data["stream"].values
    return [streams_of_kind(str(kind)) for kind in kinds]


def _by_stream(data: Dataset, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Returns, of results for all kinds of streams, each cell's own."""
    if len(parts) == 1:
        return np.asarray(parts[0])
    dims = data["mean"].dims
    axis = dims.index(str(data["stream"].dims[0]))
    own = np.arange(data.sizes[dims[axis]])
    shape = [-1 if number == axis else 1 for number in range(len(dims))]
    return np.choose(own.reshape(shape), list(parts))
