"""Speed of the engine against the ways such replays are usually written, in one run.

Here: a synthetic trace, times and ratios. Not here: the rivals (`bench.rivals`). A time
without its rival measured beside it says little, so every row is a ratio too.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from jsplit.bench.rivals import rival_replays
from jsplit.bench.sizes import Replays
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import bind, prepare
from jsplit.evaluation.evaluate import evaluate
from jsplit.policies.registry import make_policy
from jsplit.policies.splitee import ALPHA
from jsplit.traces.trace import Trace, confidences_of
from jsplit.types import Protocol

DEFAULT = Replays()


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
    sizes: Replays = DEFAULT, *, report: Callable[[Row], None] = lambda row: None
) -> list[Row]:
    """Times SplitEE and SplitEE-S, shuffles and all per-replica results included.

    Rivals: a Python loop over one replica as published, NumPy vectorised over replicas,
    and idiomatic JAX, `vmap(scan)` with `jax.random.permutation`, at the same number of
    replicas. Each is compiled or warmed up before it is timed; the median is kept.

    Args:
        sizes: what is replayed, and how often.
        report: called with every row as it is ready.

    Returns:
        One row per policy and way to replay it.
    """
    num_exits = sizes.num_exits
    trace = synthetic_trace(sizes.num_samples, num_exits, seed=sizes.seed)
    costs = Costs.splitee(num_exits)
    scenario = Scenario.of(trace, costs)
    ours = sizes.num_replicas * sizes.num_samples
    rows: list[Row] = []
    for name, side_information in (("splitee", False), ("splitee_s", True)):
        bound = bind([prepare(make_policy(name), scenario, Protocol())])
        rewards = np.asarray(bound.tables.reward).reshape(trace.correct.shape)
        shipped = confidences_of("trace", trace) < ALPHA
        shipped[:, -1] = False

        def jsplit(name: str = name) -> object:
            replicas, seed = sizes.num_replicas, sizes.seed
            return evaluate(trace, [name], costs, num_replicas=replicas, seed=seed)

        rivals = rival_replays(
            rewards, shipped, side_information, sizes.num_replicas, sizes.seed
        )
        yardstick = 0.0
        for how, (run, steps) in {"jsplit": (jsplit, ours), **rivals}.items():
            nanoseconds = median_seconds(run, sizes.repeats) / steps * 1e9
            yardstick = yardstick or nanoseconds
            rows.append(Row(name, how, nanoseconds, nanoseconds / yardstick))
            report(rows[-1])
    return rows


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Returns the median wall time of `repeats` runs, after one that warms up."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))
