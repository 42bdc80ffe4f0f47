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
from jsplit.policies.base import Selector
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
    """Everything that stays the same while a block runs: G settings x its replicas.

    Attributes:
        program: what is compiled in.
        params: numbers of the selector, leaves [G, ...].
        settings: [G] int32, numbers of the settings.
        tables: outcomes of the plans of all settings, see `tables.flat`.
        schedule: segments of the T steps.
        numbers: what the protocol asks of the loop.
        keys: of the replicas, one for every lane, the same for all settings.
    """

    program: Program
    params: Any
    settings: Array
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


class Carry(NamedTuple):
    """What a segment hands to the next."""

    state: Any  # leaves [G, ...]
    condition: Any  # [lanes] int32 of the step before, None if there is one condition
    kept: Replayed  # leaves [G, ...]


class _Setting(NamedTuple):
    """One setting of a block."""

    number: Array  # [] int32
    params: Any


class _Steps(NamedTuple):
    """What a step of one setting hands to the next, within a segment."""

    state: Any
    plays: Array  # of the segment, see `reduce.no_plays`
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


def start(block: Block) -> Carry:
    """Returns what the first segment starts from, free plays done."""
    program, tables, lanes = block.program, block.tables, block.num_lanes
    num_conditions = tables.num_conditions
    before = jnp.zeros(lanes, jnp.int32) if block.drifts else None

    def first_state(setting: _Setting) -> Any:
        state = program.selector.init(setting.params, tables.num_plans, (lanes,))
        pass_keys = streams.pass_keys(block.keys.stream, 0)
        state, _ = lax.fori_loop(
            0,
            block.numbers.free_plays,
            lambda arm, played: free_play(block, setting, pass_keys, arm, played),
            (state, before),
        )
        return state

    state = jax.vmap(first_state)(_settings(block))
    group = block.settings.size
    recorded = visits = None
    if program.record_steps is not None:
        steps = program.record_steps + reduce.SEGMENT
        recorded = jnp.zeros((group, steps, lanes), jnp.int32)
    if program.record_visits:
        visits = jnp.zeros((group, tables.num_costs, lanes), jnp.int32)
    curve = (group, program.num_checkpoints, 2, 2, lanes)
    kept = Replayed(
        reduce.empty_totals(group, num_conditions, lanes),
        jnp.zeros((group, num_conditions * tables.num_plans, lanes), jnp.int32),
        jnp.zeros(curve, jnp.result_type(float)),
        jnp.zeros((group, program.num_checkpoints, lanes), jnp.int32),
        recorded,
        recorded,
        visits,
    )
    return Carry(state, before, kept)


def run(block: Block, first: Array, last: Array, carry: Carry) -> Carry:
    """Runs the segments `first` to `last`, that one excluded.

    What a lane does depends on its own keys and setting alone, so results do not change
    with how replicas and settings are grouped, or where a run is cut.
    """
    passes = block.schedule.passes

    def one_pass(number: Array, carry: Carry) -> Carry:
        pass_keys = streams.pass_keys(block.keys.stream, number)
        return lax.fori_loop(
            jnp.maximum(first, passes[number]),
            jnp.minimum(last, passes[number + 1]),
            lambda n, c: segment(block, pass_keys, n, c),
            carry,
        )

    # Passes that end after segment `first` and begin before `last`.
    begins = (passes[1:] <= first).sum(dtype=jnp.int32)
    ends = (passes[:-1] < last).sum(dtype=jnp.int32)
    return lax.fori_loop(begins, ends, one_pass, carry)


def segment(
    block: Block, pass_keys: streams.Keys, number: Array, carry: Carry
) -> Carry:
    """Runs the steps of one segment and closes its sums.

    The samples and conditions of its steps are those of every setting.
    """
    tables, schedule, program = block.tables, block.schedule, block.program
    first, steps = schedule.start[number], schedule.steps[number]
    position = first % tables.num_samples + jnp.arange(reduce.SEGMENT, dtype=jnp.int32)
    # The last rows may lie beyond the pass; they are never read.
    position = jnp.minimum(position, tables.num_samples - 1)
    samples = _samples(block, position[:, None], pass_keys, (reduce.SEGMENT,))
    rows, conditions = _rows(block, first, samples, carry.condition)
    lanes, kept = block.num_lanes, carry.kept

    def one_setting(
        setting: _Setting, state: Any, kept: Replayed
    ) -> tuple[_Steps, Array, reduce.Totals]:
        done = _Steps(
            state,
            reduce.no_plays(kept.pulls.shape[0], lanes),
            reduce.empty_segment(lanes),
            reduce.empty_segment(tables.num_conditions, lanes)
            if block.drifts
            else None,
            kept.arms,
            kept.visits,
        )
        done = lax.fori_loop(
            0,
            steps,
            lambda i, s: step(block, setting, first, rows, conditions, i, s),
            done,
        )
        plays = reduce.plays_of(done.plays, kept.pulls.shape[0])
        gap = tables.gap[setting.number]
        totals = reduce.close(kept.totals, done.sums, done.split, plays, gap)
        return done, kept.pulls + plays, totals

    done, pulls, totals = jax.vmap(one_setting)(_settings(block), carry.state, kept)
    pairs = (totals.pseudo_regret, totals.all_steps.realised_regret)
    regrets = jnp.stack([jnp.stack(pair, 1) for pair in pairs], 1)
    # Written at every segment; the one that ends at the checkpoint is last.
    put = lax.dynamic_update_index_in_dim
    recorded: Any = kept.rows
    if program.record_steps is not None:
        here = jnp.broadcast_to(rows, (block.settings.size, *rows.shape))
        recorded = lax.dynamic_update_slice_in_dim(recorded, here, first, 1)
    kept = Replayed(
        totals,
        pulls,
        put(kept.curves, regrets, schedule.row[number], 1),
        put(kept.best, totals.all_steps.best, schedule.row[number], 1),
        recorded,
        done.arms,
        done.visits,
    )
    condition = None if conditions is None else conditions[steps - 1]
    return Carry(done.state, condition, kept)


def step(
    block: Block,
    setting: _Setting,
    first: Array,
    rows: Array,
    conditions: Any,
    i: Array,
    done: _Steps,
) -> _Steps:
    """Plays one plan on one sample in every lane: select, learn, count."""
    tables, program = block.tables, block.program
    state, plays, sums, split, arms, visits = done
    row, now = tables.first_row(setting.number) + rows[i], first + i
    draw = jax.vmap(jax.random.fold_in, (0, None))(block.keys.draws, now)
    clock = jnp.maximum(now + 1 + block.numbers.clock_offset, 1)
    arm = program.selector.select(
        setting.params, state, draw, Now(clock, _context(block, row))
    )
    arm = jnp.where(now < block.numbers.billed_plays, now, arm)
    seen = feedback(block, row, arm, own=False)
    state = program.selector.update(setting.params, state, seen)
    cell = row * tables.num_plans + arm
    played = arm if conditions is None else conditions[i] * tables.num_plans + arm
    plays = reduce.add_play(plays, played)
    added = reduce.one_step(tables, setting.number, row, cell)
    sums = reduce.add_step(sums, added)
    if conditions is not None:
        split = reduce.add_under(split, added, conditions[i])
    if program.record_steps is not None:
        arms = lax.dynamic_update_index_in_dim(arms, arm, now, 0)
    if program.record_visits:
        paid = reduce.cost_number(gather(tables.cell, cell))
        lane = jnp.arange(block.num_lanes, dtype=jnp.int32)
        visits = visits.at[paid, lane].add(1, mode="promise_in_bounds")
    return _Steps(state, plays, sums, split, arms, visits)


def feedback(block: Block, row: Array, arm: Array, *, own: bool) -> Feedback:
    """Returns what a policy sees after playing `arm` on the sample of `row`.

    Args:
        block: what is run.
        row: [lanes] int32 sample under a condition of a setting.
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


def free_play(
    block: Block, setting: _Setting, pass_keys: streams.Keys, arm: Array, played: Any
) -> Any:
    """Initialises one arm on its sample of the stream, without charge."""
    tables = block.tables
    state, condition = played
    position = jnp.minimum(arm, tables.num_samples - 1)
    row = _samples(block, position, pass_keys, ())
    if block.drifts:
        condition = _next_condition(block, arm, condition)
        row = condition * tables.num_samples + row
    lane_arm = jnp.broadcast_to(arm, (block.num_lanes,)).astype(jnp.int32)
    row = tables.first_row(setting.number) + row
    seen = feedback(block, row, lane_arm, own=True)
    return block.program.selector.update(setting.params, state, seen), condition


def _settings(block: Block) -> _Setting:
    """Returns the settings of a block, leaves [G, ...]."""
    return _Setting(block.settings, block.params)


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
