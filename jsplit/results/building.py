"""What a run was, as labelled data: variables, units, provenance.

Here: from the sums of the engine to the data of a `Result`. Not here: what is
computed from them (`summary`), files (`files`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jsplit import stats
from jsplit.engine.settings import Run
from jsplit.engine.sums import Replicas
from jsplit.environment.drift import Chain
from jsplit.environment.scenario import Scenario
from jsplit.policies.base import Policy
from jsplit.results import bills, curves
from jsplit.results.bills import QUANTILES, Bill, Charges
from jsplit.types import Protocol
from jsplit.version import provenance

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


class Ran(NamedTuple):
    """One policy and what its replicas did."""

    policy: Policy
    replicas: Replicas
    gap: np.ndarray  # [M, K] mean reward of the condition's best plan minus a plan's
    bills: Mapping[str, Bill]  # by name; empty if none were asked for
    never_varies: bool  # the same in every replica, whatever their number
    possible: Mapping[str, tuple[float, float]]  # of one step, by metric


def build(
    ran: Sequence[Ran],
    scenario: Scenario,
    run: Run,
    *,
    charges: Charges | None = None,
    chain: Chain | None = None,
) -> Dataset:
    """Returns the runs of several policies as one labelled dataset.

    Args:
        ran: what happened, by policy.
        scenario: what was run on.
        run: how.
        charges: costs and deadlines of every bill; None if none were asked for.
        chain: of the scenario's conditions; None if there is one.
    """
    import xarray

    pulls = _pulls(ran, scenario.num_conditions)
    variables = {
        **_means(ran, scenario, run.horizon),
        **_regrets(ran, scenario, run),
        "pulls": (
            ("policy", "replica", "plan"),
            pulls.sum(2, dtype=np.int32),
            {"long_name": "how often each plan was played", "units": "steps"},
        ),
        **_steps(ran, scenario),
        **bills.variables({one.policy.label: one.bills for one in ran}),
    }
    coords: dict[str, Any] = {
        "policy": [one.policy.label for one in ran],
        "checkpoint": np.asarray(run.checkpoints, np.int32),
    }
    if scenario.num_conditions > 1:
        coords["condition"] = scenario.names
        variables["condition_pulls"] = (
            ("policy", "replica", "condition", "plan"),
            pulls,
            {"long_name": "the same by condition", "units": "steps"},
        )
        variables |= _by_condition(ran, scenario)
    if charges is not None:
        coords["bill"] = [*charges.costs]
        units = [costs[0][0].unit for costs in charges.costs.values()]
        coords["unit"] = "bill", units
        coords["quantile"] = list(QUANTILES)
    attributes = {
        **how_it_ran(scenario, run, chain),
        # As JSON: labels hold commas.
        "privileged": json.dumps([x.policy.label for x in ran if x.policy.privileged]),
        "never_vary": json.dumps([x.policy.label for x in ran if x.never_varies]),
        "possible": json.dumps({x.policy.label: x.possible for x in ran}),
        **bills.attributes(charges),
    }
    return xarray.Dataset(variables, coords, attributes)


def how_it_ran(
    scenario: Scenario, run: Run, chain: Chain | None = None
) -> dict[str, Any]:
    """Returns what was run and how, as stored in the attributes of a result.

    Args:
        scenario: what was run on.
        run: how.
        chain: of the scenario's conditions; None if there is one.
    """
    return {
        "stream": run.stream,
        "covers": _covers(scenario, run, chain),
        "num_replicas": run.num_replicas,
        "first_replica": run.first_replica,
        "orders_per_test_set": run.orders_per_test_set,
        "horizon": run.horizon,
        "seed": run.seed,
        **inputs(scenario, run.protocol),
    }


def build_exact(
    values: Mapping[str, Mapping[str, stats.Interval]],
    scenario: Scenario,
    protocol: Protocol,
    level: float,
) -> Dataset:
    """Returns the exact values of policies, by label and metric, with provenance."""
    import xarray

    table = np.array([[*by_metric.values()] for by_metric in values.values()])
    variables = {
        name: (("policy", "metric"), table[..., i])
        for i, name in enumerate(stats.Interval._fields)
    }
    coords = {"policy": [*values], "metric": [*next(iter(values.values()))]}
    covers = f"test-set error of one fixed rule on {scenario.num_samples} samples"
    attrs = {"covers": covers, "level": level, **inputs(scenario, protocol)}
    return xarray.Dataset(variables, coords, attrs)


def _stacked(ran: Sequence[Ran], field: str) -> np.ndarray:
    return np.stack([getattr(one.replicas, field) for one in ran])


def _pulls(ran: Sequence[Ran], num_conditions: int) -> np.ndarray:
    """Returns plays, [policy, replica, condition, plan], 0 beyond a policy's plans."""
    by_policy = [
        one.replicas.pulls.reshape(len(one.replicas.pulls), num_conditions, -1)
        for one in ran
    ]
    num_plans = max(pulls.shape[-1] for pulls in by_policy)
    whole = np.zeros((len(ran), *by_policy[0].shape[:2], num_plans), np.int32)
    for row, pulls in zip(whole, by_policy, strict=True):
        row[..., : pulls.shape[-1]] = pulls
    return whole


def _means(
    ran: Sequence[Ran], scenario: Scenario, horizon: int
) -> dict[str, tuple[Any, ...]]:
    """Returns means over the steps, [policy, replica]."""
    return {
        name: (
            ("policy", "replica"),
            _stacked(ran, field) / horizon,
            {"long_name": long, "units": units},
        )
        for name, field, long, units in (
            ("reward", "reward", "mean reward", reward_unit(scenario)),
            ("cost", "cost", "mean billed cost", scenario.first.costs.unit),
            ("accuracy", "correct", "accuracy", "fraction"),
            ("offloaded", "offloaded", "fraction offloaded", "fraction"),
        )
    }


def _regrets(
    ran: Sequence[Ran], scenario: Scenario, run: Run
) -> dict[str, tuple[Any, ...]]:
    """Returns regrets and best plays at the end, and their curves or moments."""
    found: dict[str, tuple[Any, ...]] = {}
    kept: dict[str, np.ndarray] = {}
    for name, field, long, units in (
        (
            "pseudo_regret",
            "pseudo_regret",
            "sum of mean-reward gaps to the best fixed plan",
            reward_unit(scenario),
        ),
        (
            "realised_regret",
            "realised_regret",
            "reward of the best fixed plan minus the policy's",
            reward_unit(scenario),
        ),
        ("best_played", "best", "steps at which no plan was better", "steps"),
    ):
        values = _stacked(ran, field)  # [policy, replica, checkpoint]
        told = {"long_name": long, "units": units}
        found[name] = ("policy", "replica"), values[..., -1], told
        kept[name] = values.swapaxes(1, 2)
    streams = stats.Streams(run.stream, run.orders_per_test_set)
    return found | curves.variables(kept, streams, keep=run.keep.curves)


def _steps(ran: Sequence[Ran], scenario: Scenario) -> dict[str, tuple[Any, ...]]:
    """Returns the sample, condition and plan of every step, if they were kept."""
    rows = ran[0].replicas.rows
    if rows is None:
        return {}
    step = ("replica", "step")
    condition, order = np.divmod(rows, scenario.num_samples)
    found: dict[str, tuple[Any, ...]] = {
        "order": (step, order, {"long_name": "sample of each step"}),
        "arm": (
            ("policy", *step),
            _stacked(ran, "arms"),
            {"long_name": "plan played at each step, from 0"},
        ),
    }
    if scenario.num_conditions > 1:
        told = {"long_name": "condition of each step, from 0"}
        found["condition_at"] = step, condition, told
    return found


def _by_condition(ran: Sequence[Ran], scenario: Scenario) -> dict[str, tuple[Any, ...]]:
    """Returns sums over the steps of each condition, [policy, replica, condition]."""
    found: dict[str, tuple[Any, ...]] = {}
    worth = reward_unit(scenario)

    def add(name: str, rows: list[Any], long: str, units: str) -> None:
        told = {"long_name": f"{long} under each condition", "units": units}
        found[name] = ("policy", "replica", "condition"), np.stack(rows), told

    for name, field, long, units in (
        ("reward_sum", "reward", "summed reward", worth),
        ("cost_sum", "cost", "summed billed cost", scenario.first.costs.unit),
        ("accuracy_sum", "correct", "right answers", "steps"),
        ("offloaded_sum", "offloaded", "offloaded samples", "steps"),
        ("realised_regret", "realised_regret", "realised regret", worth),
    ):
        rows = [getattr(one.replicas.by_condition, field) for one in ran]
        add(f"condition_{name}", rows, long, units)
    rows = []
    for one in ran:
        pulls = one.replicas.pulls
        rows.append((pulls.reshape(len(pulls), *one.gap.shape) * one.gap).sum(-1))
    add("condition_pseudo_regret", rows, "pseudo-regret", worth)
    return found


def _covers(scenario: Scenario, run: Run, chain: Chain | None) -> str:
    covers = stats.covers(run.stream, run.horizon, scenario.num_samples)
    if scenario.drift is None or chain is None:
        return covers
    how = "are drawn anew in every replica by" if chain.is_drawn else "follow"
    return f"{covers}; conditions {how} {scenario.drift.label}"


def inputs(scenario: Scenario, protocol: Protocol) -> dict[str, Any]:
    """Returns what a result came from, as stored in its attributes."""
    trace, costs = scenario.first.trace, scenario.first.costs
    changing = {}
    if scenario.drift is not None:
        changing["drift"] = scenario.drift.label
    if scenario.drift is not None or scenario.first.routes:
        by_route = {
            name: [
                {"trace_sha256": route.trace.sha256, **route.costs.numbers}
                for route in one.all_routes
            ]
            for name, one in scenario.conditions.items()
        }
        changing["conditions"] = json.dumps(by_route)
    return {
        "protocol": _protocol_name(protocol),
        "switches": json.dumps(protocol.switches()),
        "num_samples": trace.num_samples,
        "num_exits": trace.num_exits,
        "dataset": str(trace.meta.get("dataset", "unnamed")),
        "model": str(trace.meta.get("model", "unnamed")),
        "trace_sha256": trace.sha256,
        "rewarded_by": reward_unit(scenario),
        "cost_unit": costs.unit,
        "costs": json.dumps(costs.numbers),
        **changing,
        **provenance(),
    }


def reward_unit(scenario: Scenario) -> str:
    """Returns what a reward counts: confidence, or accuracy where none is known."""
    return "accuracy" if scenario.first.trace.confidence is None else "confidence"


def _protocol_name(protocol: Protocol) -> str:
    for name in ("paper", "released"):
        if protocol == Protocol.named(name):
            return name
    return "custom"
