"""The replay loop: one block of replicas of one policy, step by step.

Here: the reference engine, a loop over steps with replicas on the vector lanes and arms
on the leading axis. Called by `shard`, which spreads blocks over devices.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jsplit import streams
from jsplit.engine import reduce
from jsplit.engine.tables import Tables, gather, gather_bits
from jsplit.policies.base import Selector, one_hot
from jsplit.types import Feedback


class Schedule(NamedTuple):
    """How T steps are cut into segments, as data: a new one compiles nothing.

    No segment crosses a checkpoint or the end of a pass over the data.
    """

    start: Any  # [S] int32: first step of the segment
    steps: Any  # [S] int32: its steps, at most reduce.SEGMENT
    row: Any  # [S] int32: the checkpoint it leads to
    passes: Any  # [P + 1] int32: first segment of each pass


class Numbers(NamedTuple):
    """What the protocol asks of the loop, as data."""

    billed_plays: Array | int  # [] int32: steps that play arm 0, 1, ... in order
    free_plays: Array | int  # [] int32: arms initialised before, without charge
    clock_offset: Array | int  # [] int32: what the index's clock adds to step + 1


class Replayed(NamedTuple):
    """What a block of replicas leaves behind."""

    totals: reduce.Totals  # leaves [lanes]
    pulls: Array  # [K, lanes] int32
    curves: Array  # [checkpoints, 2, 2, lanes]: pseudo, realised regret; high, low
    order: Array | None  # [T + SEGMENT, lanes] int32
    arms: Array | None  # [T + SEGMENT, lanes] int32


class _Carry(NamedTuple):
    state: Any
    pulls: Array
    totals: reduce.Totals
    curves: Array
    order: Any  # as in Replayed
    arms: Any


class ReplicaKeys(NamedTuple):
    """What fixes the stream and the draws of each replica of a block."""

    stream: streams.Keys  # leaves [..., lanes]
    draws: Array  # [lanes] typed keys


def replica_keys(key: Array, replicas: Array, num_samples: int) -> ReplicaKeys:
    """Returns the keys of the replicas numbered `replicas`, [lanes] int32.

    Of `streams.ORDERS` consecutive replicas all resample the same test set.
    """
    stream, draws = jax.random.split(key)
    fold = jax.vmap(jax.random.fold_in, (None, 0))

    def keys_of(replicas: Array) -> streams.Keys:
        one = lambda key: streams.replica_keys(key, num_samples)  # noqa: E731
        return jax.vmap(one, 0, -1)(fold(stream, replicas))

    test_set = keys_of(replicas - replicas % streams.ORDERS)
    return ReplicaKeys(
        keys_of(replicas)._replace(resample=test_set.resample), fold(draws, replicas)
    )


def make_schedule(horizon: int, num_samples: int, checkpoints: np.ndarray) -> Schedule:
    """Returns the segments of a run.

    Args:
        horizon: T steps.
        num_samples: N, the length of a pass.
        checkpoints: increasing steps in 1..T, the last one T.
    """
    stops = np.union1d(checkpoints, np.arange(num_samples, horizon, num_samples))
    starts = np.concatenate([[0], stops[:-1]])
    pieces = [
        np.arange(start, stop, reduce.SEGMENT)
        for start, stop in zip(starts, stops, strict=True)
    ]
    start = np.concatenate(pieces)
    count = np.diff(np.append(start, horizon))
    row = np.searchsorted(checkpoints, start + count)
    num_passes = -(-horizon // num_samples)
    passes = np.searchsorted(start, np.arange(num_passes + 1) * num_samples)
    return Schedule(*(x.astype(np.int32) for x in (start, count, row, passes)))


def replay_block(
    selector: Selector,
    params: Any,
    tables: Tables,
    kind: streams.Kind,
    keys: ReplicaKeys,
    schedule: Schedule,
    numbers: Numbers,
    *,
    num_checkpoints: int,
    record_steps: int | None,
) -> Replayed:
    """Runs a block of replicas, one for every lane of `keys`, and returns their sums.

    What a lane does depends on its own keys alone, so results do not change with how
    replicas are grouped.
    """
    (lanes,) = keys.draws.shape
    num_plans = tables.num_plans
    record = record_steps is not None
    buffer = (
        jnp.zeros((record_steps + reduce.SEGMENT, lanes), jnp.int32) if record else None
    )
    dtype = jnp.result_type(float)

    def feedback(sample: Array, arm: Array, *, own: bool) -> tuple[Feedback, Array]:
        """Returns what the policy sees and the cell of (sample, arm) in the tables."""
        index = sample * num_plans + arm
        reward = gather(tables.reward, index)
        if tables.revealed is None or own:
            return Feedback(arm, reward, None, None), index
        plans = jnp.arange(num_plans, dtype=jnp.int32)[:, None]
        rewards = gather(tables.reward, (sample * num_plans)[None] + plans)
        revealed = gather_bits(tables.revealed, index, num_plans)
        return Feedback(arm, reward, rewards, revealed), index

    def segment(number: Array, carry: _Carry, pass_keys: streams.Keys) -> _Carry:
        start = schedule.start[number]
        position = start % tables.num_samples + jnp.arange(
            reduce.SEGMENT, dtype=jnp.int32
        )
        # The last rows may lie beyond the pass; they are never read.
        position = jnp.minimum(position, tables.num_samples - 1)
        order = streams.sample_at(
            kind, position[:, None], pass_keys, tables.num_samples
        )
        order = jnp.broadcast_to(order, (reduce.SEGMENT, lanes))

        def step(i: Array, inner: Any) -> Any:
            state, pulls, sums, arms = inner
            sample, now = order[i], start + i
            if tables.choice is None:
                draw = jax.vmap(jax.random.fold_in, (0, None))(keys.draws, now)
                clock = jnp.maximum(now + 1 + numbers.clock_offset, 1)
                arm = selector.select(params, state, draw, clock)
                arm = jnp.where(now < numbers.billed_plays, now, arm)
            else:
                arm = gather(tables.choice, sample)
            seen, index = feedback(sample, arm, own=False)
            state = selector.update(params, state, seen)
            pulls = pulls + one_hot(arm, num_plans).astype(jnp.int32)
            sums = reduce.add_step(sums, tables, sample, index, seen.reward)
            if record:
                arms = lax.dynamic_update_index_in_dim(arms, arm, now, 0)
            return state, pulls, sums, arms

        state, pulls, sums, arms = lax.fori_loop(
            0,
            schedule.steps[number],
            step,
            (carry.state, carry.pulls, reduce.empty_segment(lanes), carry.arms),
        )
        totals = reduce.close(carry.totals, sums, pulls - carry.pulls, tables)
        regrets = jnp.stack(
            [jnp.stack(totals.pseudo_regret), jnp.stack(totals.realised_regret)]
        )
        return _Carry(
            state,
            pulls,
            totals,
            # Written at every segment; the one that ends at the checkpoint is last.
            lax.dynamic_update_index_in_dim(
                carry.curves, regrets, schedule.row[number], 0
            ),
            lax.dynamic_update_slice_in_dim(carry.order, order, start, 0)
            if record
            else None,
            arms,
        )

    def one_pass(number: Array, carry: _Carry) -> _Carry:
        pass_keys = streams.pass_keys(keys.stream, number)
        first, last = schedule.passes[number], schedule.passes[number + 1]
        return lax.fori_loop(first, last, lambda s, c: segment(s, c, pass_keys), carry)

    def free_play(arm: Array, state: Any) -> Any:
        position = jnp.minimum(arm, tables.num_samples - 1)
        sample = streams.sample_at(kind, position, first_keys, tables.num_samples)
        lane_arm = jnp.broadcast_to(arm, (lanes,)).astype(jnp.int32)
        sample = jnp.broadcast_to(sample, (lanes,))
        return selector.update(params, state, feedback(sample, lane_arm, own=True)[0])

    first_keys = streams.pass_keys(keys.stream, 0)
    state = selector.init(params, num_plans, (lanes,))
    state = lax.fori_loop(0, numbers.free_plays, free_play, state)
    carry = _Carry(
        state,
        jnp.zeros((num_plans, lanes), jnp.int32),
        reduce.empty_totals(lanes),
        jnp.zeros((num_checkpoints, 2, 2, lanes), dtype),
        buffer,
        buffer,
    )
    carry = lax.fori_loop(0, schedule.passes.shape[0] - 1, one_pass, carry)
    return Replayed(carry.totals, carry.pulls, carry.curves, carry.order, carry.arms)
