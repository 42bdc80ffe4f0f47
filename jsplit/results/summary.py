"""The comparison of policies: which statistic is computed of which metric.

Here: from the data of a result to those of a summary. Not here: the statistics
(`stats`), what users call (`result`), the table by condition (`conditions`).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks, stats
from jsplit.results.curves import borrow_spread
from jsplit.results.metrics import (
    METRICS,
    metrics_of,
    never_vary,
    per_replica,
    privileged_policies,
    sample_range,
    streams_of,
    surely_constant,
)

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

DEFAULT_BASELINE = "final_exit"
HIGHER_IS_BETTER = {
    "accuracy": True,
    "cost": False,
    "reward": True,
    "true_reward": True,
    "pseudo_regret": False,
    "realised_regret": False,
}
"""Metrics with a best value; no share of shipped samples is better in itself."""
NUMBERS = (
    "mean",
    "low",
    "high",
    "difference",
    "difference_low",
    "difference_high",
    "correlation",
    "p_value",
)


def is_higher_better(metric: str) -> bool:
    """Tells where the best of a metric is; less is better of what is not listed."""
    return HIGHER_IS_BETTER.get(metric, False)


def chosen_baseline(given: str | None, labels: Sequence[str]) -> str:
    """Returns the policy that others are compared with.

    Args:
        given: one of the labels; None for final_exit or, where that is none of them,
            the first.
        labels: of the policies.
    """
    if given is None:
        return DEFAULT_BASELINE if DEFAULT_BASELINE in labels else labels[0]
    return checks.choice("baseline", given, labels)


def compare(result: Dataset, baseline: str, level: float, adjustment: str) -> Dataset:
    """Returns the data of `Result.summarize`, whose arguments these are, checked."""
    import xarray

    labels = result["policy"].values.astype(str).tolist()
    metrics = metrics_of(result)
    shape = (len(labels), len(metrics))
    columns = {name: np.full(shape, np.nan) for name in (*NUMBERS, "best_set")}
    for j, metric in enumerate(metrics):
        found = _column(result, metric, labels.index(baseline), level, adjustment)
        for name, column in found.items():
            columns[name][:, j] = column
    variables = {
        name: (("policy", "metric"), values) for name, values in columns.items()
    }
    told = {"baseline": baseline, "level": level, "adjustment": adjustment}
    coords = {"policy": labels, "metric": metrics}
    return xarray.Dataset(variables, coords, {**result.attrs, **told})


def _column(
    result: Dataset, metric: str, base: int, level: float, adjustment: str
) -> dict[str, np.ndarray]:
    """Returns the numbers of one metric, [policies] each."""
    options: dict[str, Any] = {"level": level, "streams": streams_of(result)}
    if metric == "cost_change":
        return _change_of_cost(result, base, options)
    is_privileged = np.isin(
        result["policy"].values.astype(str), list(privileged_policies(result))
    )
    resampled_gaps = metric == "pseudo_regret" and options["streams"].resampled
    values = per_replica(result, metric)
    if resampled_gaps:
        values = borrow_spread(values, per_replica(result, "realised_regret"))
    found = _compared(
        values,
        surely_constant(values, metric, never_vary(result)),
        sample_range(result, metric),
        base,
        adjustment,
        options,
    )
    if metric in HIGHER_IS_BETTER or metric not in METRICS:
        # A clairvoyant would leave every policy that can be built behind.
        found["best_set"] = np.full(len(values), np.nan)
        if not is_privileged.all():
            found["best_set"][~is_privileged] = stats.best_set(
                values[~is_privileged],
                higher_is_better=is_higher_better(metric),
                **options,
            )
    if resampled_gaps:
        for name in ("low", "high", "difference_low", "difference_high"):
            found[name][is_privileged | is_privileged[base]] = np.nan
    return found


def _change_of_cost(
    result: Dataset, base: int, options: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Returns the columns of the change of cost in percent, [policies] each."""
    cost, of = per_replica(result, "cost"), sample_range(result, "cost")
    same = np.broadcast_to(cost[base], cost.shape)
    exact = never_vary(result)
    both = (exact & exact[base]) | (np.arange(len(cost)) == base)
    possible = None
    if of is not None:
        low, high = (np.asarray(part)[base] for part in of[:2])
        possible = of, of._replace(low=low, high=high)
    change = stats.relative_change(cost, same, exact=both, possible=possible, **options)
    return dict(zip(change._fields, change, strict=True))


def _compared(
    values: np.ndarray,
    exact: np.ndarray,
    possible: stats.SampleRange | None,
    base: int,
    adjustment: str,
    options: dict[str, Any],
) -> dict[str, np.ndarray]:
    """Returns the columns of one metric, [policies] each, from [policy, replica]."""
    interval = stats.mean_interval(values, exact=exact, possible=possible, **options)
    same = np.broadcast_to(values[base], values.shape)
    others = np.arange(len(values)) != base
    # A policy differs from itself by nothing, however it varies.
    both = (exact & exact[base]) | ~others
    gap = None if possible is None else _range_of_difference(possible, base)
    paired = stats.paired_difference(values, same, exact=both, possible=gap, **options)
    p_value = stats.ADJUSTMENTS[adjustment](np.where(others, paired.p_value, np.nan))
    numbers = (*interval, *paired[:4], p_value)
    return dict(zip(NUMBERS, numbers, strict=True))


def _range_of_difference(of: stats.SampleRange, base: int) -> stats.SampleRange:
    """Returns the range of a policy minus the baseline on one sample, [policies]."""
    low, high = (np.atleast_1d(end) for end in of[:2])
    if len(low) == 1:
        return of.less(low, high)
    return of.less(low[base], high[base])
