"""Early exit with a promise: accuracy drops by no more than a chosen risk.

Here: `risk_controlled_cascade` and `risk_controlled_split`. Not here: the test behind
them (`stats.betting`).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from jsplit import checks, stats
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import check_inputs
from jsplit.fitting.fitted import policy_of
from jsplit.fitting.splits import descending_alphas
from jsplit.policies import plans
from jsplit.policies.base import Policy
from jsplit.stats.base import open_unit
from jsplit.traces.trace import Trace, check_trace, confidences_of

PER_DECADE, DECADES = 16, 6
ALPHAS = np.round(1 - 10 ** (-np.arange(PER_DECADE * DECADES + 1) / PER_DECADE), 7)
"""Thresholds that are tried: closer together towards 1, where confidences crowd.

Fixed beforehand. Thresholds taken from the held-out confidences would be chosen by the
very samples that test them, and the promise would not hold."""


def risk_controlled_cascade(
    held_out: Trace,
    risk: float,
    delta: float = 0.05,
    *,
    alphas: ArrayLike = ALPHAS,
) -> Policy:
    """Returns the cheapest confidence cascade whose drop in accuracy is at most `risk`.

    The drop of a rule is P(exit L is right) - P(the rule is right), over the population
    of samples. Thresholds are tried from the largest on. Each is a hypothesis, "the
    drop is `risk` or more", tested at size `delta` on 1{exit L right} - 1{rule right},
    which is -1, 0 or 1 (`stats.betting_p_value`). The first hypothesis that is not
    rejected ends the search, and the threshold before it is taken. It is the cheapest
    so far: deeper exits cost no less, so a smaller threshold never costs more. No costs
    are needed to know this.

    Promised: with probability at least 1 - delta over the held-out samples, the drop of
    the returned rule on the population is at most `risk`. The held-out samples must be
    independent draws from the population. A wrong rule is returned only if the first
    true hypothesis of the sequence is rejected, so testing one after another costs
    nothing.

    Not promised:

    - The drop on any one finite test set; it scatters around the drop on the
      population.
    - Anything for samples that are distributed differently.
    - That several rules fitted on the same samples all hold together.

    Args:
        held_out: N samples with correct answers known, L exits.
        risk: largest drop in accuracy, 0 <= risk < 1.
        delta: probability that the promise may be broken, in (0, 1).
        alphas: thresholds in [0, 1] to try, chosen without looking at the samples.

    Returns:
        A policy with one plan. Its label shows the threshold; alpha=None means that
        none could be certified, and exit L answers everything.

    Raises:
        JsplitError: if an argument is out of range.

    Example:
        >>> confidence, correct = [[0.9, 0.95]] * 500, [[True, True]] * 500
        >>> trace = Trace.from_arrays(confidence, correct=correct)
        >>> policy = risk_controlled_cascade(trace, 0.02)
        >>> policy.numbers["alpha"]
        0.0

    Reference:
        Angelopoulos et al., Learn then test, Annals of Applied Statistics 19, 2025,
        arXiv 2110.01052 (fixed sequence testing); Jazbec et al., Fast yet safe: early
        exiting with risk control, NeurIPS 2024, arXiv 2405.20915.
    """
    check_trace("held_out", held_out)
    risk, delta, grid = _checked(risk, delta, alphas)
    confidence, correct = confidences_of("held_out", held_out), held_out.correct
    rows = np.arange(held_out.num_samples)

    def answers(alpha: float) -> np.ndarray:
        reached = confidence >= confidence.dtype.type(alpha)
        reached[:, -1] = True
        return correct[rows, reached.argmax(1)]

    num_certified = _num_certified(held_out, answers, grid, risk, delta)
    numbers = {"risk": risk, "delta": delta, "alpha": None}
    if num_certified == 0:
        plan = plans.exit_at(held_out.num_exits, held_out.num_exits)
        return policy_of("risk_controlled_cascade", plan, numbers, held_out)
    alpha = float(grid[num_certified - 1])
    plan = plans.cascade(held_out.num_exits, alpha)
    numbers["alpha"] = alpha
    return policy_of("risk_controlled_cascade", plan, numbers, held_out, alpha)


def risk_controlled_split(
    held_out: Trace,
    costs: Costs,
    risk: float,
    delta: float = 0.05,
    *,
    alphas: ArrayLike = ALPHAS,
) -> Policy:
    """Returns the cheapest split whose drop in accuracy is at most `risk`.

    As `risk_controlled_cascade`, for SplitEE's actions: run to depth i, answer there if
    confident, ship otherwise. Each depth below L has its own sequence of thresholds,
    tested at size delta / (L - 1). All certified splits keep the promise together with
    probability 1 - delta. So any of them may be chosen, or the final exit, whose drop
    is 0: the one with the lowest mean cost on the held-out samples is taken.

    Args:
        held_out: N samples with correct answers known, L exits.
        costs: costs for the L exits.
        risk: largest drop in accuracy, 0 <= risk < 1.
        delta: probability that the promise may be broken, in (0, 1).
        alphas: thresholds in [0, 1] to try, chosen without looking at the samples.

    Returns:
        A policy with one plan; depth=L in its label means the final exit.

    Raises:
        JsplitError: if an argument is out of range.

    Reference:
        As `risk_controlled_cascade`.
    """
    check_inputs(held_out, costs)
    risk, delta, grid = _checked(risk, delta, alphas)
    num_exits = held_out.num_exits
    best = (float(costs.compute[-1] + costs.head[-1]), num_exits, 1.0)
    for i in range(num_exits - 1):
        confidence = confidences_of("held_out", held_out)[:, i]
        own, remote = held_out.correct[:, i], held_out.remote_correct[:, i]

        def on_device(alpha: float, confidence: np.ndarray = confidence) -> np.ndarray:
            return confidence >= confidence.dtype.type(alpha)

        def answers(
            alpha: float, own: np.ndarray = own, remote: np.ndarray = remote
        ) -> np.ndarray:
            return np.where(on_device(alpha), own, remote)

        size = delta / (num_exits - 1)
        num_certified = _num_certified(held_out, answers, grid, risk, size)
        if num_certified:
            alpha = float(grid[num_certified - 1])
            shipped = 1 - on_device(alpha).mean()
            cost = costs.compute[i] + costs.head[i] + shipped * costs.offload[i]
            best = min(best, (float(cost), i + 1, alpha))
    _, depth, alpha = best
    plan = plans.split(num_exits, depth, alpha)
    numbers = {"risk": risk, "delta": delta, "depth": depth, "alpha": alpha}
    return policy_of("risk_controlled_split", plan, numbers, held_out, alpha)


def _checked(
    risk: float, delta: float, alphas: ArrayLike
) -> tuple[float, float, np.ndarray]:
    risk = checks.number("risk", risk, 0.0, 1 - 1e-9)
    return risk, open_unit("delta", delta), descending_alphas(alphas)


def _num_certified(
    held_out: Trace,
    answers: Callable[[float], np.ndarray],
    alphas: np.ndarray,
    risk: float,
    size: float,
) -> int:
    """Returns how many thresholds pass before the first that does not.

    Args:
        held_out: N samples.
        answers: threshold -> [N] bool, True = right answer.
        alphas: thresholds in [0, 1], in the order in which they are tested.
        risk: drop in accuracy that is tested, 0 <= risk < 1.
        size: size of each test, in (0, 1).
    """
    # The test bets in order, and a file may be sorted, by class for instance.
    order = np.random.default_rng(0).permutation(held_out.num_samples)
    final = held_out.correct[:, -1].astype(np.float64)
    for number, alpha in enumerate(alphas):
        drops = (final - answers(alpha))[order]
        p_value = stats.betting_p_value(drops, risk, low=-1.0, high=1.0, level=1 - size)
        if p_value > size:
            return number
    return len(alphas)
