"""Any two cells of a sweep compared: by their replicas, or as far as means go.

Here: `CellDifference`. Not here: the comparison with the baseline, which is kept of
every cell (`runs`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from jsplit import stats
from jsplit.results.placing import number_of, place_of
from jsplit.results.replicas import is_unknown, known_at, sample_at, streams_at
from jsplit.results.settings import Settings, kept_replicas
from jsplit.stats.limits import interval_of
from jsplit.stats.student import Estimate, t_interval

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


class CellDifference(NamedTuple):
    """One cell minus another one, in the unit of the metric."""

    mean: float
    low: float  # NaN = unknown
    high: float  # NaN = unknown
    how: Literal["paired", "bound"]  # "bound": as wide as the paired one, or wider


def difference_of(
    data: Dataset,
    cell: Mapping[str, Any],
    other: Mapping[str, Any],
    metric: str,
    level: float,
) -> CellDifference:
    """Returns what `Runs.difference` does; see there for the arguments.

    Args:
        data: of a `Runs`.
        cell: see there.
        other: see there.
        metric: see there.
        level: see there.
    """
    ours, theirs = place_of(data, "cell", cell), place_of(data, "other", other)
    # A policy without an axis is at every value: also where the other one is.
    place = [
        [_first(a, b), _first(b, a)]
        for a, b in zip(ours.values(), theirs.values(), strict=True)
    ]
    place = np.array(place, int).reshape(-1, 2).T
    policy = [number_of(data, one["policy"]) for one in (cell, other)]
    rows = Settings(data, (), place, np.array(policy))
    own, paired = rows.estimates(metric)
    if (rows.policy[0] == rows.policy[1]) and (place[0] == place[1]).all():
        return CellDifference(0.0, 0.0, 0.0, "paired")
    if kept_replicas(data):
        return _paired(data, place, rows.policy, metric, level)
    same_run = np.ptp(rows.runs_of_baseline()) == 0
    of_baseline = rows.policy == number_of(data, str(data.attrs["baseline"]))
    if same_run and of_baseline.any():
        return _to_baseline(data, rows, paired, of_baseline, metric, level)
    options = [own, paired] if same_run else [own]
    bounds = [_interval(one, level, "bound") for one in options]
    return min(bounds, key=lambda one: np.inf if np.isnan(one.low) else -one.low)


def _paired(
    data: Dataset, place: np.ndarray, policy: np.ndarray, metric: str, level: float
) -> CellDifference:
    """Returns the first minus the second, by the replicas that both have."""
    labels = data["policy"].values.astype(str)[policy].tolist()
    ours, theirs = (
        sample_at(data, at, label, metric)
        for at, label in zip(place.tolist(), labels, strict=True)
    )
    number = min(len(ours), len(theirs))
    of_each = [streams_at(data, at) for at in place.tolist()]
    streams = max(of_each, key=lambda one: one.resampled)
    (of, exact), (of_theirs, also) = (
        known_at(data, at, label, metric)
        for at, label in zip(place.tolist(), labels, strict=True)
    )
    found = stats.paired_difference(
        ours[:number],
        theirs[:number],
        level=level,
        streams=streams,
        exact=exact and also,
        possible=of.less(*of_theirs[:2]),
    )
    low, high = float(found.low), float(found.high)
    if is_unknown(data, labels, metric, streams):
        low = high = float("nan")
    return CellDifference(float(found.mean), low, high, "paired")


def _to_baseline(
    data: Dataset,
    rows: Settings,
    paired: Estimate,
    of_baseline: np.ndarray,
    metric: str,
    level: float,
) -> CellDifference:
    """Returns the first minus the second, one of which is the baseline."""
    other = int(of_baseline[0])  # the row that is not the baseline
    sign = 1 if other == 0 else -1
    mean, error, freedom, skewness = (np.asarray(part)[other] for part in paired)
    found = Estimate(sign * mean, error, freedom, sign * skewness)
    place = rows.place.tolist()
    labels = data["policy"].values.astype(str)[rows.policy].tolist()
    of, of_theirs = (
        known_at(data, at, label, metric)[0]
        for at, label in zip(place, labels, strict=True)
    )
    possible = of.less(*of_theirs[:2])
    streams = streams_at(data, place[other])
    mean, low, high = map(float, interval_of(found, level, streams, possible))
    return CellDifference(mean, low, high, "paired")


def _interval(
    two: Estimate, level: float, how: Literal["paired", "bound"]
) -> CellDifference:
    """Returns the first minus the second; errors add up, or one of them is none."""
    mean = two.mean[0] - two.mean[1]
    freedom = two.freedom[two.error != 0].min(initial=np.inf)
    if np.isinf(freedom):
        freedom = 1.0  # of no error
    error = Estimate(mean, two.error.sum(), np.asarray(freedom))
    mean, low, high = map(float, t_interval(error, level))
    return CellDifference(mean, low, high, how)


def _first(place: int | None, other: int | None) -> int:
    return next((one for one in (place, other) if one is not None), 0)
