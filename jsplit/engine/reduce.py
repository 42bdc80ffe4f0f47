"""What is kept of a replay: sums over the steps, and regret at checkpoints.

Here: exact-enough summation. A float32 sum of half a million rewards is off by units,
so a segment of at most `SEGMENT` steps is summed in the working precision and closed
into a pair (high, low) by an error-free addition; the host adds the pair in float64.
Regret is accumulated as per-step differences, never as the difference of two sums.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jsplit.engine.tables import COST_MASK, COST_SHIFT, COUNTS, Tables, gather

SEGMENT = 32  # steps summed before closing; also one vectorised pass of the stream


class Segment(NamedTuple):
    """Sums over the steps of one segment; every field is `[lanes]`."""

    reward: Array  # float
    cost: Array  # float
    realised_regret: Array  # float
    counts: Array  # int32: correct + 2^16 * shipped


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


def empty_segment(num_lanes: int) -> Segment:
    """Returns zero sums."""
    zero = jnp.zeros(num_lanes, jnp.result_type(float))
    return Segment(zero, zero, zero, jnp.zeros(num_lanes, jnp.int32))


def empty_totals(num_lanes: int) -> Totals:
    """Returns zero totals."""
    zero = jnp.zeros(num_lanes, jnp.result_type(float))
    pair, count = Pair(zero, zero), jnp.zeros(num_lanes, jnp.int32)
    return Totals(pair, pair, pair, pair, count, count)


def add_step(
    segment: Segment, tables: Tables, sample: Array, index: Array, reward: Array
) -> Segment:
    """Returns the sums with one step added.

    Args:
        segment: sums so far.
        tables: the tables.
        sample: [lanes] int32 sample of the step.
        index: [lanes] int32 flat index of (sample, played plan).
        reward: [lanes] its reward.
    """
    cell = gather(tables.cell, index)
    cost = gather(tables.cost, (cell >> COST_SHIFT) & COST_MASK)
    regret = gather(tables.comparator, sample) - reward
    return Segment(
        segment.reward + reward,
        segment.cost + cost,
        segment.realised_regret + regret,
        segment.counts + (cell & COUNTS),
    )


def close(totals: Totals, segment: Segment, plays: Array, tables: Tables) -> Totals:
    """Returns the totals with a finished segment added.

    Args:
        totals: sums of the segments before.
        segment: sums of this one.
        plays: [K, lanes] int32, how often each plan was played in it.
        tables: the tables.
    """
    pseudo = jnp.zeros_like(segment.reward)
    for plan in range(tables.num_plans):  # in order, whatever the number of lanes
        pseudo += tables.gap[plan] * plays[plan].astype(pseudo.dtype)
    return Totals(
        _add(totals.reward, segment.reward),
        _add(totals.cost, segment.cost),
        _add(totals.pseudo_regret, pseudo),
        _add(totals.realised_regret, segment.realised_regret),
        totals.correct + (segment.counts & 0xFFFF),
        totals.offloaded + (segment.counts >> 16),
    )


def _add(pair: Pair, value: Array) -> Pair:
    """Returns pair + value with the rounding error kept (Knuth's two-sum)."""
    high = pair.high + value
    part = high - pair.high
    error = (pair.high - (high - part)) + (value - part)
    return Pair(high, pair.low + error)
