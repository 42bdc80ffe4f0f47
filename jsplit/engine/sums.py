"""Sums of replicas on the host, in float64.

Here: what comes back from the devices, put in order. Not here: what is summed
(`reduce`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jsplit.engine.layout import Layout
from jsplit.engine.reduce import Pair
from jsplit.engine.replay import Replayed
from jsplit.engine.settings import Run


class UnderCondition(NamedTuple):
    """Sums over the steps of each of M conditions, in float64."""

    reward: np.ndarray  # [S, R, M]
    cost: np.ndarray  # [S, R, M]
    realised_regret: np.ndarray  # [S, R, M]
    correct: np.ndarray  # [S, R, M]
    offloaded: np.ndarray  # [S, R, M]


class Replicas(NamedTuple):
    """Sums of S settings x R replicas on the host, in float64."""

    reward: np.ndarray  # [S, R] summed over the steps
    cost: np.ndarray  # [S, R]
    correct: np.ndarray  # [S, R]
    offloaded: np.ndarray  # [S, R]
    pulls: np.ndarray  # [S, R, M * K] int32, by condition and plan
    pseudo_regret: np.ndarray  # [S, R, checkpoints]
    realised_regret: np.ndarray  # [S, R, checkpoints]
    best: np.ndarray  # [S, R, checkpoints] int32: steps with the best plan
    rows: np.ndarray | None  # [S, R, T] int32: sample under a condition
    arms: np.ndarray | None  # [S, R, T] int32
    visits: np.ndarray | None  # [S, R, M * K * (L + 1)] int32
    by_condition: UnderCondition | None  # None if there is one condition


def in_order(parts: Sequence[Replayed], layout: Layout, run: Run) -> Replicas:
    """Returns the sums of all settings and replicas.

    Args:
        parts: what was kept of one set of blocks after the other, leaves
            [groups on all devices, blocks on all devices, G, ..., lanes].
        layout: how they were laid out.
        run: how many replicas and steps are wanted of them.
    """
    part = parts[0]
    if len(parts) > 1:
        part = jax.tree.map(lambda *leaves: np.concatenate(leaves, 1), *parts)

    def ordered(values: Any) -> np.ndarray:
        # [groups, blocks, G, ..., lanes] -> [groups, G, blocks, lanes, ...]
        moved = np.moveaxis(np.moveaxis(values, -1, 2), 3, 1)
        rest = moved.shape[4:]
        slots = layout.groups * layout.group
        moved = moved.reshape(-1, slots, moved.shape[2] * layout.lanes, *rest)
        kept = moved[:, : layout.settings, : run.num_replicas]
        return kept.reshape(layout.num_settings, run.num_replicas, *rest)

    def total(pair: Pair) -> np.ndarray:
        high, low = map(ordered, pair)
        return np.add(high, low, dtype=np.float64)

    sums, split = part.totals.all_steps, part.totals.by_condition
    high, low = np.moveaxis(np.asarray(part.curves), 5, 0)
    curves = total(Pair(high, low))
    steps = run.horizon
    return Replicas(
        total(sums.reward),
        total(sums.cost),
        ordered(sums.correct).astype(np.float64),
        ordered(sums.offloaded).astype(np.float64),
        ordered(part.pulls),
        curves[..., 0],
        curves[..., 1],
        ordered(part.best),
        ordered(part.rows)[:, :, :steps] if run.keep.steps else None,
        ordered(part.arms)[:, :, :steps] if run.keep.steps else None,
        None if part.visits is None else ordered(part.visits),
        None
        if split is None
        else UnderCondition(
            total(split.reward),
            total(split.cost),
            total(split.realised_regret),
            ordered(split.correct).astype(np.float64),
            ordered(split.offloaded).astype(np.float64),
        ),
    )
