"""What a result measures: metrics by name, per policy and replica.

Here: reading the data of a result. Not here: what is in it (`building`), statistics
over replicas (`summary`).
"""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import stats
from jsplit.engine.sums import Replicas
from jsplit.results import bills

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

METRICS = (
    "accuracy",
    "cost",
    "cost_change",
    "offloaded",
    "reward",
    "true_reward",
    "pseudo_regret",
    "realised_regret",
)
REGRETS = ("pseudo_regret", "realised_regret")
_NOT_ATTAINED = ("reward", *REGRETS)
PER_REPLICA = tuple(name for name in METRICS if name != "cost_change")
"""Those that every replica has; a change of cost is a ratio of means."""


def per_replica(result: Dataset, metric: str) -> np.ndarray:
    """Returns the [policy, replica] values of a metric.

    "true_reward" is what the reward would be with the truth in place of confidence:
    accuracy - mu * billed cost, in the unit of the reward. Beside "reward", what the
    network's confidence promises, it shows how far a policy that learns from
    confidence was misled.

    Args:
        result: data of a `Result`.
        metric: one of `per_replica_metrics`.
    """
    of_bills = bills.metrics(result)
    if metric in of_bills:
        bill, variable, quantile = of_bills[metric]
        values = result[variable].sel(bill=bill)
        values = values if quantile is None else values.sel(quantile=quantile)
        return values.transpose("policy", "replica").values
    if metric == "true_reward":
        mu = json.loads(result.attrs["costs"])["mu"]
        return result["accuracy"].values - mu * result["cost"].values
    return result[metric].transpose("policy", "replica").values


def of_sums(sums: Replicas, horizon: int, mu: float) -> np.ndarray:
    """Returns the metrics of `PER_REPLICA` from sums over the steps.

    Args:
        sums: of R replicas of one setting, leaves [R, ...].
        horizon: T, how many steps.
        mu: what a unit of cost is worth.

    Returns:
        [metric, R] float64.
    """
    accuracy, cost = sums.correct / horizon, sums.cost / horizon
    values = {
        "accuracy": accuracy,
        "cost": cost,
        "offloaded": sums.offloaded / horizon,
        "reward": sums.reward / horizon,
        "true_reward": accuracy - mu * cost,
        "pseudo_regret": sums.pseudo_regret[:, -1],
        "realised_regret": sums.realised_regret[:, -1],
    }
    return np.stack([values[name] for name in PER_REPLICA])


def metrics_of(result: Dataset) -> list[str]:
    """Returns the metrics of a result: `METRICS`, then those of its bills.

    A bill b adds b, b_p95 and b_p99 and, if it has a deadline, b_late; the costs
    themselves are the bill "cost".
    """
    return [*METRICS, *bills.metrics(result)]


def per_replica_metrics(result: Dataset) -> list[str]:
    """Returns `PER_REPLICA`, then the metrics of the bills."""
    return [*PER_REPLICA, *bills.metrics(result)]


def streams_of(result: Dataset) -> stats.Streams:
    """Returns the streams of a result's replicas, for its statistics."""
    num_orders = int(result.attrs["orders_per_test_set"])
    return stats.Streams(str(result.attrs["stream"]), num_orders)


def privileged_policies(result: Dataset) -> set[str]:
    """Returns the labels of the policies that see what no real policy can see."""
    return set(json.loads(result.attrs.get("privileged", "[]")))


def never_vary(result: Dataset) -> np.ndarray:
    """Tells which policies do the same in every replica, [policies].

    A single plan does if replicas see all samples equally often; that its replicas
    agree is no accident.
    """
    labels = json.loads(result.attrs.get("never_vary", "[]"))
    return np.isin(result["policy"].values.astype(str), labels)


def surely_constant(
    values: np.ndarray, metric: str, never_varies: np.ndarray
) -> np.ndarray:
    """Tells whose replicas agree by no accident, [..].

    Who plays the comparator has no regret, on any test set.

    Args:
        values: [.., R] of the metric.
        metric: one of `metrics_of`.
        never_varies: [..] bool, the same in every replica.
    """
    return never_varies | ((values == 0).all(-1) & (metric in REGRETS))


def any_regret(result: Dataset) -> stats.SampleRange | None:
    """Returns the range of regret: far beyond what is met it says nothing, N does."""
    if "num_samples" not in result.attrs:
        return None
    return stats.SampleRange(-np.inf, np.inf, int(result.attrs["num_samples"]), False)


def sample_range(result: Dataset, metric: str) -> stats.SampleRange | None:
    """Returns what a step can come to, [policies]; None where that is not known."""
    if metric in REGRETS:
        return any_regret(result)
    told = json.loads(result.attrs.get("possible", "{}"))
    labels = result["policy"].values.astype(str)
    if not told:
        return None
    anything = -np.inf, np.inf
    ranges = [told.get(label, {}).get(metric, anything) for label in labels]
    return range_of(np.array(ranges).T, int(result.attrs["num_samples"]), metric)


def range_of(limits: Any, num_samples: int, metric: str) -> stats.SampleRange:
    """Returns the range of a metric; confidence never comes near its ends.

    Args:
        limits: lowest and highest value, numbers or [policies].
        num_samples: N, in the test set.
        metric: one of `metrics_of`.
    """
    low, high = limits
    return stats.SampleRange(low, high, num_samples, is_attained(metric))


def is_attained(metric: str) -> bool:
    """Tells whether samples meet the ends of the range of a metric."""
    return metric not in _NOT_ATTAINED and not bills.is_quantile(metric)
