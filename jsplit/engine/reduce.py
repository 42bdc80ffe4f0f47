"""What is kept of a replay: sums over the steps, and regret at checkpoints.

Here: exact-enough summation. A float32 sum of half a million rewards is off by units,
so a segment of at most `SEGMENT` steps is summed in the working precision and closed
into a pair (high, low) by an error-free addition; the host adds the pair in float64.
Regret is accumulated as per-step differences, never as the difference of two sums.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jsplit.engine.tables import (
    BEST_SHIFT,
    COST_MASK,
    COST_SHIFT,
    COUNT_MASK,
    COUNTS,
    SHIPPED_SHIFT,
    Tables,
    gather,
)
from jsplit.pairs import Pair, two_sum
from jsplit.policies.base import one_hot

SEGMENT = 32  # steps summed before closing; also one vectorised pass of the stream


UNROLLED_PLANS = 32
PLAYS = 4  # plans whose plays within a segment are bytes of one int32 word


class Segment(NamedTuple):
    """Sums over the steps of one segment; `[lanes]`, by condition `[M, lanes]`."""

    reward: Array  # float
    cost: Array  # float
    realised_regret: Array  # float
    counts: Array  # int32: correct + 2^16 * shipped + 2^22 * best


class Sums(NamedTuple):
    """Sums over all closed segments; `[lanes]`, by condition `[M, lanes]`."""

    reward: Pair
    cost: Pair
    realised_regret: Pair
    correct: Array  # int32
    offloaded: Array  # int32
    best: Array  # int32: steps whose plan was the best one of their condition


class Totals(NamedTuple):
    """All that is summed over the closed segments."""

    all_steps: Sums
    pseudo_regret: Pair
    by_condition: Sums | None  # None if there is one condition


def empty_segment(*shape: int) -> Segment:
    """Returns zero sums, `[lanes]` or, by condition, `[M, lanes]`."""
    zero = jnp.zeros(shape, jnp.result_type(float))
    return Segment(zero, zero, zero, jnp.zeros(shape, jnp.int32))


def empty_totals(num_settings: int, num_conditions: int, num_lanes: int) -> Totals:
    """Returns zero totals, leaves `[G, lanes]` or, by condition, `[G, M, lanes]`."""

    def zeros(*shape: int) -> Sums:
        zero = jnp.zeros(shape, jnp.result_type(float))
        pair, count = Pair(zero, zero), jnp.zeros(shape, jnp.int32)
        return Sums(pair, pair, pair, count, count, count)

    one = zeros(num_settings, num_lanes)
    split = None
    if num_conditions > 1:
        split = zeros(num_settings, num_conditions, num_lanes)
    return Totals(one, one.reward, split)


def one_step(tables: Tables, setting: Array, row: Array, index: Array) -> Segment:
    """Returns what one step adds to the sums.

    Args:
        tables: the tables.
        setting: [] int32 number of the setting.
        row: [lanes] int32 row of the step, a sample under a condition of the setting.
        index: [lanes] int32 flat index of (row, played plan).
    """
    cell, reward = gather(tables.cell, index), gather(tables.reward, index)
    cost = gather(tables.cost, setting * tables.num_costs + cost_number(cell))
    regret = gather(tables.comparator, row) - reward
    return Segment(reward, cost, regret, cell & COUNTS)


def add_step(segment: Segment, step: Segment) -> Segment:
    """Returns the sums with one step added."""
    return jax.tree.map(jnp.add, segment, step)


def add_under(segment: Segment, step: Segment, condition: Array) -> Segment:
    """Returns sums `[M, lanes]` with one step under `condition` `[lanes]` added."""
    holds = one_hot(condition, segment.reward.shape[0])
    return jax.tree.map(lambda x, new: x + jnp.where(holds, new, 0), segment, step)


def no_plays(number: int, num_lanes: int) -> Array:
    """Returns that none of `number` plans was played, `[words, lanes]` int32.

    Plan 4 w + j is byte j of word w: a step writes a quarter of what counts would take.
    """
    return jnp.zeros((-(-number // PLAYS), num_lanes), jnp.int32)


def add_play(plays: Array, plan: Array) -> Array:
    """Returns the plays with one more of `plan` `[lanes]`."""
    one = jnp.int32(1) << (plan % PLAYS * 8)
    return plays + jnp.where(one_hot(plan // PLAYS, plays.shape[0]), one[None], 0)


def plays_of(plays: Array, number: int) -> Array:
    """Returns how often each of `number` plans was played, `[plans, lanes]` int32."""
    shifts = 8 * jnp.arange(PLAYS, dtype=jnp.int32)[None, :, None]
    counts = (plays[:, None] >> shifts) & 0xFF
    return counts.reshape(-1, plays.shape[-1])[:number]


def cost_number(cell: Array) -> Array:
    """Returns which of a setting's entries of `Tables.cost` a cell was billed."""
    return (cell >> COST_SHIFT) & COST_MASK


def close(
    totals: Totals,
    segment: Segment,
    by_condition: Segment | None,
    plays: Array,
    gap: Array,
) -> Totals:
    """Returns the totals with a finished segment added.

    Args:
        totals: sums of the segments before.
        segment: sums of this one.
        by_condition: the same by condition, None if there is one.
        plays: [M * K, lanes] int32, how often each plan was played in it under each
            condition.
        gap: [M, K] float of the tables, of one setting.
    """
    pseudo = jnp.zeros_like(segment.reward)
    gaps = gap.reshape(-1)

    def add_plan(plan: Array, total: Array) -> Array:
        return total + gaps[plan] * plays[plan].astype(total.dtype)

    # In order, whatever the number of lanes; unrolled where there are few.
    pseudo = lax.fori_loop(
        0, gaps.size, add_plan, pseudo, unroll=gaps.size <= UNROLLED_PLANS
    )
    split = totals.by_condition
    if split is not None and by_condition is not None:
        split = _closed(split, by_condition)
    return Totals(
        _closed(totals.all_steps, segment), _add(totals.pseudo_regret, pseudo), split
    )


def _closed(sums: Sums, segment: Segment) -> Sums:
    return Sums(
        _add(sums.reward, segment.reward),
        _add(sums.cost, segment.cost),
        _add(sums.realised_regret, segment.realised_regret),
        sums.correct + (segment.counts & COUNT_MASK),
        sums.offloaded + ((segment.counts >> SHIPPED_SHIFT) & COUNT_MASK),
        sums.best + (segment.counts >> BEST_SHIFT),
    )


def _add(pair: Pair, value: Array) -> Pair:
    """Returns pair + value; rounding errors are summed apart, for the host to add."""
    high, error = two_sum(pair.high, value)
    return Pair(high, pair.low + error)
