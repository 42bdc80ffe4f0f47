"""The best exit and threshold, found exactly.

Here: `best_split`. Not here: its reward on other samples (`evaluation`).
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import check_inputs
from jsplit.fitting.fitted import policy_of, readable
from jsplit.policies import plans
from jsplit.policies.base import Policy
from jsplit.traces.trace import Trace, confidences_of
from jsplit.types import JsplitError

OBJECTIVES = ("reward", "true_reward")


def best_split(
    held_out: Trace,
    costs: Costs,
    alphas: ArrayLike | None = None,
    *,
    objective: Literal["reward", "true_reward"] = "reward",
) -> Policy:
    """Returns the split (depth, alpha) with the largest mean on the held-out samples.

    This is the most SplitEE could learn, were alpha learned too. All thresholds between
    two neighbouring confidences do the same. So the N confidences of an exit, and 1,
    are all thresholds that matter. Samples sorted by confidence judge them all at once:
    with c_1 >= c_2 >= ... at depth i, the reward of answering the first k on the device
    and shipping the others is

        (sum_{n <= k} c_n + sum_{n > k} (remote_n - mu offload_i)) / N
            - mu (compute_i + head_i).

    At depth L there is no threshold. Ties go to the shallowest exit, there to the
    largest threshold. Fitted on the samples it is judged on, this is the best split in
    hindsight, which no choice of split and threshold can beat.

    Args:
        held_out: N samples, L exits.
        costs: costs for the L exits.
        alphas: thresholds in [0, 1] to choose from; None: all that matter.
        objective: "reward" counts the confidence of an answer and needs no label;
            "true_reward" counts 1 for a right answer and 0 for a wrong one.

    Returns:
        A policy with one plan.

    Raises:
        JsplitError: if an argument is out of range.

    Example:
        >>> confidence = [[0.95, 0.9], [0.8, 0.9], [0.4, 0.7]]
        >>> trace = Trace.from_arrays(confidence, correct=[[1, 1]] * 3)
        >>> policy = best_split(trace, Costs([0.1, 0.4], offload=0.2))
        >>> policy.numbers["depth"], policy.numbers["alpha"]
        (1, 0.8)
    """
    check_inputs(held_out, costs)
    checks.choice("objective", objective, OBJECTIVES)
    grid = None if alphas is None else descending_alphas(alphas)
    best = (-np.inf, 0, 1.0)
    for i in range(held_out.num_exits):
        thresholds, values = _values(held_out, costs, i, grid, objective)
        first = int(values.argmax())
        if values[first] > best[0]:
            best = (values[first], i + 1, readable(thresholds[first]))
    _, depth, alpha = best
    plan = plans.split(held_out.num_exits, depth, alpha)
    numbers = {"depth": depth, "alpha": alpha}
    if objective != OBJECTIVES[0]:
        numbers["objective"] = objective
    return policy_of("best_split", plan, numbers, held_out, alpha)


def descending_alphas(alphas: ArrayLike) -> np.ndarray:
    """Returns thresholds in [0, 1] as float64, the largest first, each once."""
    given = np.unique(np.asarray(alphas, np.float64))[::-1]
    if given.size == 0 or not ((given >= 0) & (given <= 1)).all():
        raise JsplitError(
            "alphas must hold at least one number and all from 0 to 1, got "
            f"{checks.shown(given.tolist())}"
        )
    return given


def _values(
    trace: Trace, costs: Costs, i: int, alphas: np.ndarray | None, objective: str
) -> tuple[np.ndarray, np.ndarray]:
    """Returns descending thresholds at exit i (from 0) and their mean rewards."""
    by_confidence = objective == "reward"
    confidence = confidences_of("held_out", trace)
    own = confidence if by_confidence else trace.correct
    remote = trace.remote_confidence if by_confidence else trace.remote_correct
    paid = costs.mu * (costs.compute[i] + costs.head[i])
    confidence = confidence[:, i]
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    if alphas is None:
        thresholds = np.unique(np.append(confidence, confidence.dtype.type(1)))[::-1]
    else:
        thresholds = alphas.astype(confidence.dtype)
    on_device = own[order, i].astype(np.float64)
    if i == trace.num_exits - 1:
        return thresholds[:1], on_device.mean(keepdims=True) - paid
    assert remote is not None
    shipped = remote[order, i] - costs.mu * costs.offload[i]
    gain = np.append(0.0, np.cumsum(on_device - shipped))
    num_on_device = np.searchsorted(-confidence, -thresholds, side="right")
    return thresholds, (shipped.sum() + gain[num_on_device]) / confidence.size - paid
