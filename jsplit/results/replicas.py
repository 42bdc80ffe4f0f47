"""The values of all replicas of a cell, where a sweep kept them.

Here: reading them, and the interval of one cell. Not here: two cells compared
(`cells`), formulas (`stats`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks, stats
from jsplit.results.cell_limits import streams_of_kind
from jsplit.results.curves import borrow_spread
from jsplit.results.metrics import privileged_policies, range_of
from jsplit.results.placing import place_of
from jsplit.results.settings import RANGE, axes_of, columns_of, kept_replicas
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


def replicas_of_cell(data: Dataset, cell: Mapping[str, Any], metric: str) -> np.ndarray:
    """Returns what `Runs.replicas` does; see there for the arguments.

    Args:
        data: of a `Runs`.
        cell: policy and values by axis.
        metric: see there.
    """
    place = [at or 0 for at in place_of(data, "cell", cell).values()]
    return replicas_at(data, place, str(cell["policy"]), metric)


def interval_of_cell(
    data: Dataset, cell: Mapping[str, Any], metric: str, level: float
) -> stats.Interval:
    """Returns what `Runs.interval` does; see there for the arguments.

    Args:
        data: of a `Runs`.
        cell: policy and values by axis.
        metric: see there.
        level: see there.
    """
    place = [at or 0 for at in place_of(data, "cell", cell).values()]
    policy, streams = str(cell["policy"]), streams_at(data, place)
    values = sample_at(data, place, policy, metric)
    range_, exact = known_at(data, place, policy, metric)
    found = stats.mean_interval(
        values, level=level, streams=streams, exact=exact, possible=range_
    )
    if is_unknown(data, [policy], metric, streams):
        return stats.Interval.unknown(found.mean)
    return found


def replicas_at(
    data: Dataset, place: Sequence[int], policy: str, metric: str
) -> np.ndarray:
    """Returns every replica's value of a cell, [R].

    Args:
        data: of a `Runs`.
        place: number of the value on every axis.
        policy: its label.
        metric: what is measured.

    Raises:
        JsplitError: if replicas were not kept, or the cell was not run.
    """
    checks.choice("metric", metric, data["metric"].values.astype(str))
    if metric not in kept_replicas(data):
        raise JsplitError(
            "a sweep must hold the values of all replicas, got their means and errors: "
            "sweep with keep='replicas'"
        )
    at = dict(zip(axes_of(data), place, strict=True))
    values = data[kept_replicas(data)[metric]].isel(at).sel(policy=policy).values
    values = values[~np.isnan(values)]
    if not len(values):
        raise JsplitError(f"cell must be one that was run, got {cell_text(data, at)}")
    return values


def sample_at(
    data: Dataset, place: Sequence[int], policy: str, metric: str
) -> np.ndarray:
    """Returns what the statistics of a cell are computed of, [R].

    For resampled test sets the spread of pseudo-regret is that of the realised regret,
    as in `Result.summarize`. The arguments are those of `replicas_at`.
    """
    values = replicas_at(data, place, policy, metric)
    if metric == "pseudo_regret" and streams_at(data, place).resampled:
        realised = replicas_at(data, place, policy, "realised_regret")
        return borrow_spread(values, realised)
    return values


def is_unknown(
    data: Dataset, policies: Sequence[str], metric: str, streams: stats.Streams
) -> bool:
    """Tells whether an interval is unknown: of a yardstick's regret on test sets."""
    hidden = privileged_policies(data) & {*policies}
    return metric == "pseudo_regret" and streams.resampled and bool(hidden)


def known_at(
    data: Dataset, place: Sequence[int], policy: str, metric: str
) -> tuple[stats.SampleRange, bool]:
    """Returns the range of a cell's steps, and whether its replicas surely agree.

    The arguments are those of `replicas_at`.
    """
    at = dict(zip(axes_of(data), place, strict=True))
    of = data[["freedom", *RANGE]].isel(at).sel(policy=policy, metric=metric)
    least, most, number = (of[name].item() for name in RANGE)
    possible = range_of((least, most), number, metric)
    return possible, bool(np.isinf(of["freedom"].item()))


def streams_at(data: Dataset, place: Sequence[int]) -> stats.Streams:
    """Returns the streams that a cell ran over, which may be an axis.

    Args:
        data: of a `Runs`.
        place: number of the value on every axis.
    """
    kind = data.attrs.get("stream")
    if kind is None:
        axes = dict(zip(axes_of(data), place, strict=True))
        kind = data["stream"].values[axes[str(data["stream"].dims[0])]]
    return streams_of_kind(str(kind))


def cell_text(data: Dataset, at: Mapping[str, int]) -> str:
    """Returns the values of the axes at a place, for a message."""
    return ", ".join(
        f"{name}={data[name].values[number]}"
        for axis, number in at.items()
        for name in columns_of(data, axis)
    )
