"""One plan on one sample, and tables of all plans on all samples.

Here: the environment. It alone looks at exits, so a policy cannot peek at a deeper
one: causality by construction. The network is never inside the replay loop; what it
would have said is in these tables.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsplit.costs import Costs
from jsplit.trace import Trace
from jsplit.types import JsplitError, Outcome, Plan, Range, Score


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
    mu: Array  # []


def answers(trace: Trace, score: Score) -> Answers:
    """Returns the answers of a trace with `score` as what plans look at.

    Args:
        trace: N samples, L exits.
        score: "confidence"; "entropy", negated so that larger is more certain
            (DeeBERT, BranchyNet); "patience", how many exits in a row, up to this one,
            repeat the prediction of the exit before (PABEE).

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
    fields = (costs.compute, costs.head, costs.offload, costs.mu)
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
        all_heads: count every head on the way, whichever the plan evaluates.

    Returns:
        [L + 1] costs: stopping at exit 0..L-1, and, last, shipping.
    """
    heads = jnp.where(jnp.asarray(plan.heads) | all_heads, costs.head, 0)
    device = costs.compute + jnp.cumsum(heads)
    last = jnp.asarray(plan.depth) - 1
    return jnp.append(device, device[last] + costs.offload[last])


def run_plan(
    plan: Plan, answers: Answers, costs: CostTable, *, learn_all_heads: Array | bool
) -> Outcome:
    """Returns what one plan does with one sample.

    reward = confidence of the answer - mu * cost, where the answer is that of the exit
    taken or, when shipped, the cloud's.

    Args:
        plan: one plan.
        answers: [L] answers of one sample.
        costs: the cost arrays.
        learn_all_heads: the reward (not the bill) counts every head on the way.

    Returns:
        Outcome with scalar fields.
    """
    taken = taken_exit(plan, answers.score)
    last = jnp.asarray(plan.depth) - 1
    confidence = jnp.append(answers.confidence, answers.remote_confidence[last])[taken]
    correct = jnp.append(answers.correct, answers.remote_correct[last])[taken]
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


def exits_of(plans: Plan) -> np.ndarray:
    """Returns which exits K plans can take, [K, L + 1] bool, last = shipped."""
    threshold, depth, delay = map(
        np.asarray, (plans.threshold, plans.depth, plans.delay)
    )
    num_exits = threshold.shape[1]
    exits = np.arange(num_exits)
    on_device = exits < depth[:, None]
    always = (threshold == -np.inf) & on_device
    passed = np.cumsum(always, 1) - always == 0  # no exit before this one always stops
    stops = on_device & (threshold < np.inf) & passed
    through = ~always.any(1)
    found = np.zeros((depth.size, num_exits + 1), bool)
    plan, exit_ = np.nonzero(stops)
    found[plan, np.minimum(exit_ + delay[plan], num_exits - 1)] = True
    found[:, -2] |= through & (depth == num_exits)
    found[:, -1] = through & (depth < num_exits)
    return found


def reward_range(plans: Plan, costs: CostTable, learn_all_heads: bool) -> Range:
    """Returns the interval that every reward of K plans lies in.

    reward = confidence - mu cost with confidence in [0, 1], so it reaches from -mu
    times the largest cost of an exit that some plan can take to 1 - mu times the
    smallest. Nothing of the trace is looked at.
    """
    table = np.asarray(costs_by_exit(plans, costs, np.bool_(learn_all_heads)))
    learned = table.astype(np.float64)[exits_of(plans)]
    mu = float(costs.mu)
    return Range(-mu * float(learned.max()), 1 - mu * float(learned.min()))


@functools.partial(jax.jit, static_argnames=("strict", "lossless"))
def revealed_by(plans: Plan, exits: Array, *, strict: bool, lossless: bool) -> Array:
    """Returns which plans' rewards a step makes known under side information.

    Playing plan a reveals a plan j no deeper than a. Strictly, only if its reward can
    be computed from what was: j goes no deeper than a did, and it answers on the
    device, or it ships and the cloud's answer is known, because the sample was shipped
    or a ran all layers. A lossy link answers differently for every split, so
    there a shipped j is known only if it is a itself.

    Args:
        plans: K plans.
        exits: [N, K] exits taken, L = shipped.
        strict: False reveals every plan no deeper than a, as the released code does.
        lossless: the cloud answers every shipped sample as exit L would.

    Returns:
        [N, K, K] bool: sample, played plan, plan whose reward becomes known.
    """
    depth = jnp.asarray(plans.depth)
    num_exits = jnp.asarray(plans.threshold).shape[-1]
    itself = jnp.eye(depth.size, dtype=bool)
    if not strict:
        shallower = depth[None, :] <= depth[:, None]  # [played, other]
        return jnp.broadcast_to(shallower | itself, (*exits.shape, depth.size))
    shipped = exits == num_exits
    reached = jnp.where(shipped, (depth - 1)[None], exits)  # deepest exit on the device
    on_the_way = reached[:, None, :] <= reached[:, :, None]
    cloud_known = (shipped | (reached == num_exits - 1)) & lossless
    known = ~shipped[:, None, :] | cloud_known[:, :, None]
    return (on_the_way & known) | itself[None]


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
