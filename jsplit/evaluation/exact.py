"""Exact values of rules that do not learn, from the table of all outcomes.

Here: `exact_values`, for baselines that need no simulation. Not here: the values
themselves (`expected`), replays (`evaluate`) and the intervals (`stats`).
"""

from collections.abc import Sequence

import numpy as np

from jsplit import checks, stats
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.evaluate import chosen_policies
from jsplit.evaluation.expected import single_plan, values_by_sample
from jsplit.policies.base import Policy
from jsplit.results.building import build_exact
from jsplit.results.metrics import range_of
from jsplit.results.ranges import possible_values
from jsplit.results.tables import ExactValues
from jsplit.traces.trace import Trace
from jsplit.types import Protocol


def exact_values(
    trace: Trace,
    policies: Sequence[str | Policy],
    costs: Costs,
    *,
    protocol: str | Protocol = "paper",
    level: float = 0.95,
) -> ExactValues:
    """Returns the values of policies with a single plan, without any simulation.

    A policy with one plan does the same with a sample whatever came before, so its mean
    over the N samples of the test set is the mean over every shuffle, exactly. What
    remains unknown is the population the test set came from: the intervals are
    test-set error within the range that costs and plans allow
    (`stats.sample_interval`). They agree with those of `stream="bootstrap"`.

    Args:
        trace: what the network says at every exit, N samples, L exits.
        policies: names, labels or policies from `make_policy` with one plan each.
        costs: costs for the L exits.
        protocol: "paper", "released" or a `Protocol` with switches of your own.
        level: probability that an interval covers, in (0, 1).

    Returns:
        Variables mean, low and high by (policy, metric). Metrics: accuracy, offloaded,
        cost, reward (by confidence), true_reward (accuracy - mu * cost).

    Raises:
        JsplitError: if an argument is out of its range or a policy learns.

    Example:
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7]]
        >>> correct = [[False, True], [True, True], [True, False]]
        >>> trace = Trace.from_arrays(confidence, correct=correct)
        >>> values = exact_values(trace, ["final_exit"], Costs.splitee(2))
        >>> values["mean"].sel(policy="final_exit", metric="accuracy").item()
        0.6666666666666666
    """
    scenario = Scenario.of(trace, costs)
    trace, costs = scenario.first.trace, scenario.first.costs
    protocol = Protocol.named(protocol)
    level = checks.number("level", level, 0.0, 1.0)
    values = {
        policy.label: _values(policy, trace, costs, protocol, level)
        for policy in chosen_policies(policies)
    }
    return ExactValues(build_exact(values, scenario, protocol, level))


def _values(
    policy: Policy, trace: Trace, costs: Costs, protocol: Protocol, level: float
) -> dict[str, stats.Interval]:
    """Returns the interval of every metric of one policy."""
    plan = single_plan(policy, trace, protocol)
    by_sample = values_by_sample(policy, trace, costs, protocol, None)
    correct, shipped, cost, reward, _ = map(np.asarray, by_sample)
    cost = cost.astype(np.float64)
    values = {
        "accuracy": correct,
        "offloaded": shipped,
        "cost": cost,
        "reward": reward,
        "true_reward": correct - costs.mu * cost,
    }
    possible = possible_values(plan, Scenario.of(trace, costs), protocol)
    num = trace.num_samples
    return {
        name: stats.sample_interval(
            one, level=level, possible=range_of(possible[name], num, name)
        )
        for name, one in values.items()
    }
