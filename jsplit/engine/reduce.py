"""What is kept of a replay: sums over the steps, and regret at checkpoints.

Here: exact-enough summation. A float32 sum of half a million rewards is off by units,
so a segment of at most `SEGMENT` steps is summed in the working precision and closed
into a pair (high, low) by an error-free addition; the host adds the pair in float64.
Regret is accumulated as per-step differences, never as the difference of two sums.
"""

from typing import NamedTuple

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

SEGMENT = 32  # steps summed before closing; also one vectorised pass of the stream


UNROLLED_PLANS = 32


class Segment(NamedTuple):
    """Sums over the steps of one segment; every field is `[lanes]`."""

    reward: Array  # float
    cost: Array  # float
    realised_regret: Array  # float
    counts: Array  # int32: correct + 2^16 * shipped + 2^22 * best


class Pair(NamedTuple):
    """A sum as high + low, low the rounding error of high."""

    high: Array  # [lanes] float
    low: Array  # [lanes] float


class Totals(NamedTuple):
    """Sums over all closed segments; every leaf is `[lanes]`."""

    reward: Pair
    cost: Pair
    pseudo_regret: Pair
    realised_regret: Pair
    correct: Array  # int32
    offloaded: Array  # int32
    best: Array  # int32: steps whose plan was the best one of their condition


def empty_segment(num_lanes: int) -> Segment:
    """Returns zero sums."""
    zero = jnp.zeros(num_lanes, jnp.result_type(float))
    return Segment(zero, zero, zero, jnp.zeros(num_lanes, jnp.int32))


def empty_totals(num_lanes: int) -> Totals:
    """Returns zero totals."""
    zero = jnp.zeros(num_lanes, jnp.result_type(float))
    pair, count = Pair(zero, zero), jnp.zeros(num_lanes, jnp.int32)
    return Totals(pair, pair, pair, pair, count, count, count)


def add_step(segment: Segment, tables: Tables, row: Array, index: Array) -> Segment:
    """Returns the sums with one step added.

    Args:
        segment: sums so far.
        tables: the tables.
        row: [lanes] int32 row of the step, a sample under a condition.
        index: [lanes] int32 flat index of (row, played plan).
    """
    cell, reward = gather(tables.cell, index), gather(tables.reward, index)
    cost = gather(tables.cost, cost_number(cell))
    regret = gather(tables.comparator, row) - reward
    return Segment(
        segment.reward + reward,
        segment.cost + cost,
        segment.realised_regret + regret,
        segment.counts + (cell & COUNTS),
    )


def cost_number(cell: Array) -> Array:
    """Returns which entry of `Tables.cost` a cell was billed."""
    return (cell >> COST_SHIFT) & COST_MASK


def close(totals: Totals, segment: Segment, plays: Array, tables: Tables) -> Totals:
    """Returns the totals with a finished segment added.

    Args:
        totals: sums of the segments before.
        segment: sums of this one.
        plays: [M * K, lanes] int32, how often each plan was played in it under each
            condition.
        tables: the tables.
    """
    pseudo = jnp.zeros_like(segment.reward)
    gaps = tables.gap.reshape(-1)

    def add_plan(plan: Array, total: Array) -> Array:
        return total + gaps[plan] * plays[plan].astype(total.dtype)

    # In order, whatever the number of lanes; unrolled where there are few.
    pseudo = lax.fori_loop(
        0, gaps.size, add_plan, pseudo, unroll=gaps.size <= UNROLLED_PLANS
    )
    return Totals(
        _add(totals.reward, segment.reward),
        _add(totals.cost, segment.cost),
        _add(totals.pseudo_regret, pseudo),
        _add(totals.realised_regret, segment.realised_regret),
        totals.correct + (segment.counts & COUNT_MASK),
        totals.offloaded + ((segment.counts >> SHIPPED_SHIFT) & COUNT_MASK),
        totals.best + (segment.counts >> BEST_SHIFT),
    )


def _add(pair: Pair, value: Array) -> Pair:
    """Returns pair + value with the rounding error kept (Knuth's two-sum)."""
    high = pair.high + value
    part = high - pair.high
    error = (pair.high - (high - part)) + (value - part)
    return Pair(high, pair.low + error)
