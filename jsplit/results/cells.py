"""Any two cells of a sweep compared, as far as the kept numbers go.

Here: `CellDifference`. Not here: the comparison with the baseline, which is kept of
every cell (`runs`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from jsplit import checks
from jsplit.results.settings import Settings, axes_of, axis_named, columns_of, has_axis
from jsplit.stats.student import Estimate, t_interval
from jsplit.types import JsplitError

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
    ours, theirs = _place(data, "cell", cell), _place(data, "other", other)
    # A policy without an axis is at every value: also where the other one is.
    place = [
        [_first(a, b), _first(b, a)]
        for a, b in zip(ours.values(), theirs.values(), strict=True)
    ]
    place = np.array(place, int).reshape(-1, 2).T
    policy = [_number(data, one["policy"]) for one in (cell, other)]
    rows = Settings(data, (), place, np.array(policy))
    own, paired = rows.estimates(metric)
    if (rows.policy[0] == rows.policy[1]) and (place[0] == place[1]).all():
        return CellDifference(0.0, 0.0, 0.0, "paired")
    same_run = np.ptp(rows.runs_of_baseline()) == 0
    of_baseline = rows.policy == _number(data, str(data.attrs["baseline"]))
    if same_run and of_baseline.any():
        return _interval(paired, level, "paired")
    options = [own, paired] if same_run else [own]
    bounds = [_interval(one, level, "bound") for one in options]
    return min(bounds, key=lambda one: np.inf if np.isnan(one.low) else -one.low)


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


def _place(
    data: Dataset, argument: str, cell: Mapping[str, Any]
) -> dict[str, int | None]:
    """Returns the place on every axis, None where it makes no difference."""
    if not isinstance(cell, Mapping) or "policy" not in cell:
        raise JsplitError(
            f"{argument} must be a dict of a policy and values by axis, such as "
            f"{{'policy': 'splitee', 'offload': 0.1}}, got {checks.shown(cell)}"
        )
    policy = checks.choice(
        f"policy of {argument}", cell["policy"], data["policy"].values.astype(str)
    )
    for name in cell:
        if name != "policy":
            axis_named(data, f"axis of {argument}", name)
    place: dict[str, int | None] = {}
    for axis in axes_of(data):
        given = {name: cell[name] for name in columns_of(data, axis) if name in cell}
        if not has_axis(data, policy, axis):
            place[axis] = None
            continue
        if not given:
            raise JsplitError(f"{argument} must have a value of axis {axis}, got none")
        fits = np.all([data[name].values == one for name, one in given.items()], axis=0)
        if fits.sum() != 1:
            values = checks.shown(data[next(iter(given))].values.tolist())
            raise JsplitError(
                f"{argument} must name one value of axis {axis}, {values}, got "
                f"{checks.shown(given)}"
            )
        place[axis] = int(fits.argmax())
    return place


def _number(data: Dataset, policy: str) -> int:
    return data["policy"].values.astype(str).tolist().index(policy)
