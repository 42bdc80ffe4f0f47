"""Outcomes of K plans on N samples, packed for the replay loop.

Here: which numbers the loop gathers and how they are laid out. Called by `evaluate`.
Random access dominates a step, so a cell is one float and one int32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jsplit.types import JsplitError, Outcome

# A cell, an int32: bit 0 correct, bits 1-15 which cost, bit 16 shipped. Sums of up to
# 2^15 cells masked with COUNTS keep both counts apart.
COUNTS = 0x10001
COST_SHIFT, COST_MASK = 1, 0x7FFF
WORD = 32  # revealed plans are bits of int32 words


class Tables(NamedTuple):
    """What the replay loop gathers; N samples, K plans, L exits."""

    reward: Array  # [N * K] float
    cell: Array  # [N * K] int32, see above
    cost: Array  # [K * (L + 1)] float: the cost behind each cost number
    comparator: Array  # [N] float: reward of the best fixed plan on each sample
    gap: Array  # [K] float: mean reward of the best fixed plan minus that of plan k
    revealed: Array | None  # [words, N * K] int32: bit j = plan j becomes known
    choice: Array | None  # [N] int32: the plan a clairvoyant plays

    @property
    def num_plans(self) -> int:
        """K."""
        return self.gap.size

    @property
    def num_samples(self) -> int:
        """N."""
        return self.comparator.size


def pack(
    outcome: Outcome,
    plan_costs: Array,
    comparator: Array,
    comparator_mean: float,
    mean_reward: np.ndarray,
    revealed: Array | None,
    choice: np.ndarray | None,
) -> Tables:
    """Returns the tables of a policy.

    Args:
        outcome: [N, K] outcomes.
        plan_costs: [K, L + 1] cost of each plan at each exit, last = shipped.
        comparator: [N] reward of the best fixed plan.
        comparator_mean: its mean over the N samples, in float64.
        mean_reward: [K] mean reward of every plan, in float64.
        revealed: [N, K, K] bool, or None if only the played plan is.
        choice: [N] plan a clairvoyant plays, or None.

    Raises:
        JsplitError: if there are more plan-exit pairs than a cell can number.
    """
    num_plans, levels = plan_costs.shape
    if num_plans * levels > COST_MASK:
        raise JsplitError(
            f"plans x (exits + 1) must be at most {COST_MASK}, got "
            f"{num_plans} x {levels}"
        )
    return _pack(
        outcome,
        plan_costs,
        comparator,
        np.asarray(comparator_mean - mean_reward, np.float64),
        revealed,
        choice,
    )


@jax.jit
def _pack(
    outcome: Outcome,
    plan_costs: Array,
    comparator: Array,
    gap: Array,
    revealed: Array | None,
    choice: Array | None,
) -> Tables:
    dtype = outcome.reward.dtype
    num_plans, levels = plan_costs.shape
    shipped = outcome.exit == levels - 1
    number = jnp.arange(num_plans, dtype=jnp.int32)[None] * levels + outcome.exit
    cell = (
        outcome.correct.astype(jnp.int32)
        + (number << COST_SHIFT)
        + shipped.astype(jnp.int32) * (COUNTS - 1)
    )
    return Tables(
        outcome.reward.reshape(-1),
        cell.reshape(-1),
        plan_costs.reshape(-1).astype(dtype),
        comparator.astype(dtype),
        gap.astype(dtype),
        None if revealed is None else _bits(revealed),
        choice,
    )


def _bits(revealed: Array) -> Array:
    """Returns [N, K, K] bool as [words, N * K] int32, see `gather_bits`."""
    num_samples, num_plans, _ = revealed.shape
    words = -(-num_plans // WORD)
    padded = jnp.pad(revealed, ((0, 0), (0, 0), (0, words * WORD - num_plans)))
    bits = padded.reshape(num_samples * num_plans, words, WORD).astype(jnp.uint32)
    shifts = jnp.arange(WORD, dtype=jnp.uint32)[None, None]
    packed = (bits << shifts).sum(-1, dtype=jnp.uint32)
    return packed.T.astype(jnp.int32)


def gather(values: Array, index: Array) -> Array:
    """Returns `values[index]` for a flat table and an index known to be inside."""
    return values.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def gather_bits(words: Array, index: Array, num_plans: int) -> Array:
    """Returns [K, lanes] bool, the bits of a [words, N * K] table at `index`.

    Args:
        words: packed bits, plan 32 w + j in bit j of word w.
        index: [lanes] flat indices.
        num_plans: K.
    """
    bits = []
    for number, word in enumerate(words):
        plans = min(WORD, num_plans - number * WORD)
        shifts = jnp.arange(plans, dtype=jnp.int32)[:, None]
        bits.append(((gather(word, index)[None] >> shifts) & 1) == 1)
    return bits[0] if len(bits) == 1 else jnp.concatenate(bits)
