"""The replay loop: one block of replicas of one policy, step by step.

Here: the reference engine, a loop over steps with replicas on the vector lanes and arms
on the leading axis. A run is cut into passes over the data, a pass into segments, a
segment into steps; one function each. Not here: blocks and devices (`shard`), what is
summed (`reduce`).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jsplit.engine import reduce, streams
from jsplit.engine.schedule import Numbers, Schedule
from jsplit.engine.tables import Tables, gather, gather_bits
from jsplit.policies.base import Selector, one_hot
from jsplit.types import Feedback, Now


class Program(NamedTuple):
    """What is compiled into a replay: another one is another program."""

    selector: Selector
    stream: streams.Kind
    num_checkpoints: int
    record_steps: int | None  # T to return the rows and arms of every step
    record_visits: bool


class Replayed(NamedTuple):
    """What a block of replicas leaves behind."""

    totals: reduce.Totals  # leaves [lanes], by condition [M, lanes]
    pulls: Array  # [M * K, lanes] int32, by condition and plan
    curves: Array  # [checkpoints, 2, 2, lanes]: pseudo, realised regret; high, low
    best: Array  # [checkpoints, lanes] int32: steps so far with the best plan
    rows: Array | None  # [T + SEGMENT, lanes] int32
    arms: Array | None  # [T + SEGMENT, lanes] int32
    visits: Array | None  # [M * K * (L + 1), lanes] int32: how often each cost was paid


class ReplicaKeys(NamedTuple):
    """What fixes the stream and the draws of each replica of a block."""

    stream: streams.Keys  # leaves [..., lanes]
    draws: Array  # [lanes] typed keys


@dataclasses.dataclass(frozen=True)
class Block:
    """Everything that stays the same while a block of replicas runs.

    Attributes:
        program: what is compiled in.
        params: numbers of the selector.
        tables: outcomes of its plans.
        schedule: segments of the T steps.
        numbers: what the protocol asks of the loop.
        keys: of the replicas, one for every lane.
    """

    program: Program
    params: Any
    tables: Tables
    schedule: Schedule
    numbers: Numbers
    keys: ReplicaKeys

    @property
    def num_lanes(self) -> int:
        """Replicas of the block."""
        return self.keys.draws.shape[0]

    @property
    def drifts(self) -> bool:
        """Whether there are several conditions."""
        return self.tables.num_conditions > 1


class _Carry(NamedTuple):
    """What a segment hands to the next."""

    state: Any
    condition: Any  # [lanes] int32 of the step before, None if there is one condition
    kept: Replayed


class _Steps(NamedTuple):
    """What a step hands to the next, within a segment."""

    state: Any
    pulls: Array
    sums: reduce.Segment
    split: Any  # reduce.Segment by condition, None if there is one
    arms: Any
    visits: Any


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


def replay_block(block: Block) -> Replayed:
    """Runs a block of replicas and returns their sums.

    What a lane does depends on its own keys alone, so results do not change with how
    replicas are grouped.
    """
    carry = _start(block)
    num_passes = block.schedule.passes.shape[0] - 1
    carry = lax.fori_loop(0, num_passes, lambda n, c: one_pass(block, n, c), carry)
    return carry.kept


def one_pass(block: Block, number: Array, carry: _Carry) -> _Carry:
    """Runs the segments of one pass over the data."""
    pass_keys = streams.pass_keys(block.keys.stream, number)
    first, last = block.schedule.passes[number], block.schedule.passes[number + 1]
    return lax.fori_loop(
        first, last, lambda n, c: segment(block, pass_keys, n, c), carry
    )


def segment(
    block: Block, pass_keys: streams.Keys, number: Array, carry: _Carry
) -> _Carry:
    """Runs the steps of one segment and closes its sums."""
    tables, schedule, program = block.tables, block.schedule, block.program
    start, steps = schedule.start[number], schedule.steps[number]
    position = start % tables.num_samples + jnp.arange(reduce.SEGMENT, dtype=jnp.int32)
    # The last rows may lie beyond the pass; they are never read.
    position = jnp.minimum(position, tables.num_samples - 1)
    samples = _samples(block, position[:, None], pass_keys, (reduce.SEGMENT,))
    rows, conditions = _rows(block, start, samples, carry.condition)
    lanes, kept = block.num_lanes, carry.kept
    done = _Steps(
        carry.state,
        kept.pulls,
        reduce.empty_segment(lanes),
        reduce.empty_segment(tables.num_conditions, lanes) if block.drifts else None,
        kept.arms,
        kept.visits,
    )
    done = lax.fori_loop(
        0, steps, lambda i, s: step(block, start, rows, conditions, i, s), done
    )
    played = done.pulls - kept.pulls
    totals = reduce.close(kept.totals, done.sums, done.split, played, tables)
    pairs = (totals.pseudo_regret, totals.all_steps.realised_regret)
    regrets = jnp.stack([jnp.stack(pair) for pair in pairs])
    # Written at every segment; the one that ends at the checkpoint is last.
    put = lax.dynamic_update_index_in_dim
    recorded: Any = kept.rows
    if program.record_steps is not None:
        recorded = lax.dynamic_update_slice_in_dim(recorded, rows, start, 0)
    kept = Replayed(
        totals,
        done.pulls,
        put(kept.curves, regrets, schedule.row[number], 0),
        put(kept.best, totals.all_steps.best, schedule.row[number], 0),
        recorded,
        done.arms,
        done.visits,
    )
    condition = None if conditions is None else conditions[steps - 1]
    return _Carry(done.state, condition, kept)


def step(
    block: Block, start: Array, rows: Array, conditions: Any, i: Array, done: _Steps
) -> _Steps:
    """Plays one plan on one sample in every lane: select, learn, count."""
    tables, program = block.tables, block.program
    state, pulls, sums, split, arms, visits = done
    row, now = rows[i], start + i
    draw = jax.vmap(jax.random.fold_in, (0, None))(block.keys.draws, now)
    clock = jnp.maximum(now + 1 + block.numbers.clock_offset, 1)
    arm = program.selector.select(
        block.params, state, draw, Now(clock, _context(block, row))
    )
    arm = jnp.where(now < block.numbers.billed_plays, now, arm)
    seen = feedback(block, row, arm, own=False)
    state = program.selector.update(block.params, state, seen)
    cell = row * tables.num_plans + arm
    played = arm if conditions is None else conditions[i] * tables.num_plans + arm
    pulls = pulls + one_hot(played, pulls.shape[0]).astype(jnp.int32)
    added = reduce.one_step(tables, row, cell)
    sums = reduce.add_step(sums, added)
    if conditions is not None:
        split = reduce.add_under(split, added, conditions[i])
    if program.record_steps is not None:
        arms = lax.dynamic_update_index_in_dim(arms, arm, now, 0)
    if program.record_visits:
        paid = reduce.cost_number(gather(tables.cell, cell))
        lane = jnp.arange(block.num_lanes, dtype=jnp.int32)
        visits = visits.at[paid, lane].add(1, mode="promise_in_bounds")
    return _Steps(state, pulls, sums, split, arms, visits)


def feedback(block: Block, row: Array, arm: Array, *, own: bool) -> Feedback:
    """Returns what a policy sees after playing `arm` on the sample of `row`.

    Args:
        block: what is run.
        row: [lanes] int32 sample under a condition.
        arm: [lanes] int32 plan that was played.
        own: show only its own reward, whatever the policy's `reveal`.
    """
    tables = block.tables
    num_plans = tables.num_plans
    context = _context(block, row)
    lessons = tables.reward if tables.learned is None else tables.learned
    reward = gather(lessons, row * num_plans + arm)
    if tables.revealed is None or own:
        return Feedback(arm, reward, None, None, context)
    plans = jnp.arange(num_plans, dtype=jnp.int32)[:, None]
    rewards = gather(lessons, (row * num_plans)[None] + plans)
    revealed = gather_bits(tables.revealed, row * num_plans + arm, num_plans)
    return Feedback(arm, reward, rewards, revealed, context)


def free_play(block: Block, pass_keys: streams.Keys, arm: Array, played: Any) -> Any:
    """Initialises one arm on its sample of the stream, without charge."""
    state, condition = played
    position = jnp.minimum(arm, block.tables.num_samples - 1)
    row = _samples(block, position, pass_keys, ())
    if block.drifts:
        condition = _next_condition(block, arm, condition)
        row = condition * block.tables.num_samples + row
    lane_arm = jnp.broadcast_to(arm, (block.num_lanes,)).astype(jnp.int32)
    seen = feedback(block, row, lane_arm, own=True)
    return block.program.selector.update(block.params, state, seen), condition


def _start(block: Block) -> _Carry:
    """Returns what the first segment starts from, free plays done."""
    program, tables, lanes = block.program, block.tables, block.num_lanes
    record = program.record_steps
    buffer = None
    if record is not None:
        buffer = jnp.zeros((record + reduce.SEGMENT, lanes), jnp.int32)
    pass_keys = streams.pass_keys(block.keys.stream, 0)
    before = jnp.zeros(lanes, jnp.int32) if block.drifts else None
    state = program.selector.init(block.params, tables.num_plans, (lanes,))
    state, _ = lax.fori_loop(
        0,
        block.numbers.free_plays,
        lambda arm, played: free_play(block, pass_keys, arm, played),
        (state, before),
    )
    visits = None
    if program.record_visits:
        visits = jnp.zeros((tables.cost.size, lanes), jnp.int32)
    curve = (program.num_checkpoints, 2, 2, lanes)
    kept = Replayed(
        reduce.empty_totals(lanes, tables.num_conditions),
        jnp.zeros((tables.gap.size, lanes), jnp.int32),
        jnp.zeros(curve, jnp.result_type(float)),
        jnp.zeros((program.num_checkpoints, lanes), jnp.int32),
        buffer,
        buffer,
        visits,
    )
    return _Carry(state, before, kept)


def _samples(
    block: Block, position: Array, pass_keys: streams.Keys, shape: tuple[int, ...]
) -> Array:
    """Returns the samples at positions of a pass, [*shape, lanes] int32."""
    samples = streams.sample_at(
        block.program.stream, position, pass_keys, block.tables.num_samples
    )
    return jnp.broadcast_to(samples, (*shape, block.num_lanes))


def _rows(
    block: Block, start: Array, samples: Array, before: Any
) -> tuple[Array, Array | None]:
    """Returns the rows of a segment's steps, and the condition of each."""
    if not block.drifts:
        return samples, None

    def one(condition: Array, step: Array) -> tuple[Array, Array]:
        condition = _next_condition(block, step, condition)
        return condition, condition

    steps = start + jnp.arange(reduce.SEGMENT, dtype=jnp.int32)
    _, conditions = lax.scan(one, before, steps)
    return conditions * block.tables.num_samples + samples, conditions


def _next_condition(block: Block, step: Array, before: Array) -> Array:
    below = block.schedule.below[block.schedule.phase[step]]
    return streams.next_condition(step, before, below, block.keys.stream)


def _context(block: Block, row: Array) -> Array | None:
    tables = block.tables
    return None if tables.context is None else gather(tables.context, row)
