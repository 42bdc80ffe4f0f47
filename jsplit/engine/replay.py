"""The replay loop: one block of replicas of one policy, step by step.

Here: the reference engine, a loop over steps with replicas on the vector lanes and arms
on the leading axis. Called by `shard`, which spreads blocks over devices.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jsplit.engine import reduce, streams
from jsplit.engine.tables import Tables, gather, gather_bits
from jsplit.policies.base import Selector, one_hot
from jsplit.types import Feedback, Now


class Schedule(NamedTuple):
    """How T steps are cut into segments, as data: a new one compiles nothing.

    No segment crosses a checkpoint or the end of a pass over the data.
    """

    start: Any  # [S] int32: first step of the segment
    steps: Any  # [S] int32: its steps, at most reduce.SEGMENT
    row: Any  # [S] int32: the checkpoint it leads to
    passes: Any  # [P + 1] int32: first segment of each pass
    phase: Any = None  # [T + SEGMENT] int32: which transition leads to a step
    below: Any = None  # [transitions, M - 1, M] int32, see streams.next_condition


class Numbers(NamedTuple):
    """What the protocol asks of the loop, as data."""

    billed_plays: Array | int  # [] int32: steps that play arm 0, 1, ... in order
    free_plays: Array | int  # [] int32: arms initialised before, without charge
    clock_offset: Array | int  # [] int32: what the index's clock adds to step + 1


class Replayed(NamedTuple):
    """What a block of replicas leaves behind."""

    totals: reduce.Totals  # leaves [lanes], by condition [M, lanes]
    pulls: Array  # [M * K, lanes] int32, by condition and plan
    curves: Array  # [checkpoints, 2, 2, lanes]: pseudo, realised regret; high, low
    best: Array  # [checkpoints, lanes] int32: steps so far with the best plan
    rows: Array | None  # [T + SEGMENT, lanes] int32
    arms: Array | None  # [T + SEGMENT, lanes] int32
    visits: Array | None  # [M * K * (L + 1), lanes] int32: how often each cost was paid


class _Carry(NamedTuple):
    state: Any
    condition: Any  # [lanes] int32 of the step before, None if there is one condition
    pulls: Array
    totals: reduce.Totals
    curves: Array
    best: Array
    rows: Any  # as in Replayed
    arms: Any
    visits: Any


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


def make_schedule(
    horizon: int,
    num_samples: int,
    checkpoints: np.ndarray,
    phase: np.ndarray | None = None,
    transition: np.ndarray | None = None,
) -> Schedule:
    """Returns the segments of a run.

    Args:
        horizon: T steps.
        num_samples: N, the length of a pass.
        checkpoints: increasing steps in 1..T, the last one T.
        phase: [T] which transition leads to each step; None for one condition.
        transition: [P, M, M] chance of each condition, given the one before.
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
    segments: Any = (x.astype(np.int32) for x in (start, count, row, passes))
    if phase is None or transition is None:
        return Schedule(*segments)
    below = np.cumsum(transition, axis=-1)[..., :-1].swapaxes(-1, -2)
    below = np.rint(below * 2**streams.CHANCE_BITS).astype(np.int32)
    phase = np.pad(phase, (0, reduce.SEGMENT), mode="edge").astype(np.int32)
    return Schedule(*segments, phase=phase, below=below)


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
    record_visits: bool,
) -> Replayed:
    """Runs a block of replicas, one for every lane of `keys`, and returns their sums.

    What a lane does depends on its own keys alone, so results do not change with how
    replicas are grouped.
    """
    (lanes,) = keys.draws.shape
    num_plans, num_samples = tables.num_plans, tables.num_samples
    drifts = tables.num_conditions > 1
    record = record_steps is not None
    buffer = (
        jnp.zeros((record_steps + reduce.SEGMENT, lanes), jnp.int32) if record else None
    )
    dtype = jnp.result_type(float)

    def context_of(row: Array) -> Array | None:
        return None if tables.context is None else gather(tables.context, row)

    def feedback(row: Array, arm: Array, *, own: bool) -> Feedback:
        """Returns what the policy sees."""
        context = context_of(row)
        lessons = tables.reward if tables.learned is None else tables.learned
        reward = gather(lessons, row * num_plans + arm)
        if tables.revealed is None or own:
            return Feedback(arm, reward, None, None, context)
        plans = jnp.arange(num_plans, dtype=jnp.int32)[:, None]
        rewards = gather(lessons, (row * num_plans)[None] + plans)
        revealed = gather_bits(tables.revealed, row * num_plans + arm, num_plans)
        return Feedback(arm, reward, rewards, revealed, context)

    def next_condition(step: Array, before: Array) -> Array:
        below = schedule.below[schedule.phase[step]]
        return streams.next_condition(step, before, below, keys.stream)

    def rows_of(start: Array, samples: Array, before: Any) -> tuple[Array, Any]:
        """Returns the rows of a segment's steps, and the condition of each."""
        if not drifts:
            return samples, None

        def one(condition: Array, step: Array) -> tuple[Array, Array]:
            condition = next_condition(step, condition)
            return condition, condition

        steps = start + jnp.arange(reduce.SEGMENT, dtype=jnp.int32)
        _, conditions = lax.scan(one, before, steps)
        return conditions * num_samples + samples, conditions

    def segment(number: Array, carry: _Carry, pass_keys: streams.Keys) -> _Carry:
        start, steps = schedule.start[number], schedule.steps[number]
        position = start % num_samples + jnp.arange(reduce.SEGMENT, dtype=jnp.int32)
        # The last rows may lie beyond the pass; they are never read.
        position = jnp.minimum(position, num_samples - 1)
        samples = streams.sample_at(kind, position[:, None], pass_keys, num_samples)
        samples = jnp.broadcast_to(samples, (reduce.SEGMENT, lanes))
        rows, conditions = rows_of(start, samples, carry.condition)

        def step(i: Array, inner: Any) -> Any:
            state, pulls, sums, split, arms, visits = inner
            row, now = rows[i], start + i
            draw = jax.vmap(jax.random.fold_in, (0, None))(keys.draws, now)
            clock = jnp.maximum(now + 1 + numbers.clock_offset, 1)
            told = Now(clock, context_of(row))
            arm = selector.select(params, state, draw, told)
            arm = jnp.where(now < numbers.billed_plays, now, arm)
            state = selector.update(params, state, feedback(row, arm, own=False))
            cell = row * num_plans + arm
            played = arm if conditions is None else conditions[i] * num_plans + arm
            pulls = pulls + one_hot(played, pulls.shape[0]).astype(jnp.int32)
            done = reduce.one_step(tables, row, cell)
            sums = reduce.add_step(sums, done)
            if conditions is not None:
                split = reduce.add_under(split, done, conditions[i])
            if record:
                arms = lax.dynamic_update_index_in_dim(arms, arm, now, 0)
            if record_visits:
                paid = reduce.cost_number(gather(tables.cell, cell))
                lane = jnp.arange(lanes, dtype=jnp.int32)
                visits = visits.at[paid, lane].add(1, mode="promise_in_bounds")
            return state, pulls, sums, split, arms, visits

        sums = reduce.empty_segment(lanes)
        split = reduce.empty_segment(tables.num_conditions, lanes) if drifts else None
        inner = (carry.state, carry.pulls, sums, split, carry.arms, carry.visits)
        inner = lax.fori_loop(0, steps, step, inner)
        state, pulls, sums, split, arms, visits = inner
        totals = reduce.close(carry.totals, sums, split, pulls - carry.pulls, tables)
        pairs = (totals.pseudo_regret, totals.all_steps.realised_regret)
        regrets = jnp.stack([jnp.stack(pair) for pair in pairs])
        # Written at every segment; the one that ends at the checkpoint is last.
        put = lax.dynamic_update_index_in_dim
        return _Carry(
            state,
            None if conditions is None else conditions[steps - 1],
            pulls,
            totals,
            put(carry.curves, regrets, schedule.row[number], 0),
            put(carry.best, totals.all_steps.best, schedule.row[number], 0),
            lax.dynamic_update_slice_in_dim(carry.rows, rows, start, 0)
            if record
            else None,
            arms,
            visits,
        )

    def one_pass(number: Array, carry: _Carry) -> _Carry:
        pass_keys = streams.pass_keys(keys.stream, number)
        first, last = schedule.passes[number], schedule.passes[number + 1]
        return lax.fori_loop(first, last, lambda s, c: segment(s, c, pass_keys), carry)

    def free_play(arm: Array, played: Any) -> Any:
        state, condition = played
        position = jnp.minimum(arm, num_samples - 1)
        row = streams.sample_at(kind, position, first_keys, num_samples)
        row = jnp.broadcast_to(row, (lanes,))
        if drifts:
            condition = next_condition(arm, condition)
            row = condition * num_samples + row
        lane_arm = jnp.broadcast_to(arm, (lanes,)).astype(jnp.int32)
        seen = feedback(row, lane_arm, own=True)
        return selector.update(params, state, seen), condition

    first_keys = streams.pass_keys(keys.stream, 0)
    before = jnp.zeros(lanes, jnp.int32) if drifts else None
    state = selector.init(params, num_plans, (lanes,))
    state, _ = lax.fori_loop(0, numbers.free_plays, free_play, (state, before))
    carry = _Carry(
        state,
        before,
        jnp.zeros((tables.gap.size, lanes), jnp.int32),
        reduce.empty_totals(lanes, tables.num_conditions),
        jnp.zeros((num_checkpoints, 2, 2, lanes), dtype),
        jnp.zeros((num_checkpoints, lanes), jnp.int32),
        buffer,
        buffer,
        jnp.zeros((tables.cost.size, lanes), jnp.int32) if record_visits else None,
    )
    carry = lax.fori_loop(0, schedule.passes.shape[0] - 1, one_pass, carry)
    return Replayed(
        carry.totals,
        carry.pulls,
        carry.curves,
        carry.best,
        carry.rows,
        carry.arms,
        carry.visits,
    )
