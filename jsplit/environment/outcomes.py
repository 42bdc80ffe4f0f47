"""One plan on one sample, and tables of all plans on all samples.

Here: the environment. It alone looks at exits, so a policy cannot peek at a deeper one:
causality by construction. The network is never inside the replay loop; these tables
hold what it would have said. Not here: the loop (`engine`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit.environment.costs import Costs
from jsplit.traces.trace import Trace
from jsplit.types import Outcome, Plan, Score


class Answers(NamedTuple):
    """What every exit says about a sample; a leading axis N stacks samples."""

    score: Array  # [L] float: what plans compare with their thresholds
    confidence: Array  # [L] float; 0/1 by the truth where confidences are not known
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

    A trace without confidences is rewarded by the truth: 1 for a right answer, else 0.

    Args:
        trace: N samples, L exits, with what the score needs.
        score: "confidence"; "entropy", negated so that larger is more certain
            (DeeBERT, BranchyNet); "patience", the number of exits in a row, up to this
            one, that repeat the prediction of the exit before (PABEE).

    Returns:
        Answers with fields [N, L].
    """
    confidence, remote_confidence = trace.confidence, trace.remote_confidence
    if confidence is None:
        dtype = jnp.result_type(float)
        confidence = jnp.asarray(trace.correct, dtype)
        remote_confidence = jnp.asarray(trace.remote_correct, dtype)
    if score == "confidence":
        # What is not known reaches no threshold but "always".
        unknown = trace.confidence is None
        values = jnp.full_like(confidence, -jnp.inf) if unknown else confidence
    elif score == "entropy":
        assert trace.entropy is not None
        values = -trace.entropy
    else:
        values = _agreeing_exits(trace.prediction)
    return Answers(
        *map(
            on_device,
            (
                values,
                confidence,
                trace.correct,
                remote_confidence,
                trace.remote_correct,
            ),
        )
    )


def on_device(values: Any) -> Array:
    """Returns a JAX array, of 64 bits only where JAX is told to use them."""
    dtype = jnp.asarray(values).dtype
    return jnp.asarray(values, jax.dtypes.canonicalize_dtype(dtype))


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


def run_softly(
    plan: Plan,
    answers: Answers,
    costs: CostTable,
    *,
    temperature: Array | float,
    learn_all_heads: Array | bool,
) -> tuple[Array, Array, Array, Array]:
    """Returns what one plan does with one sample on average, thresholds softened.

    Exit i < depth stops the sample with chance sigmoid((score_i - threshold_i) /
    temperature) if no exit before did; thresholds +inf and -inf stay as they are.

    Args:
        plan: one plan.
        answers: [L] answers of one sample.
        costs: the cost arrays.
        temperature: > 0.
        learn_all_heads: as in `run_plan`.

    Returns:
        Means of reward, cost, correct and shipped, each [].
    """
    dtype = costs.mu.dtype
    num_exits = answers.score.shape[-1]
    exits = jnp.arange(num_exits)
    threshold = jnp.asarray(plan.threshold, dtype)
    finite = jnp.isfinite(threshold)
    # Infinite ones are put aside first: their gradients would not be numbers.
    margin = answers.score.astype(dtype) - jnp.where(finite, threshold, 0)
    chance = jax.nn.sigmoid(margin / temperature)
    chance = jnp.where(finite, chance, (threshold < 0).astype(dtype))
    chance = jnp.where(exits < plan.depth, chance, 0)
    passes = jnp.cumprod(1 - chance)
    reaches = jnp.concatenate([jnp.ones(1, dtype), passes[:-1]])
    left = passes[-1]
    shipped = jnp.where(plan.depth < num_exits, left, 0)
    stops = (chance * reaches).at[-1].add(left - shipped)
    answer_at = jnp.minimum(exits + plan.delay, num_exits - 1)
    taken = jnp.zeros(num_exits + 1, dtype).at[answer_at].add(stops)
    taken = taken.at[-1].add(shipped)

    def mean(own: Array, remote: Array) -> Array:
        away = jnp.where(plan.depth == 0, own[-1], remote[_deepest(plan)])
        return jnp.append(own, away).astype(dtype) @ taken

    learned = plan_costs(plan, costs, all_heads=learn_all_heads) @ taken
    return (
        mean(answers.confidence, answers.remote_confidence) - costs.mu * learned,
        plan_costs(plan, costs, all_heads=False) @ taken,
        mean(answers.correct, answers.remote_correct),
        shipped,
    )


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


def costs_by_route(plans: Plan, costs: Sequence[Costs]) -> Array:
    """Returns what K plans cost at each exit, each by the route it ships, [K, L + 1].

    Args:
        plans: K plans.
        costs: costs of each route.
    """
    return by_route(plans, [costs_by_exit(plans, cost_table(one)) for one in costs])


def by_route(plans: Plan, tables: Sequence[Array]) -> Array:
    """Returns the row of each of K plans in the table of the route it ships.

    Args:
        plans: K plans.
        tables: [K, ...] of each route.
    """
    if len(tables) == 1:
        return tables[0]
    route = jnp.asarray(plans.route)
    return jnp.stack(tables)[route, jnp.arange(route.size)]


def _agreeing_exits(prediction: Any) -> Array:
    counts = [jnp.zeros(prediction.shape[0], jnp.float32)]
    for i in range(1, prediction.shape[1]):
        agrees = prediction[:, i] == prediction[:, i - 1]
        counts.append(jnp.where(agrees, counts[-1] + 1, 0))
    return jnp.stack(counts, 1)
