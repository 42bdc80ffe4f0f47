"""Outcomes of K plans on N samples, packed for the replay loop.

Here: which numbers the loop gathers and how they are laid out.
Random access dominates a step, so a cell is one float and one int32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jsplit.types import JsplitError, Outcome

# A cell, an int32: bit 0 correct, bits 1-15 which cost, bit 16 shipped, bit 22 whether
# the plan was the best one of the condition. Sums of up to 63 cells masked with COUNTS
# keep the three counts apart.
COUNTS = 0x410001
COST_SHIFT, COST_MASK = 1, 0x7FFF
SHIPPED_SHIFT, BEST_SHIFT, COUNT_MASK = 16, 22, 0x3F
WORD = 32  # revealed plans are bits of int32 words


class Tables(NamedTuple):
    """What the replay loop gathers; N samples under M conditions, K plans, L exits.

    A row is a sample under a condition: row = condition * N + sample. The tables of S
    settings have a leading axis [S], see `flat`.
    """

    reward: Array  # [M * N * K] float
    cell: Array  # [M * N * K] int32, see above
    cost: Array  # [M * K * (L + 1)] float: the cost behind each cost number
    comparator: Array  # [M * N] float: reward of the condition's best fixed plan
    gap: Array  # [M, K] float: mean reward of the best fixed plan minus that of plan k
    learned: Array | None  # [M * N * K] float: what is learned, if not the reward
    revealed: Array | None  # [words, M * N * K] int32: bit j = plan j becomes known
    context: Array | None  # [M * N] int32: what the policy is told beforehand

    @property
    def num_conditions(self) -> int:
        """M."""
        return self.gap.shape[-2]

    @property
    def num_plans(self) -> int:
        """K."""
        return self.gap.shape[-1]

    @property
    def num_samples(self) -> int:
        """N."""
        return self.comparator.size // (self.gap.size // self.num_plans)

    @property
    def num_costs(self) -> int:
        """M * K * (L + 1), the costs of one setting."""
        cells = self.num_conditions * self.num_plans
        return self.cost.size // (self.gap.size // cells)

    def first_row(self, setting: Array) -> Array:
        """Returns the first row of a setting of `flat` tables."""
        return setting * (self.num_conditions * self.num_samples)


def flat(tables: Tables) -> Tables:
    """Returns the tables of S settings one after the other, as if they were one long.

    So a gather is flat for any number of settings, and no table is copied to pick one.

    Args:
        tables: leaves [S, ...].

    Returns:
        All leaves without the axis [S] but `gap`, whose row is
        row = (setting * M + condition) * N + sample.
    """
    lines = {
        name: None if leaf is None else leaf.reshape(-1)
        for name, leaf in tables._asdict().items()
        if name not in ("gap", "revealed")
    }
    revealed = tables.revealed
    if revealed is not None:
        revealed = revealed.swapaxes(0, 1).reshape(revealed.shape[1], -1)
    return tables._replace(**lines, revealed=revealed)


def pack(
    outcome: Outcome,
    plan_costs: Array,
    comparator: Array,
    gap: Array,
    *,
    learned: Array | None,
    revealed: Array | None,
    context: Array | None,
) -> Tables:
    """Returns the tables of a policy.

    Args:
        outcome: [M * N, K] outcomes, condition by condition.
        plan_costs: [M, K, L + 1] cost of each plan at each exit, last = shipped.
        comparator: [M * N] reward of the best fixed plan of the condition.
        gap: [M, K] its mean minus the mean reward of every plan.
        learned: [M * N, K] what playing a plan teaches, or None if its reward.
        revealed: [words, M * N * K] `bits`, or None if only the played plan is.
        context: [M * N] what the policy is told beforehand, or None.

    Raises:
        JsplitError: if there are more costs than a cell can number.
    """
    if plan_costs.size > COST_MASK:
        raise JsplitError(
            f"conditions x plans x (exits + 1) must be at most {COST_MASK}, got "
            f"{' x '.join(map(str, plan_costs.shape))}"
        )
    return _pack(outcome, plan_costs, comparator, gap, learned, revealed, context)


@jax.jit
def _pack(
    outcome: Outcome,
    plan_costs: Array,
    comparator: Array,
    gap: Array,
    learned: Array | None,
    revealed: Array | None,
    context: Array | None,
) -> Tables:
    dtype = outcome.reward.dtype
    num_conditions, num_plans, levels = plan_costs.shape
    num_samples = comparator.size // num_conditions
    number = jnp.arange(num_conditions * num_plans, dtype=jnp.int32) * levels
    number = (
        jnp.repeat(number.reshape(num_conditions, num_plans), num_samples, 0)
        + outcome.exit
    )
    shipped = (outcome.exit == levels - 1).astype(jnp.int32)
    best = jnp.repeat((gap <= 0).astype(jnp.int32), num_samples, 0)
    cell = (
        outcome.correct.astype(jnp.int32)
        + (number << COST_SHIFT)
        + (shipped << SHIPPED_SHIFT)
        + (best << BEST_SHIFT)
    )
    return Tables(
        outcome.reward.reshape(-1),
        cell.reshape(-1),
        plan_costs.reshape(-1).astype(dtype),
        comparator.astype(dtype),
        gap.astype(dtype),
        None if learned is None else learned.reshape(-1).astype(dtype),
        revealed,
        context,
    )


def bits(revealed: Array) -> Array:
    """Returns which plans become known, [rows, K, K] bool, as [words, rows * K] int32.

    See `gather_bits`.
    """
    num_samples, num_plans, _ = revealed.shape
    words = -(-num_plans // WORD)
    padded = jnp.pad(revealed, ((0, 0), (0, 0), (0, words * WORD - num_plans)))
    flags = padded.reshape(num_samples * num_plans, words, WORD).astype(jnp.uint32)
    shifts = jnp.arange(WORD, dtype=jnp.uint32)[None, None]
    packed = (flags << shifts).sum(-1, dtype=jnp.uint32)
    return packed.T.astype(jnp.int32)


def gather(values: Array, index: Array) -> Array:
    """Returns `values[index]` for a flat table and an index known to be inside."""
    return values.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


def gather_bits(words: Array, index: Array, num_plans: int) -> Array:
    """Returns [K, lanes] bool, the bits of a [words, rows * K] table at `index`.

    Args:
        words: packed bits, plan 32 w + j in bit j of word w.
        index: [lanes] flat indices.
        num_plans: K.
    """
    known = []
    for number, word in enumerate(words):
        plans = min(WORD, num_plans - number * WORD)
        shifts = jnp.arange(plans, dtype=jnp.int32)[:, None]
        known.append(((gather(word, index)[None] >> shifts) & 1) == 1)
    return known[0] if len(known) == 1 else jnp.concatenate(known)
