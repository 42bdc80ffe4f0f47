"""The summary tables: what every policy is worth, and what sets it apart.

Here: which statistic is computed of which values of a result. Not here: the statistics
(`stats`), the results (`results`), how they look (`report`). Called by users, by the
command line and by the quick start.
"""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks, stats
from jsplit.results.dataset import (
    METRICS,
    check_result,
    metrics_of,
    per_replica,
    privileged_policies,
    streams_of,
)
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

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


def summarize(
    result: Dataset,
    baseline: str = "final_exit",
    *,
    level: float = 0.95,
    adjustment: str = "holm",
) -> Dataset:
    """Returns means, intervals and paired differences to a baseline, per policy.

    What the intervals cover depends on the stream of the result, see `stats`: other
    orders of the same test set ("shuffle"), or other test sets ("bootstrap"). Replicas
    are the unit; steps within a replica are never pooled.

    Under "bootstrap" the gaps that pseudo-regret adds up are those of the test set at
    hand, the same in all replicas. Its test-set error is therefore taken from the
    realised regret, which has the same expected value over orders; a privileged
    policy's has not, so there it is unknown (NaN).

    Args:
        result: from `evaluate`.
        baseline: label of the policy that others are compared with.
        level: probability that an interval covers, in (0, 1).
        adjustment: of the p values over the other policies, per metric: "holm" for
            planned comparisons, "bh" (Benjamini-Hochberg) for sweeps.

    Returns:
        An `xarray.Dataset` with dims (policy, metric) and variables mean, low, high;
        difference, difference_low, difference_high, correlation (with the baseline, on
        the same streams; NaN where either is constant), p_value (adjusted) and
        best_set: 1 where a policy cannot be told from the best one at `level`, all
        policies but privileged ones compared at once, 0 where it can, NaN for
        privileged policies and for metrics that have no best value. Metrics: accuracy
        and offloaded (fractions), cost, cost_change (percent of the baseline's),
        reward (by confidence), true_reward (accuracy - mu * cost), pseudo_regret and
        realised_regret at the end of the run; and, if there are bills, for bill b its
        mean b, the percentiles b_p95 and b_p99 over the steps of a run, and b_late, the
        fraction above its deadline ("cost" for the costs themselves).

    Raises:
        JsplitError: if the baseline is not in the result or an argument out of range.
    """
    import xarray

    check_result(result)
    level = checks.number("level", level, 0.0, 1.0)
    adjustment = checks.choice("adjustment", adjustment, stats.ADJUSTMENTS)
    labels = [str(label) for label in result.policy.values]
    baseline = checks.choice("baseline", baseline, labels)
    base = labels.index(baseline)
    options = {"level": level, "streams": streams_of(result)}
    is_privileged = np.isin(labels, list(privileged_policies(result)))
    metrics = metrics_of(result)
    shape = (len(labels), len(metrics))
    columns = {name: np.full(shape, np.nan) for name in (*NUMBERS, "best_set")}
    for j, metric in enumerate(metrics):
        if metric == "cost_change":
            cost = per_replica(result, "cost")
            same = np.broadcast_to(cost[base], cost.shape)
            change = stats.relative_change(cost, same, **options)
            found = dict(zip(change._fields, change, strict=True))
        else:
            values = _values(result, metric)
            found = _compare(values, base, adjustment, options)
            if metric in HIGHER_IS_BETTER or metric not in METRICS:
                # A clairvoyant would leave every policy that can be built behind.
                found["best_set"] = np.full(len(labels), np.nan)
                found["best_set"][~is_privileged] = stats.best_set(
                    values[~is_privileged],
                    higher_is_better=HIGHER_IS_BETTER.get(metric, False),
                    **options,
                )
            if metric == "pseudo_regret" and options["streams"].resampled:
                for name in ("low", "high", "difference_low", "difference_high"):
                    found[name][is_privileged | is_privileged[base]] = np.nan
        for name, column in found.items():
            columns[name][:, j] = column
    variables = {
        name: (("policy", "metric"), values) for name, values in columns.items()
    }
    coords = {"policy": labels, "metric": metrics}
    attrs = {
        **result.attrs,
        "baseline": baseline,
        "level": level,
        "adjustment": adjustment,
    }
    return xarray.Dataset(variables, coords, attrs)


def summarize_conditions(result: Dataset, *, level: float = 0.95) -> Dataset:
    """Returns what every policy is worth under each condition of a scenario.

    Accuracy, cost, offloaded and the rewards are means per step of the condition: of
    all replicas together, since replicas may be under it for different numbers of
    steps, sum_r x_r / sum_r steps_r. Intervals are those of such a ratio
    (`stats.ratio_interval`), known from the replicas that were under the condition,
    and cover what those of `summarize` cover. Regrets are sums over the steps of the
    condition, and add up to that of the whole run.

    Args:
        result: from `evaluate` of a `Scenario` with several conditions.
        level: probability that an interval covers, in (0, 1).

    Returns:
        An `xarray.Dataset` with dims (policy, condition, metric) and variables mean,
        low and high; and `steps` [condition], the mean number of steps under it. Where
        a condition never held, means per step are NaN. Metrics are those of
        `summarize`, but for cost_change and those of bills.

    Raises:
        JsplitError: if the result has one condition or an argument is out of range.

    Example:
        >>> import jsplit
        >>> right = jsplit.Trace.from_arrays([[0.6, 0.9]] * 4, correct=[[0, 1]] * 4)
        >>> wrong = jsplit.Trace.from_arrays([[0.6, 0.9]] * 4, correct=[[0, 0]] * 4)
        >>> costs = jsplit.Costs.splitee(2)
        >>> scenario = jsplit.Scenario(
        ...     {"clear": (right, costs), "blurred": (wrong, costs)},
        ...     jsplit.drift.abrupt(2),
        ... )
        >>> result = jsplit.evaluate(scenario, ["final_exit"], num_replicas=2)
        >>> table = summarize_conditions(result)
        >>> table["mean"].sel(policy="final_exit", metric="accuracy").values
        array([1., 0.])
    """
    import xarray

    check_result(result)
    level = checks.number("level", level, 0.0, 1.0)
    if "condition_pulls" not in result:
        raise JsplitError(
            "result must be of a Scenario with several conditions, got one condition"
        )
    options = {"level": level, "streams": streams_of(result)}
    axes = ("policy", "condition", "replica")

    def sums(name: str) -> np.ndarray:
        return result[f"condition_{name}"].transpose(*axes).values

    steps = result["condition_pulls"].sum("plan").transpose(*axes).values
    mu = json.loads(result.attrs["costs"])["mu"]
    per_step = {
        "accuracy": sums("correct"),
        "cost": sums("cost"),
        "offloaded": sums("offloaded"),
        "reward": sums("reward"),
        "true_reward": sums("correct") - mu * sums("cost"),
    }
    found = {
        metric: stats.ratio_interval(values, steps, **options)
        for metric, values in per_step.items()
    }
    realised, pseudo = sums("realised_regret"), sums("pseudo_regret")
    resampled = options["streams"].resampled
    pseudo = _borrow_spread(pseudo, realised) if resampled else pseudo
    for metric, values in (("pseudo_regret", pseudo), ("realised_regret", realised)):
        found[metric] = stats.mean_interval(values, **options)
    labels = result["policy"].values.astype(str)
    if resampled:
        unknown = np.isin(labels, list(privileged_policies(result)))
        found["pseudo_regret"].low[unknown] = np.nan
        found["pseudo_regret"].high[unknown] = np.nan
    variables: dict[str, Any] = {
        name: (("policy", "condition", "metric"), np.stack(columns, -1))
        for name, columns in zip(
            stats.Interval._fields, zip(*found.values(), strict=True), strict=True
        )
    }
    variables["steps"] = "condition", steps[0].mean(-1)
    coords = {
        "policy": labels,
        "condition": result["condition"].values.astype(str),
        "metric": [*found],
    }
    return xarray.Dataset(variables, coords, {**result.attrs, "level": level})


def _compare(
    values: np.ndarray, base: int, adjustment: str, options: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Returns the columns of one metric, [policies] each, from [policy, replica]."""
    interval = stats.mean_interval(values, **options)
    same = np.broadcast_to(values[base], values.shape)
    paired = stats.paired_difference(values, same, **options)
    others = np.arange(len(values)) != base
    p_value = stats.ADJUSTMENTS[adjustment](np.where(others, paired.p_value, np.nan))
    numbers = (*interval, *paired[:4], p_value)
    return dict(zip(NUMBERS, numbers, strict=True))


def _values(result: Dataset, metric: str) -> np.ndarray:
    """Returns [policy, replica] values that vary as their error does."""
    values = per_replica(result, metric)
    if metric != "pseudo_regret" or result.attrs["stream"] != "bootstrap":
        return values
    return _borrow_spread(values, per_replica(result, "realised_regret"))


def curve_values(result: Dataset, which: str) -> np.ndarray:
    """Returns regret curves that vary over replicas as their error does.

    Args:
        result: from `evaluate`.
        which: "pseudo_regret" or "realised_regret".

    Returns:
        [policy, checkpoint, replica] float64; see `summarize` for "bootstrap".
    """
    curves = result[which].transpose("policy", "checkpoint", "replica").values
    if which != "pseudo_regret" or result.attrs["stream"] != "bootstrap":
        return curves
    realised = result["realised_regret"].transpose("policy", "checkpoint", "replica")
    return _borrow_spread(curves, realised.values)


def _borrow_spread(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns `other` [.., R] shifted to the means over replicas of `values`."""
    return values.mean(-1, keepdims=True) + other - other.mean(-1, keepdims=True)
