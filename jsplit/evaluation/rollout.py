"""One replica as a pure function, for the transformations of JAX.

Here: `rollout`, the keys of its replicas, and the rule by which a batch of keys becomes
the lanes of the engine. Not here: thousands of replicas with checks, exact means and
provenance (`evaluate`).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jsplit import checks
from jsplit.engine import replay, streams
from jsplit.engine.layout import CPU_LANES, VECTOR
from jsplit.engine.reduce import Pair
from jsplit.engine.schedule import Numbers, Schedule, make_numbers, make_schedule
from jsplit.engine.settings import (
    MAX_INDEX,
    MAX_REPLICAS,
    MAX_STEPS,
    NUM_CHECKPOINTS,
    Run,
    log_spaced,
    with_end,
)
from jsplit.engine.tables import Tables, flat
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Route, check_inputs
from jsplit.evaluation import tabulating
from jsplit.evaluation.binding import setting_of
from jsplit.evaluation.tabulating import Kind, Setting
from jsplit.policies.base import Policy
from jsplit.policies.registry import parse_policy
from jsplit.seeds import key_of, partitionable
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Protocol


class ReplicaKey(NamedTuple):
    """What fixes a replica: one of `evaluate`'s, from `replica_keys`."""

    order: Array  # [] typed key: of the order of the samples
    test_set: Array  # [] typed key: of the resampled test set of a bootstrap
    draws: Array  # [] typed key: of what the policy draws


class Rollout(NamedTuple):
    """What happened to one replica; arrays of the working precision."""

    reward: Array  # [] mean over the steps
    cost: Array  # [] mean over the steps
    accuracy: Array  # [] share of the steps answered correctly
    offloaded: Array  # [] share of the steps shipped
    pseudo_regret: Array  # [] after the last step, from mean rewards
    realised_regret: Array  # [] after the last step, from rewards
    pulls: Array  # [K] int32: how often each plan was played
    order: Array | None  # [T] int32: the sample of every step, if asked for
    arm: Array | None  # [T] int32: the plan of every step, from 0, if asked for


@partitionable
def replica_keys(seed: int, first: int, number: int) -> ReplicaKey:
    """Returns the keys of replicas first, ..., first + number - 1 of `evaluate`.

    Args:
        seed: as for `evaluate`.
        first: number of the first replica, >= 0.
        number: how many, >= 1.

    Returns:
        A pytree whose leaves have a leading axis [number], to be mapped over.

    Raises:
        JsplitError: if an argument is out of its range.

    Example:
        >>> replica_keys(0, 0, 8).order.shape
        (8,)
    """
    first = checks.integer("first", first, 0, MAX_INDEX // 2)
    number = checks.integer("number", number, 1, MAX_REPLICAS)
    replicas = first + np.arange(number, dtype=np.int32)
    return _replica_keys(key_of(checks.seed(seed)), replicas)


@jax.jit
def _replica_keys(key: Array, replicas: Array) -> ReplicaKey:
    stream, draws = jax.random.split(key)
    fold = jax.vmap(jax.random.fold_in, (None, 0))
    return ReplicaKey(
        fold(stream, replicas),
        fold(stream, replicas - replicas % streams.ORDERS),
        fold(draws, replicas),
    )


@partitionable
def rollout(
    policy: str | Policy,
    trace: Trace,
    costs: Costs,
    key: Any,
    *,
    horizon: int | None = None,
    stream: streams.Kind = "shuffle",
    protocol: str | Protocol = "paper",
    record_arms: bool = False,
) -> Rollout:
    """Runs one replica of a policy, as a pure function that JAX can transform.

    Numbers of the policy, costs, trace and key may be traced: `jax.vmap` over any of
    them, `jax.jit`, `jax.lax.scan` and `jax.shard_map` work. A traced value is never
    looked at; what is not traced is checked. To trace numbers of a policy, make it
    inside: `make_policy("splitee", alpha=alpha)`. A batch of keys alone runs fastest.

    With the keys of `replica_keys` these are the replicas of `evaluate`: the same
    arms, and means within rounding, since `evaluate` adds up in float64.

    Args:
        policy: a name, a label such as "fixed_split(depth=3)" or a policy.
        trace: what the network says at every exit, N samples, L exits.
        costs: costs for the L exits.
        key: one of `replica_keys`, or any key of `jax.random`.
        horizon: T >= 1 steps, N by default; fixes the program.
        stream: as for `evaluate`.
        protocol: "paper", "released" or a `Protocol`.
        record_arms: also return the sample and the plan of every step.

    Returns:
        Means over the T steps, regret after them and plays of each of K plans.

    Raises:
        JsplitError: if an argument is out of its range.

    Example:
        >>> import jax
        >>> import jsplit
        >>> trace, costs = jsplit.sample_trace("digits"), jsplit.Costs.splitee(6)
        >>> def reward(beta, key):
        ...     policy = jsplit.make_policy("splitee", beta=beta)
        ...     return jsplit.rollout(policy, trace, costs, key, horizon=50).reward
        >>> over_keys = jax.vmap(reward, (None, 0))
        >>> over_both = jax.jit(jax.vmap(over_keys, (0, None)))
        >>> over_both(jax.numpy.array([0.5, 1.0]), jsplit.replica_keys(0, 0, 8)).shape
        (2, 8)
    """
    policy = parse_policy(policy) if isinstance(policy, str) else policy
    check_inputs(trace, costs)
    checks.choice("stream", stream, streams.KINDS)
    protocol = Protocol.named(protocol)
    horizon = trace.num_samples if horizon is None else horizon
    horizon = checks.integer("horizon", horizon, 1, MAX_STEPS)
    kind, setting = setting_of(policy, [[Route(trace, costs)]], protocol)
    return _rollout(kind, stream, horizon, record_arms, setting, _as_replica_key(key))


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _rollout(
    kind: Kind,
    stream: streams.Kind,
    horizon: int,
    record_arms: bool,
    setting: Setting,
    key: ReplicaKey,
) -> Rollout:
    tabulated = tabulating.tabulate(kind, setting)
    tables = tabulating.compare(tabulated, *tabulating.gaps(tabulated))
    # The segments of `evaluate`, so that sums in the working precision are the same.
    steps = with_end(log_spaced(horizon, NUM_CHECKPOINTS), horizon)
    run = Run(horizon, steps, 1, stream=stream, protocol=kind.protocol)
    schedule = make_schedule(run, tables.num_samples)
    plays = tables.num_plans if kind.selector.initial_plays else 0
    program = replay.Program(
        kind.selector, stream, len(steps), horizon if record_arms else None, False
    )
    numbers = make_numbers(kind.protocol, plays)
    generator = jax.random.key_impl(key.draws)
    replayed = _lanes(program, schedule, numbers, generator)
    data = jax.tree.map(jax.random.key_data, key)
    one = jax.tree.map(lambda leaf: leaf[None], (tabulated.params, tables, data))
    done = replayed(*one)
    return _closed(jax.tree.map(lambda leaf: leaf[0, 0], done), horizon)


def _lanes(
    program: replay.Program, schedule: Schedule, numbers: Numbers, generator: Any
) -> Any:
    """Returns what runs a block, and how it is mapped over.

    It takes params and tables, leaves [settings, ...], and keys, leaves [lanes, ...],
    and returns leaves [settings, lanes, ...]. Mapped over keys it runs more lanes, and
    mapped over anything else more settings.
    """

    def run(params: Any, tables: Tables, keys: ReplicaKey) -> replay.Replayed:
        wrap = functools.partial(jax.random.wrap_key_data, impl=generator)
        order, test_set, draws = jax.tree.map(wrap, keys)
        num_settings, num_conditions, _ = tables.gap.shape
        num_samples = tables.comparator.size // (num_settings * num_conditions)

        def stream_keys(keys: Array) -> streams.Keys:
            one = lambda key: streams.replica_keys(key, num_samples)  # noqa: E731
            return jax.vmap(one, 0, -1)(keys)

        stream = stream_keys(order)._replace(resample=stream_keys(test_set).resample)
        block = replay.Block(
            program,
            params,
            jnp.arange(num_settings, dtype=jnp.int32),
            flat(tables),
            jax.tree.map(jnp.asarray, schedule),
            numbers,
            replay.ReplicaKeys(stream, draws),
        )
        last = jnp.int32(schedule.start.size)
        done = replay.run(block, jnp.int32(0), last, replay.start(block)).kept
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 1), done)

    replayed = jax.custom_batching.custom_vmap(run)

    @replayed.def_vmap
    def _(size: int, batched: Any, params: Any, tables: Tables, keys: ReplicaKey):
        *of_settings, of_keys = (any(jax.tree.leaves(one)) for one in batched)
        given = (params, tables, keys)
        if any(of_settings) and of_keys:
            axes = jax.tree.map(lambda is_in: 0 if is_in else None, batched)
            done = jax.vmap(run, tuple(axes), axis_size=size)(*given)
            return done, jax.tree.map(lambda _: True, done)

        def all_mapped(tree: Any, is_mapped: Any) -> Any:
            """Returns the leaves with the mapped axis and the next one as one axis."""

            def one(leaf: Array, is_in: bool) -> Array:
                leaf = leaf if is_in else jnp.broadcast_to(leaf, (size, *leaf.shape))
                return leaf.reshape(-1, *leaf.shape[2:])

            return jax.tree.map(one, tree, is_mapped)

        if of_keys:
            done = _in_blocks(replayed, params, tables, all_mapped(keys, batched[2]))
            split = lambda x: x.reshape(len(x), size, -1, *x.shape[2:])  # noqa: E731
            done = jax.tree.map(lambda x: jnp.moveaxis(split(x), 1, 0), done)
        else:
            params, tables = all_mapped((params, tables), tuple(batched[:2]))
            done = replayed(params, tables, keys)
            done = jax.tree.map(lambda x: x.reshape(size, -1, *x.shape[1:]), done)
        return done, jax.tree.map(lambda _: True, done)

    return replayed


def _in_blocks(
    replayed: Any, params: Any, tables: Tables, keys: ReplicaKey
) -> replay.Replayed:
    """Runs all lanes, in turns of as many as suit a CPU."""
    lanes = keys.draws.shape[0]
    if lanes <= CPU_LANES or jax.default_backend() != "cpu":
        return replayed(params, tables, keys)
    blocks = -(-lanes // CPU_LANES)
    size = -(-lanes // (blocks * VECTOR)) * VECTOR
    number = np.minimum(np.arange(blocks * size), lanes - 1)
    cut = jax.tree.map(lambda x: x[number].reshape(blocks, size, *x.shape[1:]), keys)
    done = lax.map(lambda block: replayed(params, tables, block), cut)

    def joined(leaf: Array) -> Array:
        leaf = jnp.moveaxis(leaf, 0, 1)  # [settings, blocks, size, ...]
        return leaf.reshape(len(leaf), -1, *leaf.shape[3:])[:, :lanes]

    return jax.tree.map(joined, done)


def _closed(done: replay.Replayed, horizon: int) -> Rollout:
    sums = done.totals.all_steps

    def total(pair: Pair) -> Array:
        return pair.high + pair.low

    steps = jnp.asarray(horizon, sums.reward.high.dtype)
    return Rollout(
        total(sums.reward) / steps,
        total(sums.cost) / steps,
        sums.correct / steps,
        sums.offloaded / steps,
        total(done.totals.pseudo_regret),
        total(sums.realised_regret),
        done.pulls,
        None if done.rows is None else done.rows[:horizon],
        None if done.arms is None else done.arms[:horizon],
    )


def _as_replica_key(key: Any) -> ReplicaKey:
    if isinstance(key, ReplicaKey):
        return key
    if not isinstance(key, jax.Array) or not jnp.issubdtype(
        key.dtype, jax.dtypes.prng_key
    ):
        raise JsplitError(
            "key must be one of jsplit.replica_keys or a key of jax.random.key, got "
            f"{checks.shown(key)}"
        )
    order, test_set, draws = jax.random.split(key, 3)
    return ReplicaKey(order, test_set, draws)
