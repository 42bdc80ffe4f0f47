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
from jsplit.engine.tables import WORD, Tables, gather
from jsplit.policies.base import Selector, one_hot
from jsplit.types import Feedback


class Schedule(NamedTuple):
    """How T steps are cut into segments, as data: a new one compiles nothing.

    No segment crosses a checkpoint or the end of a pass over the data.
    """

    start: Array | np.ndarray  # [S] int32: first step of the segment
    count: Array | np.ndarray  # [S] int32: its steps, at most reduce.SEGMENT
    row: Array | np.ndarray  # [S] int32: the checkpoint it leads to
    passes: Array | np.ndarray  # [P + 1] int32: first segment of each pass


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
    order: Array | None
    arms: Array | None


def make_schedule(
    horizon: int, num_samples: int, checkpoints: np.ndarray
) -> Schedule:
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
    key: Array,
    replicas: Array,
    schedule: Schedule,
    numbers: Numbers,
    *,
    num_checkpoints: int,
    record_steps: int | None,
) -> Replayed:
    """Runs the replicas numbered `replicas`, [lanes] int32, and returns their sums.

    A replica's stream and draws depend on `key` and its number alone, so results do not
    change with how replicas are grouped.
    """
    (lanes,) = replicas.shape
    num_plans = tables.num_plans
    stream_keys, draw_keys = _replica_keys(key, replicas)
    record = record_steps is not None
    buffer = jnp.zeros((record_steps + reduce.SEGMENT, lanes), jnp.int32) if record else None
    dtype = jnp.result_type(float)

    def learn(state: Any, sample: Array, arm: Array, *, own: bool) -> tuple[Any, Array]:
        index = sample * num_plans + arm
        reward = gather(tables.reward, index)
        if tables.revealed is None or own:
            feedback = Feedback(arm, reward, None, None)
        else:
            plans = jnp.arange(num_plans, dtype=jnp.int32)[:, None]
            words = gather_words(tables.revealed, index)
            bits = jnp.stack([words[k // WORD] >> (k % WORD) for k in range(num_plans)])
            rewards = gather(tables.reward, sample * num_plans + plans)
            feedback = Feedback(arm, reward, rewards, (bits & 1) == 1)
        return selector.update(params, state, feedback), reward

    def segment(number: Array, carry: _Carry, keys: streams.Keys) -> _Carry:
        start = schedule.start[number]
        position = start % tables.num_samples + jnp.arange(
            reduce.SEGMENT, dtype=jnp.int32
        )
        # The last rows may lie beyond the pass; they are never read.
        position = jnp.minimum(position, tables.num_samples - 1)
        order = streams.sample_at(kind, position[:, None], keys, tables.num_samples)
        order = jnp.broadcast_to(order, (reduce.SEGMENT, lanes))

        def step(i: Array, inner: Any) -> Any:
            state, pulls, sums, arms = inner
            sample, now = order[i], start + i
            if tables.choice is None:
                draw = jax.vmap(jax.random.fold_in, (0, None))(draw_keys, now)
                clock = jnp.maximum(now + 1 + numbers.clock_offset, 1)
                arm = selector.select(params, state, draw, clock)
                arm = jnp.where(now < numbers.billed_plays, now, arm)
            else:
                arm = gather(tables.choice, sample)
            state, reward = learn(state, sample, arm, own=False)
            pulls = pulls + one_hot(arm, num_plans).astype(jnp.int32)
            index = sample * num_plans + arm
            sums = reduce.add_step(sums, tables, sample, index, reward)
            if record:
                arms = lax.dynamic_update_index_in_dim(arms, arm, now, 0)
            return state, pulls, sums, arms

        state, pulls, sums, arms = lax.fori_loop(
            0,
            schedule.count[number],
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
        keys = pass_keys(number)
        first, last = schedule.passes[number], schedule.passes[number + 1]
        return lax.fori_loop(first, last, lambda s, c: segment(s, c, keys), carry)

    def pass_keys(number: Array | int) -> streams.Keys:
        return jax.vmap(
            lambda key: streams.pass_keys(key, number, tables.num_samples), 0, -1
        )(stream_keys)

    def free_play(arm: Array, state: Any) -> Any:
        position = jnp.minimum(arm, tables.num_samples - 1)
        sample = streams.sample_at(kind, position, first_keys, tables.num_samples)
        lane_arm = jnp.broadcast_to(arm, (lanes,)).astype(jnp.int32)
        sample = jnp.broadcast_to(sample, (lanes,))
        return learn(state, sample, lane_arm, own=True)[0]

    first_keys = pass_keys(0)
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
    return Replayed(
        carry.totals, carry.pulls, carry.curves, carry.order, carry.arms
    )


def gather_words(words: Array, index: Array) -> list[Array]:
    """Returns each word of a [words, N * K] table at `index`."""
    return [gather(word, index) for word in words]


def _replica_keys(key: Array, replicas: Array) -> tuple[Array, Array]:
    """Returns, for every replica, the key of its stream and that of its draws."""
    stream, draws = jax.random.split(key)
    fold = jax.vmap(jax.random.fold_in, (None, 0))
    return fold(stream, replicas), fold(draws, replicas)
