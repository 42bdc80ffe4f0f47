"""Replays until the answer is sharp enough.

Here: `evaluate_until`, which runs replicas chunk by chunk. Not here: when to stop
(`stats.half_width`) and what a replica does (`evaluate`).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jsplit import checks, stats
from jsplit.engine import streams
from jsplit.engine.settings import MAX_REPLICAS, Keep
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.evaluation.binding import bind, prepare
from jsplit.evaluation.evaluate import (
    NUM_CHECKPOINTS,
    chosen_policies,
    make_run,
    replay_all,
)
from jsplit.evaluation.room import check_room
from jsplit.policies.base import Policy
from jsplit.results import bills as billing
from jsplit.results.metrics import METRICS, PER_REPLICA
from jsplit.results.result import Result
from jsplit.stats.base import open_unit
from jsplit.traces.trace import Trace
from jsplit.types import JsplitError, Protocol

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
    stream: streams.Kind = "shuffle",
    horizon: int | None = None,
    protocol: str | Protocol = "paper",
    seed: int = 0,
    keep_curves: bool = False,
    record_arms: bool = False,
    num_checkpoints: int = NUM_CHECKPOINTS,
    checkpoints: Sequence[int] | None = None,
    bills: Mapping[str, billing.BillCosts] | None = None,
    deadlines: Mapping[str, float] | None = None,
    block_size: int | None = None,
    devices: Sequence[Any] | None = None,
) -> Result:
    """Evaluates with as many replicas as it takes for intervals that are short enough.

    After every chunk of replicas the half-widths of all policies are looked at, and
    the run stops when all are at most as wanted, or at `max_replicas`. Replicas are
    numbered, so the result is that of `evaluate` with as many replicas at once. Its
    attribute "stopped" says why it ended. What shrinks is simulation error. Test-set
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
        stream: "shuffle" or "fixed".
        horizon: as for `evaluate`, and so are all arguments below.
        protocol: see there.
        seed: see there.
        keep_curves: see there.
        record_arms: see there.
        num_checkpoints: see there.
        checkpoints: see there.
        bills: see there.
        deadlines: see there.
        block_size: see there.
        devices: see there.

    Returns:
        The result of `evaluate`.

    Raises:
        JsplitError: if an argument is out of its range.
    """
    scenario = Scenario.of(trace, costs)
    charges = billing.checked(bills, deadlines, scenario, METRICS)
    chosen = chosen_policies(policies)
    _check_precision(half_width, charges)
    checks.choice("method", method, stats.METHODS)
    open_unit("level", level)
    if baseline is not None:
        checks.choice("baseline", baseline, [policy.label for policy in chosen])
    if stream == "bootstrap":
        raise JsplitError(
            "stream must be shuffle or fixed, since test-set error does not shrink "
            "with replicas, got 'bootstrap'"
        )
    max_replicas = checks.integer("max_replicas", max_replicas, 2, MAX_REPLICAS)
    chunk = checks.integer("chunk", chunk, 2)
    run = make_run(
        scenario,
        horizon=horizon,
        num_checkpoints=num_checkpoints,
        checkpoints=checkpoints,
        protocol=protocol,
        stream=stream,
        seed=seed,
        # All curves until the end: moments of all replicas at once are the same bits
        # however many chunks there were.
        keep=Keep(steps=record_arms, visits=charges is not None, curves=True),
        devices=devices,
        block_size=block_size,
    )
    prepared = [prepare(policy, scenario, run.protocol) for policy in chosen]
    bound = [bind([one]) for one in prepared]
    parts: list[Result] = []
    done = 0
    while True:
        size = min(chunk * 2 ** (len(parts) // MAX_CHUNKS), max_replicas - done)
        part = dataclasses.replace(run, num_replicas=size, first_replica=done)
        check_room(prepared, dataclasses.replace(part, num_replicas=done + size))
        parts.append(replay_all(bound, scenario, part, charges))
        done += size
        sharp = _is_sharp(parts, half_width, method, level, baseline)
        if sharp or done >= max_replicas:
            break
    result = Result.join(parts)
    reached = f"half-widths reached, method {method}"
    result = result if keep_curves else result.without_curves()
    return Result(
        result.data.assign_attrs(stopped=reached if sharp else "max_replicas reached")
    )


def _is_sharp(
    parts: Sequence[Result],
    half_width: Mapping[str, float],
    method: str,
    level: float,
    baseline: str | None,
) -> bool:
    """Tells whether all half-widths, or those of differences, are as wanted."""
    for metric, wanted in half_width.items():
        values = np.concatenate([part.metric(metric) for part in parts], axis=-1)
        if baseline is not None:
            values = values - values[parts[0].policies.index(baseline)]
        found = stats.half_width(values, level=level, method=method)
        if (found > wanted).any():
            return False
    return True


def _check_precision(half_width: Any, charges: billing.Charges | None) -> None:
    """Raises unless these are half-widths > 0 of metrics that there will be."""
    if not isinstance(half_width, Mapping) or not half_width:
        raise JsplitError(
            "half_width must be a dict of metric to half-width, such as "
            f"{{'accuracy': 0.001}}, got {checks.shown(half_width)}"
        )
    names = [*PER_REPLICA]
    if charges is not None:
        names += billing.metrics_of(charges.costs, charges.deadlines)
    for metric, wanted in half_width.items():
        checks.choice("half_width", metric, names)
        if checks.number(f"half_width of {metric}", wanted, 0.0) == 0:
            raise JsplitError(f"half_width of {metric} must be > 0, got {wanted}")
