"""How long a step of each policy takes, beside UCB1's.

Here: the measurement behind `jsplit bench policies`. Not here: other ways to write the
engine or the networks (`bench.rivals`).
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from jsplit import checks
from jsplit.bench.engine import median_seconds
from jsplit.bench.sizes import Replays
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Condition, Scenario
from jsplit.evaluation.evaluate import evaluate
from jsplit.policies.registry import REGISTRY
from jsplit.traces.trace import Trace

YARDSTICK = "ucb1"
DEFAULT = Replays()


@dataclasses.dataclass(frozen=True)
class Row:
    """The time of one policy."""

    policy: str
    nanoseconds: float  # per replica and step, all results included
    ratio: float  # times UCB1


def measure_policies(
    names: Sequence[str] = (),
    sizes: Replays = DEFAULT,
    *,
    report: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Returns the time of a step of each policy, compiled, shuffles included.

    Args:
        names: policies, none for all; UCB1 is measured first in any case.
        sizes: what is replayed, and how often.
        report: called with every row as it is ready.
    """
    trace = answers_trace(sizes.num_samples, sizes.num_exits, seed=sizes.seed)
    costs = Costs.splitee(sizes.num_exits)
    # A second route, for the policies that choose one.
    scenario = Scenario({"": Condition(trace, costs, routes=((trace, costs),))})
    chosen = [checks.choice("policies", name, REGISTRY) for name in names or REGISTRY]
    rows: list[Row] = []

    def run(name: str) -> None:
        replicas, seed = sizes.num_replicas, sizes.seed
        evaluate(scenario, [name], num_replicas=replicas, seed=seed)

    for name in [YARDSTICK, *(name for name in chosen if name != YARDSTICK)]:
        seconds = median_seconds(functools.partial(run, name), sizes.repeats)
        nanoseconds = seconds / (sizes.num_replicas * sizes.num_samples) * 1e9
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
