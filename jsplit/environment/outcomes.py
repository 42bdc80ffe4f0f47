"""One plan on one sample, and tables of all plans on all samples.

Here: the environment. It alone looks at exits, so a policy cannot peek at a deeper one:
causality by construction. The network is never inside the replay loop; these tables
hold what it would have said. Not here: the loop (`engine`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsplit.environment.costs import Costs
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Outcome, Plan, Score


class Answers(NamedTuple):
    """What every exit says about a sample; a leading axis N stacks samples."""

    score: Array  # [L] float: what plans compare with their thresholds
    confidence: Array  # [L] float
    correct: Array  # [L] bool
    remote_confidence: Array  # [L] float: the cloud's, had it been shipped after exit i
    remote_correct: Array  # [L] bool


class CostTable(NamedTuple):
    """`Costs` as arrays of the working precision."""

    compute: Array  # [L]
    head: Array  # [L]
    offload: Array  # [L]
    input: Array  # []: cost of shipping the input itself
    mu: Array  # []


def answers(trace: Trace, score: Score) -> Answers:
    """Returns the answers of a trace, with `score` for the thresholds of plans.

    Args:
        trace: N samples, L exits.
        score: "confidence"; "entropy", negated so that larger is more certain
            (DeeBERT, BranchyNet); "patience", the number of exits in a row, up to this
            one, that repeat the prediction of the exit before (PABEE).

    Returns:
        Answers with fields [N, L].

    Raises:
        JsplitError: if the trace does not carry what the score needs.
    """
    if score == "confidence":
        values = trace.confidence
    elif score == "entropy":
        values = -_required(trace.entropy, "entropy", score)
    else:
        values = _agreeing_exits(_required(trace.prediction, "predictions", score))
    return Answers(
        *map(
            jnp.asarray,
            (
                values,
                trace.confidence,
                trace.correct,
                trace.remote_confidence,
                trace.remote_correct,
            ),
        )
    )


def cost_table(costs: Costs) -> CostTable:
    """Returns the costs as JAX arrays of the working precision."""
    dtype = jnp.result_type(float)
    fields = (costs.compute, costs.head, costs.offload, costs.input, costs.mu)
    return CostTable(*(jnp.asarray(field, dtype) for field in fields))


def taken_exit(plan: Plan, score: Array) -> Array:
    """Returns the exit taken by one plan on one sample: 0..L-1, or L if shipped.

    Args:
        plan: one plan.
        score: [L] scores of the sample's exits.

    Returns:
        [] int32.
    """
    num_exits = score.shape[-1]
    exits = jnp.arange(num_exits, dtype=jnp.int32)
    # Compared in the precision of the trace: a float32 confidence of 0.7 reaches 0.7.
    reached = score >= jnp.asarray(plan.threshold, score.dtype)
    reached = (reached & (exits < plan.depth)) | (exits == num_exits - 1)
    stop = jnp.minimum(jnp.argmax(reached) + plan.delay, num_exits - 1)
    shipped = (jnp.argmax(reached) >= plan.depth) & (plan.depth < num_exits)
    return jnp.where(shipped, num_exits, stop).astype(jnp.int32)


def plan_costs(plan: Plan, costs: CostTable, *, all_heads: Array | bool) -> Array:
    """Returns what one plan costs for each exit it can take.

    Args:
        plan: one plan.
        costs: the cost arrays.
        all_heads: True = count every head on the way, whichever the plan evaluates.

    Returns:
        [L + 1] costs of stopping at exit 0..L-1 and, last, of shipping.
    """
    heads = jnp.where(jnp.asarray(plan.heads) | all_heads, costs.head, 0)
    device = costs.compute + jnp.cumsum(heads)
    last = _deepest(plan)
    shipping = device[last] + costs.offload[last]
    return jnp.append(device, jnp.where(plan.depth == 0, costs.input, shipping))


def _deepest(plan: Plan) -> Array:
    """Returns the position of the deepest exit on the device, 0 if there is none."""
    return jnp.maximum(jnp.asarray(plan.depth) - 1, 0)


def run_plan(
    plan: Plan, answers: Answers, costs: CostTable, *, learn_all_heads: Array | bool
) -> Outcome:
    """Returns what one plan does with one sample.

    reward = confidence of the answer - mu * cost. The answer comes from the exit taken,
    or from the cloud if the sample was shipped. For the input itself (depth 0), which
    no link changes, the cloud answers as exit L.

    Args:
        plan: one plan.
        answers: [L] answers of one sample.
        costs: the cost arrays.
        learn_all_heads: True = the reward, but not the bill, counts every head on the
            way.

    Returns:
        Outcome with scalar fields.
    """
    taken = taken_exit(plan, answers.score)
    last = _deepest(plan)
    whole = jnp.asarray(plan.depth) == 0

    def answer(own: Array, remote: Array) -> Array:
        return jnp.append(own, jnp.where(whole, own[-1], remote[last]))[taken]

    confidence = answer(answers.confidence, answers.remote_confidence)
    correct = answer(answers.correct, answers.remote_correct)
    billed = plan_costs(plan, costs, all_heads=False)[taken]
    learned = plan_costs(plan, costs, all_heads=learn_all_heads)[taken]
    reward = confidence.astype(costs.mu.dtype) - costs.mu * learned
    return Outcome(reward, billed, correct, taken)


@jax.jit
def tabulate(
    plans: Plan, answers: Answers, costs: CostTable, learn_all_heads: Array | bool
) -> Outcome:
    """Returns the outcomes of K plans on N samples, every field [N, K]."""

    def one(plan: Plan, sample: Answers) -> Outcome:
        return run_plan(plan, sample, costs, learn_all_heads=learn_all_heads)

    over_plans = jax.vmap(one, in_axes=(0, None))
    return jax.vmap(over_plans, in_axes=(None, 0))(plans, answers)


@jax.jit
def costs_by_exit(
    plans: Plan, costs: CostTable, all_heads: Array | bool = False
) -> Array:
    """Returns what K plans cost at each exit, [K, L + 1], see `plan_costs`."""
    each = jax.vmap(lambda plan: plan_costs(plan, costs, all_heads=all_heads))
    return each(plans)


def costs_by_route(plans: Plan, costs: Sequence[Costs]) -> np.ndarray:
    """Returns what K plans cost at each exit, each by the route it ships, [K, L + 1].

    Args:
        plans: K plans.
        costs: costs of each route.
    """
    tables = [np.asarray(costs_by_exit(plans, cost_table(one))) for one in costs]
    routes = np.asarray(plans.route)
    return np.stack(tables)[routes, np.arange(routes.size)]


def _required(values: np.ndarray | None, what: str, score: str) -> np.ndarray:
    if values is None:
        raise JsplitError(
            f"a policy with score {score!r} needs a trace with {what}, and this one "
            "has none; build it with Trace.from_logits"
        )
    return values


def _agreeing_exits(prediction: np.ndarray) -> np.ndarray:
    count = np.zeros(prediction.shape, np.float32)
    for i in range(1, prediction.shape[1]):
        agrees = prediction[:, i] == prediction[:, i - 1]
        count[:, i] = np.where(agrees, count[:, i - 1] + 1, 0)
    return count
