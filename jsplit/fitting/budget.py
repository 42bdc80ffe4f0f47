"""Thresholds for a mean cost per sample, as MSDNet sets them.

Here: `budget_cascade`. Not here: shipping; every sample is answered on the device.
"""

import numpy as np

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import check_inputs
from jsplit.fitting.fitted import policy_of, readable
from jsplit.policies import plans
from jsplit.policies.base import Policy
from jsplit.traces.trace import Trace, confidences_of

STEPS = 100  # of bisection: halves the range of ln(ratio) below any rounding
LARGEST_LOG_RATIO = 50.0


def budget_cascade(held_out: Trace, costs: Costs, budget: float) -> Policy:
    """Returns MSDNet's cascade: a threshold per exit, for a mean cost per sample.

    The share of samples that should leave at exit i is geometric, q_i = z ratio^i, with
    z such that all shares sum to 1. Leaving at exit i costs C_i = compute_i + head_1 +
    ... + head_i, and `ratio` is the largest with

        sum_i q_i C_i <= budget.

    The threshold of exit i is the confidence at which this share of the held-out
    samples leaves there.

    On the held-out samples the mean cost is at most `budget`. On other samples that is
    aimed at, not promised: their confidences may be distributed differently.

    Args:
        held_out: N samples, L exits; no labels needed.
        costs: costs for the L exits.
        budget: mean cost per sample, in the unit of the costs, >= C_1. From C_L on
            exit L answers everything.

    Returns:
        A policy with one plan; its thresholds are `policy.plans(L,
        Protocol()).threshold[0]`.

    Raises:
        JsplitError: if an argument is out of range.

    Example:
        >>> confidence = [[0.6, 0.9], [0.8, 0.9], [0.5, 0.7], [0.7, 0.9]]
        >>> trace = Trace.from_arrays(confidence, correct=[[1, 1]] * 4)
        >>> policy = budget_cascade(trace, Costs([1.0, 2.0]), 1.5)
        >>> policy.plans(2, None).threshold
        array([[ 0.7, -inf]])

    Reference:
        Huang et al., Multi-Scale Dense Networks for Resource Efficient Image
        Classification, ICLR 2018, arXiv 1703.09844 (budgeted batch classification).

    Differences from the paper and its released code:

    - The paper's 1 - q is `ratio` and at most 1, so it cannot use up a budget above the
      mean of the C_i. The code tries ratios from 0.05 to 1.95 in steps. Here any
      ratio > 0 is solved for.
    - The code rounds down the number that leaves at each exit, which can exceed the
      budget. Here so many leave up to each exit that it is never exceeded.
    """
    check_inputs(held_out, costs)
    exit_costs = costs.compute + costs.head.cumsum()
    budget = checks.number("budget", budget, float(exit_costs[0]))
    shares = exit_shares(exit_costs, budget)
    thresholds = _thresholds(confidences_of("held_out", held_out), shares)
    plan = plans.cascade(held_out.num_exits, thresholds)
    return policy_of("budget_cascade", plan, {"budget": budget}, held_out)


def exit_shares(exit_costs: np.ndarray, budget: float) -> np.ndarray:
    """Returns the [L] geometric shares of samples per exit that cost the budget.

    Args:
        exit_costs: [L] cost of leaving at each exit, non-decreasing.
        budget: mean cost per sample, >= `exit_costs[0]`.
    """
    exits = np.arange(exit_costs.size)

    def shares(log_ratio: float) -> np.ndarray:
        weights = np.exp(log_ratio * exits - max(0.0, log_ratio * exits[-1]))
        return weights / weights.sum()

    if budget >= exit_costs[-1]:
        return (exits == exits[-1]).astype(float)
    # The mean cost grows with the ratio, because deeper exits cost no less.
    low, high = -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO
    for _ in range(STEPS):
        middle = (low + high) / 2
        if shares(middle) @ exit_costs <= budget:
            low = middle
        else:
            high = middle
    return shares(low)


def _thresholds(confidence: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Returns [L] thresholds that let at least these shares leave up to each exit."""
    num_samples, num_exits = confidence.shape
    wanted = np.ceil(num_samples * shares.cumsum()).astype(int).clip(0, num_samples)
    thresholds = np.full(num_exits, plans.NEVER)
    thresholds[-1] = plans.ALWAYS
    left = np.arange(num_samples)
    for i in range(num_exits - 1):
        scores = confidence[left, i]
        missing = wanted[i] - (num_samples - left.size)
        if missing > 0:
            smallest = np.partition(scores, -missing)[-missing]
            thresholds[i] = readable(smallest)
            left = left[scores < smallest]
    return thresholds
