"""Replays until the answer is sharp enough.

Here: `evaluate_until`, which runs replicas chunk by chunk. Not here: when to stop
(`stats.half_width`) and what a replica does (`evaluate`). Called by users.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jsplit import checks, stats
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.evaluate import MAX_REPLICAS, chosen_policies, evaluate
from jsplit.policies.base import Policy
from jsplit.results import bills, dataset
from jsplit.stats.base import open_unit
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError

MAX_CHUNKS = 20


def evaluate_until(
    trace: Trace | Scenario,
    policies: Sequence[str | Policy],
    costs: Costs | None = None,
    *,
    half_width: Mapping[str, float],
    method: str = "t",
    level: float = 0.95,
    baseline: str | None = None,
    chunk: int = 256,
    max_replicas: int = 65_536,
    **options: Any,
) -> "dataset.Dataset":
    """Evaluates with as many replicas as it takes for intervals that are short enough.

    After every chunk of replicas the half-widths of all policies are looked at, and
    the run stops when all are at most as wanted, or at `max_replicas`. Replicas are
    numbered, so the result is that of `evaluate` with as many replicas at once; its
    attribute "stopped" says why it ended. What shrinks is simulation error; test-set
    error does not, so stream="bootstrap" is refused.

    With method "t" report the usual interval: coverage is 93-97 % for nominal 95 %
    (experiments/coverage). With "anytime" the stopping rule uses a confidence sequence
    (`stats.confidence_sequence`), about 1.5 times as long, that holds at every look;
    the interval `summarize` then gives is the shorter t interval, which is safe
    because the run went on until the longer one was short enough.

    Args:
        trace: what the network says at every exit, or a `Scenario`.
        policies: as for `evaluate`.
        costs: costs for the L exits; none with a scenario.
        half_width: wanted half-width, > 0, by metric in its own unit, such as
            {"accuracy": 0.0005, "cost": 0.01}; with bills also those of theirs, such as
            "energy", "energy_p95" or "cost_late", see `summarize`.
        method: "t" or "anytime".
        level: probability that each interval covers, in (0, 1).
        baseline: label of a policy; the half-widths are then those of the paired
            differences to it, which are usually shorter.
        chunk: replicas between looks, >= 2; it doubles after every
            `MAX_CHUNKS` looks, since each look is a chance to stop too early.
        max_replicas: stop here in any case.
        **options: passed on to `evaluate`, without num_replicas and first_replica.

    Returns:
        The result of `evaluate`.

    Raises:
        JsplitError: for an argument out of its range.
    """
    names = [name for name in dataset.METRICS if name != "cost_change"]
    names += _metrics_of_bills(Scenario.of(trace, costs), options)
    _check(half_width, names, method, level, policies, baseline, options)
    max_replicas = checks.integer("max_replicas", max_replicas, 2, MAX_REPLICAS)
    chunk = checks.integer("chunk", chunk, 2)

    def sharp(result: dataset.Dataset) -> bool:
        labels = [str(label) for label in result.policy.values]
        for metric, wanted in half_width.items():
            values = dataset.per_replica(result, metric)
            if baseline is not None:
                values = values - values[labels.index(baseline)]
            found = stats.half_width(values, level=level, method=method)
            if (found > wanted).any():
                return False
        return True

    result = None
    done, looks = 0, 0
    while True:
        size = min(chunk * 2 ** (looks // MAX_CHUNKS), max_replicas - done)
        part = evaluate(
            trace, policies, costs, num_replicas=size, first_replica=done, **options
        )
        result = part if result is None else dataset.join([result, part])
        done, looks = done + size, looks + 1
        if sharp(result):
            return result.assign_attrs(stopped=f"half-widths reached, method {method}")
        if done >= max_replicas:
            return result.assign_attrs(stopped="max_replicas reached")


def _metrics_of_bills(scenario: Scenario, options: dict[str, Any]) -> list[str]:
    """Returns the metrics that the bills of these options will have."""
    given, deadlines = options.get("bills"), options.get("deadlines")
    if given is None and not deadlines:
        return []
    billed, late = bills.checked(given, deadlines, scenario, dataset.METRICS)
    return [*bills.metrics_of(billed, late)]


def _check(
    half_width: Any,
    names: list[str],
    method: str,
    level: float,
    policies: Any,
    baseline: str | None,
    options: dict[str, Any],
) -> None:
    """Raises for what `evaluate` does not check, before anything runs."""
    if not isinstance(half_width, Mapping) or not half_width:
        raise JsplitError(
            "half_width must be a dict of metric to half-width, such as "
            f"{{'accuracy': 0.001}}, got {checks.shown(half_width)}"
        )
    for metric, wanted in half_width.items():
        checks.choice("half_width", metric, names)
        if checks.number(f"half_width of {metric}", wanted, 0.0) == 0:
            raise JsplitError(f"half_width of {metric} must be > 0, got {wanted}")
    checks.choice("method", method, stats.METHODS)
    open_unit("level", level)
    if baseline is not None:
        labels = [policy.label for policy in chosen_policies(policies)]
        checks.choice("baseline", baseline, labels)
    if options.get("stream") == "bootstrap":
        raise JsplitError(
            "stream must be shuffle or fixed, since test-set error does not shrink "
            "with replicas, got 'bootstrap'"
        )
    for name in sorted({"num_replicas", "first_replica"} & options.keys()):
        raise JsplitError(f"{name} must not be given: the half-width decides")
