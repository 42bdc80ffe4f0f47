"""How long a step of each policy takes, beside UCB1's.

Here: the measurement behind `jsplit bench policies`. Not here: other ways to write the
engine (`bench`) or the networks (`bench_models`).
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from jsplit import checks
from jsplit.bench.engine import median_seconds
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Condition, Scenario
from jsplit.evaluation.evaluate import evaluate
from jsplit.policies.registry import REGISTRY
from jsplit.traces.trace import Trace

YARDSTICK = "ucb1"


@dataclasses.dataclass(frozen=True)
class Row:
    """The time of one policy."""

    policy: str
    nanoseconds: float  # per replica and step, all results included
    ratio: float  # times UCB1


def measure_policies(
    names: Sequence[str] | None = None,
    *,
    num_samples: int = 25_000,
    num_exits: int = 12,
    num_replicas: int = 4096,
    repeats: int = 3,
    seed: int = 0,
    report: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Returns the time of a step of each policy, compiled, shuffles included.

    Args:
        names: policies, all by default; UCB1 is measured first in any case.
        num_samples: N samples, also the steps of a run.
        num_exits: L exits.
        num_replicas: R replicas.
        repeats: timed runs, the median of which counts.
        seed: of the trace and of every replay, >= 0.
        report: called with every row as it is ready.
    """
    trace = answers_trace(num_samples, num_exits, seed=seed)
    costs = Costs.splitee(num_exits)
    # A second route, for the policies that choose one.
    scenario = Scenario({"": Condition(trace, costs, routes=((trace, costs),))})
    chosen = [checks.choice("policies", name, REGISTRY) for name in names or REGISTRY]
    rows: list[Row] = []

    def run(name: str) -> None:
        evaluate(scenario, [name], num_replicas=num_replicas, seed=seed)

    for name in [YARDSTICK, *(name for name in chosen if name != YARDSTICK)]:
        seconds = median_seconds(functools.partial(run, name), repeats)
        nanoseconds = seconds / (num_replicas * num_samples) * 1e9
        yardstick = rows[0].nanoseconds if rows else nanoseconds
        rows.append(Row(name, nanoseconds, nanoseconds / yardstick))
        report(rows[-1])
    return rows


def answers_trace(num_samples: int, num_exits: int, *, seed: int = 0) -> Trace:
    """Returns a trace with all that any policy looks at, surer with depth."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 4, num_samples)
    logits = rng.normal(size=(num_samples, num_exits, 4))
    sure = np.linspace(0.5, 4.0, num_exits)
    logits[np.arange(num_samples), :, label] += sure
    return Trace.from_logits(logits, label)
