"""How much each axis of a sweep moves a metric.

Here: main effects on a full grid, an analysis of variance of the means. Not here:
whether a difference is significant (`runs`).
"""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks
from jsplit.results.settings import Settings, axes_of, has_axis
from jsplit.results.summary import is_higher_better
from jsplit.stats.base import ROUNDING
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset
else:
    DataFrame = Dataset = Any

COLUMNS = ("policy", "axis", "share", "range", "best", "worst", "noise")


def sensitivity_of(data: Dataset, metric: str) -> DataFrame:
    """Returns what `Runs.sensitivity` does; see there for the arguments.

    Args:
        data: of a `Runs`.
        metric: see there.
    """
    import pandas

    checks.choice("metric", metric, data["metric"].values.astype(str))
    missing = Settings.of(data).num_missing
    if missing:
        raise JsplitError(
            f"sensitivity needs all cells of the sweep, got {missing} missing: merge "
            "its shards first"
        )
    chosen = data[["mean", "error"]].sel(metric=metric)
    found = []
    for policy in data["policy"].values.astype(str):
        axes = [axis for axis in axes_of(data) if has_axis(data, policy, axis)]
        others = {axis: 0 for axis in axes_of(data) if axis not in axes}
        of_policy = chosen.sel(policy=policy).isel(others).transpose(*axes)
        mean, error = of_policy["mean"].values, of_policy["error"].values
        total = ((mean - mean.mean()) ** 2).sum()
        varies = np.ptp(mean) > ROUNDING * np.abs(mean).max()
        noise = min(1.0, (error**2).sum() / total) if varies else np.nan
        for number, axis in enumerate(axes):
            others_of = tuple(x for x in range(len(axes)) if x != number)
            by_level = mean.mean(others_of)
            explained = ((by_level - mean.mean()) ** 2).mean() * mean.size
            share = explained / total if varies else np.nan
            ends = [by_level.argmin(), by_level.argmax()]
            best, worst = ends[::-1] if is_higher_better(metric) else ends
            at = [_level(data, axis, end) for end in (best, worst)]
            spread = np.ptp(by_level) if varies else 0.0
            found.append((policy, axis, share, spread, *at, noise))
    return pandas.DataFrame(found, columns=list(COLUMNS))


def _level(data: Dataset, axis: str, place: int) -> Any:
    """Returns the value at a place of an axis; those of zipped axes together."""
    if axis in data.coords:
        return data[axis].values[place].item()
    values = {
        str(name): one.values[place].item()
        for name, one in data.coords.items()
        if one.dims == (axis,)
    }
    return json.dumps(values) if values else int(place)
