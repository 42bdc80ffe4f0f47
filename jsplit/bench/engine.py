"""Speed of the engine against the ways such replays are usually written, in one run.

Here: a synthetic trace, the rivals, and ratios. A time without its rival measured
beside it says little, so every row is a ratio too. Called by `jsplit bench`.
"""

import dataclasses
import functools
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import bind
from jsplit.evaluation.evaluate import evaluate
from jsplit.policies.registry import make_policy
from jsplit.traces.trace import Trace
from jsplit.types import Protocol

LOOP_STEPS = 3_000  # steps of the Python loop: one replica is plenty for a mean
NUMPY_REPLICAS = 1_000
NUMPY_STEPS = 300


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to replay one policy."""

    policy: str
    how: str
    nanoseconds: float  # wall time per replica and step
    ratio: float  # how many times longer than jsplit takes for the same policy


def synthetic_trace(num_samples: int, num_exits: int, *, seed: int = 0) -> Trace:
    """Returns a random trace whose confidence and accuracy grow with depth."""
    rng = np.random.default_rng(seed)
    depth = np.linspace(0.0, 0.45, num_exits)
    confidence = (0.5 * rng.beta(4, 2, (num_samples, num_exits)) + depth).clip(0, 1)
    correct = rng.random(confidence.shape) < confidence
    return Trace.from_arrays(confidence.astype(np.float32), correct=correct)


def measure_engine(
    *,
    num_samples: int = 25_000,
    num_exits: int = 12,
    num_replicas: int = 4_096,
    repeats: int = 3,
    seed: int = 0,
    report: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Times SplitEE and SplitEE-S, shuffles and all per-replica results included.

    Rivals: a Python loop over one replica as published, NumPy vectorised over replicas,
    and idiomatic JAX, `vmap(scan)` with `jax.random.permutation`, at the same number of
    replicas. Each is compiled or warmed up before it is timed; the median is kept.

    Args:
        num_samples: N samples, also the steps of a run.
        num_exits: L exits.
        num_replicas: R replicas.
        repeats: timed runs, the median of which counts.
        seed: of the trace and of every replay, >= 0.
        report: called with every row as it is ready.

    Returns:
        One row per policy and way.
    """
    trace = synthetic_trace(num_samples, num_exits, seed=seed)
    costs = Costs.splitee(num_exits)
    scenario = Scenario.of(trace, costs)
    rows = []
    for name, side_information in (("splitee", False), ("splitee_s", True)):
        rewards = np.asarray(
            bind(make_policy(name), scenario, Protocol()).tables.reward
        ).reshape(num_samples, num_exits)
        shipped = trace.confidence < 0.7
        shipped[:, -1] = False
        ways = _ways(
            trace, name, costs, rewards, shipped, side_information, num_replicas, seed
        )
        ours = 0.0
        for how, (run, steps) in ways.items():
            nanoseconds = median_seconds(run, repeats) / steps * 1e9
            ours = ours or nanoseconds
            rows.append(Row(name, how, nanoseconds, nanoseconds / ours))
            report(rows[-1])
    return rows


def _ways(
    trace: Trace,
    name: str,
    costs: Costs,
    rewards: np.ndarray,
    shipped: np.ndarray,
    side_information: bool,
    num_replicas: int,
    seed: int,
) -> dict[str, tuple[Callable[[], object], int]]:
    """Returns, for every way to replay, a function and how many steps it walks."""
    num_samples = trace.num_samples

    def jsplit() -> object:
        return evaluate(trace, [name], costs, num_replicas=num_replicas, seed=seed)

    def idiomatic_jax() -> object:
        keys = jax.random.split(jax.random.key(seed), num_replicas)
        tables = jnp.asarray(rewards), jnp.asarray(shipped)
        return jax.block_until_ready(_idiomatic_jax(*tables, keys, side_information))

    def numpy_over_replicas() -> object:
        return _numpy_over_replicas(rewards, shipped, side_information, seed)

    def python_loop() -> object:
        return _python_loop(rewards, shipped, side_information, seed)

    return {
        "jsplit": (jsplit, num_replicas * num_samples),
        "idiomatic JAX": (idiomatic_jax, num_replicas * num_samples),
        "NumPy over replicas": (numpy_over_replicas, NUMPY_REPLICAS * NUMPY_STEPS),
        "Python loop": (python_loop, LOOP_STEPS),
    }


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Returns the median wall time of `repeats` runs, after one that warms up."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


@functools.partial(jax.jit, static_argnums=3)
def _idiomatic_jax(
    rewards: Array, shipped: Array, keys: Array, side_information: bool
) -> tuple[Array, ...]:
    """Returns mean reward, fraction shipped and pulls, as one would first write it."""
    num_samples, num_exits = rewards.shape
    arms = jnp.arange(num_exits)

    def one_replica(key: Array) -> tuple[Array, ...]:
        def step(state, sample):
            mean, count, t = state
            bonus = jnp.sqrt(jnp.log(t) / jnp.maximum(count, 1))
            arm = jnp.argmax(jnp.where(count == 0, jnp.inf, mean + bonus))
            if side_information:
                row, ship = rewards[sample], shipped[sample]
                known = (arms <= arm) & (~ship | ship[arm] | (arm == num_exits - 1))
                count = count + known
                mean = jnp.where(known, mean + (row - mean) / count, mean)
            else:
                count = count.at[arm].add(1)
                change = (rewards[sample, arm] - mean[arm]) / count[arm]
                mean = mean.at[arm].add(change)
            return (mean, count, t + 1), (
                rewards[sample, arm],
                shipped[sample, arm],
                arm,
            )

        order = jax.random.permutation(key, num_samples)
        start = (jnp.zeros(num_exits), jnp.zeros(num_exits), jnp.float32(1))
        _, (reward, ship, arm) = lax.scan(step, start, order)
        return reward.mean(), ship.mean(), jnp.bincount(arm, length=num_exits)

    return jax.vmap(one_replica)(keys)


def _numpy_over_replicas(
    rewards: np.ndarray, shipped: np.ndarray, side_information: bool, seed: int
) -> np.ndarray:
    num_samples, num_exits = rewards.shape
    rng = np.random.default_rng(seed)
    replicas, arms = np.arange(NUMPY_REPLICAS), np.arange(num_exits)
    shape = (NUMPY_REPLICAS, num_exits)
    mean, count, total = np.zeros(shape), np.zeros(shape), np.zeros(NUMPY_REPLICAS)
    # A shuffle of as many elements as are walked: its cost per step is what counts.
    orders = np.stack([rng.permutation(NUMPY_STEPS) for _ in replicas]) % num_samples
    for t in range(1, NUMPY_STEPS + 1):
        sample = orders[:, t - 1]
        if t <= num_exits:
            arm = np.full(NUMPY_REPLICAS, t - 1)
        else:
            arm = (mean + np.sqrt(np.log(t) / np.maximum(count, 1))).argmax(1)
        if side_information:
            ship = shipped[sample]
            ours = ship[replicas, arm] | (arm == num_exits - 1)
            known = (arms <= arm[:, None]) & (~ship | ours[:, None])
            count += known
            gain = (rewards[sample] - mean) / np.maximum(count, 1)
            mean += np.where(known, gain, 0)
        else:
            count[replicas, arm] += 1
            gain = rewards[sample, arm] - mean[replicas, arm]
            mean[replicas, arm] += gain / count[replicas, arm]
        total += rewards[sample, arm]
    return total


def _python_loop(
    rewards: np.ndarray, shipped: np.ndarray, side_information: bool, seed: int
) -> float:
    num_samples, num_exits = rewards.shape
    order = np.random.default_rng(seed).permutation(num_samples)
    mean, count, total = np.zeros(num_exits), np.zeros(num_exits), 0.0
    for t in range(1, LOOP_STEPS + 1):
        sample = order[(t - 1) % num_samples]
        if t <= num_exits:
            arm = t - 1
        else:
            arm = int(np.argmax(mean + np.sqrt(np.log(t) / np.maximum(count, 1))))
        shallower = range(arm + 1) if side_information else (arm,)
        final_known = shipped[sample, arm] or arm == num_exits - 1
        for j in shallower:
            if j == arm or not shipped[sample, j] or final_known:
                count[j] += 1
                mean[j] += (rewards[sample, j] - mean[j]) / count[j]
        total += rewards[sample, arm]
    return total
