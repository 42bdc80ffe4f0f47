"""Results as labelled arrays: schema, provenance, files.

Here: what a result holds. Not here: the summary table (`summary`), how intervals are
computed (`stats`) or shown (`report`). xarray is known here and in `summary` only.
"""

import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks, stats
from jsplit.engine import streams
from jsplit.engine.shard import Replicas
from jsplit.environment.costs import Costs
from jsplit.environment.scenario import Scenario
from jsplit.policies.base import Policy
from jsplit.results import bills
from jsplit.results.bills import QUANTILES, Bill
from jsplit.types import JsplitError, Protocol
from jsplit.version import provenance
from jsplit.writing import replacing

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

METRICS = (
    "accuracy",
    "cost",
    "cost_change",
    "offloaded",
    "reward",
    "true_reward",
    "pseudo_regret",
    "realised_regret",
)
FORMAT = "jsplit-result"


def build(
    runs: Mapping[str, Replicas],
    gaps: Mapping[str, np.ndarray],
    checkpoints: np.ndarray,
    horizon: int,
    *,
    charged: Mapping[str, Mapping[str, Bill]],
    billed: Mapping[str, Sequence[Sequence[Costs]]] | None,
    deadlines: Mapping[str, float],
    scenario: Scenario,
    policies: Sequence[Policy],
    protocol: Protocol,
    stream: str,
    seed: int,
    first_replica: int = 0,
) -> Dataset:
    """Returns the runs of several policies as one labelled dataset.

    Args:
        runs: what happened, by policy.
        gaps: [M, K] by policy, mean reward of the condition's best plan minus that of
            every plan.
        checkpoints: steps at which regret was kept.
        horizon: T.
        charged: what was paid, by policy and bill.
        billed: costs of every bill by condition and route; None if none were asked for.
        deadlines: by bill.
        scenario: what was run on.
        policies: what was run.
        protocol: how.
        stream: on which kind of stream.
        seed: of the streams.
        first_replica: number of the first replica.
    """
    import xarray

    first = next(iter(runs.values()))
    num_conditions, unit = scenario.num_conditions, scenario.first.costs.unit
    mean = ("policy", "replica")
    curve = ("policy", "checkpoint", "replica")

    def stacked(field: str) -> np.ndarray:
        return np.stack([getattr(run, field) for run in runs.values()])

    num_plans = max(run.pulls.shape[1] for run in runs.values()) // num_conditions
    shape = (len(runs), first.reward.size, num_conditions, num_plans)
    pulls = np.zeros(shape, np.int32)
    for row, run in zip(pulls, runs.values(), strict=True):
        own = run.pulls.reshape(len(row), num_conditions, -1)
        row[..., : own.shape[-1]] = own
    variables: dict[str, tuple[Any, ...]] = {
        name: (mean, stacked(name) / horizon, {"long_name": long, "units": units})
        for name, long, units in (
            ("reward", "mean reward", "confidence"),
            ("cost", "mean billed cost", unit),
            ("correct", "accuracy", "fraction"),
            ("offloaded", "fraction shipped", "fraction"),
        )
    }
    variables["pulls"] = (
        ("policy", "replica", "plan"),
        pulls.sum(2, dtype=np.int32),
        {"long_name": "how often each plan was played", "units": "steps"},
    )
    if num_conditions > 1:
        variables["condition_pulls"] = (
            ("policy", "replica", "condition", "plan"),
            pulls,
            {"long_name": "the same by condition", "units": "steps"},
        )
        variables |= _by_condition(runs, gaps, unit)
    for name, long in (
        ("pseudo_regret", "sum of mean-reward gaps to the best fixed plan"),
        ("realised_regret", "reward of the best fixed plan minus the policy's"),
    ):
        values = stacked(name).swapaxes(1, 2)
        variables[name] = (curve, values, {"long_name": long, "units": "confidence"})
    variables["best_played"] = (
        curve,
        stacked("best").swapaxes(1, 2),
        {"long_name": "steps so far at which no plan was better", "units": "steps"},
    )
    if first.rows is not None:
        step = ("replica", "step")
        condition, order = np.divmod(first.rows, scenario.num_samples)
        variables["order"] = (step, order, {"long_name": "sample of each step"})
        if num_conditions > 1:
            told = {"long_name": "condition of each step, from 0"}
            variables["condition_at"] = (step, condition, told)
        variables["arm"] = (
            ("policy", *step),
            stacked("arms"),
            {"long_name": "plan played at each step, from 0"},
        )
    variables |= bills.variables(charged)
    attrs = {
        "format": FORMAT,
        "stream": stream,
        "covers": _covers(stream, horizon, scenario),
        "num_replicas": first.reward.size,
        "first_replica": first_replica,
        "orders_per_test_set": streams.ORDERS if stream == "bootstrap" else 1,
        "horizon": horizon,
        "seed": seed,
        # As JSON: labels hold commas.
        "privileged": json.dumps([p.label for p in policies if p.privileged]),
        "deadlines": json.dumps(deadlines),
        **bills.attributes(billed),
        **_inputs(scenario, protocol),
    }
    coords: dict[str, Any] = {
        "policy": list(runs),
        "checkpoint": checkpoints.astype(np.int32),
    }
    if num_conditions > 1:
        coords["condition"] = scenario.names
    if charged:
        every = next(iter(charged.values()))
        coords["bill"] = [*every]
        coords["unit"] = "bill", [bill.unit for bill in every.values()]
        coords["quantile"] = list(QUANTILES)
    return xarray.Dataset(variables, coords, attrs)


def _by_condition(
    runs: Mapping[str, Replicas],
    gaps: Mapping[str, np.ndarray],
    unit: str,
) -> dict[str, tuple[Any, ...]]:
    """Returns sums over the steps of each condition, [policy, replica, condition]."""
    found: dict[str, tuple[Any, ...]] = {}

    def add(name: str, rows: list[Any], long: str, units: str) -> None:
        told = {"long_name": f"{long} under each condition", "units": units}
        found[name] = ("policy", "replica", "condition"), np.stack(rows), told

    for name, long, units in (
        ("reward", "summed reward", "confidence"),
        ("cost", "summed billed cost", unit),
        ("correct", "right answers", "steps"),
        ("offloaded", "shipped samples", "steps"),
        ("realised_regret", "realised regret", "confidence"),
    ):
        rows = [getattr(run.by_condition, name) for run in runs.values()]
        add(f"condition_{name}", rows, long, units)
    rows = [
        (run.pulls.reshape(len(run.pulls), *gaps[label].shape) * gaps[label]).sum(-1)
        for label, run in runs.items()
    ]
    add("condition_pseudo_regret", rows, "pseudo-regret", "confidence")
    return found


def _covers(stream: str, horizon: int, scenario: Scenario) -> str:
    covers = stats.covers(stream, horizon, scenario.num_samples)
    if scenario.drift is None:
        return covers
    chance = scenario.drift.chain(horizon, scenario.num_conditions).transition
    drawn = ((chance > 0) & (chance < 1)).any()
    how = "are drawn anew in every replica by" if drawn else "follow"
    return f"{covers}; conditions {how} {scenario.drift.label}"


def build_exact(
    values: Mapping[str, Mapping[str, stats.Interval]],
    scenario: Scenario,
    *,
    protocol: Protocol,
    level: float,
) -> Dataset:
    """Returns the exact values of policies, by label and metric, as a dataset."""
    import xarray

    table = np.array([[*by_metric.values()] for by_metric in values.values()])
    variables = {
        name: (("policy", "metric"), table[..., i])
        for i, name in enumerate(stats.Interval._fields)
    }
    coords = {"policy": [*values], "metric": [*next(iter(values.values()))]}
    attrs = {
        "covers": f"test-set error of one fixed rule on {scenario.num_samples} samples",
        "level": level,
        **_inputs(scenario, protocol),
    }
    return xarray.Dataset(variables, coords, attrs)


def _inputs(scenario: Scenario, protocol: Protocol) -> dict[str, Any]:
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
        "cost_unit": costs.unit,
        "costs": json.dumps(costs.numbers),
        **changing,
        **provenance(),
    }


def join(parts: Sequence[Dataset]) -> Dataset:
    """Returns results of consecutive replicas as one, as if run at once.

    Args:
        parts: results of `evaluate` with equal arguments but `num_replicas` and
            `first_replica`, in order, without gaps; at least one.

    Raises:
        JsplitError: if they do not continue one another.
    """
    import xarray

    varying = {"num_replicas", "first_replica", "created"}
    if not parts:
        raise JsplitError("parts must hold at least one result, got none")
    first = parts[0]
    expected = int(first.attrs["first_replica"])
    for part in parts:
        for name in sorted((first.attrs.keys() | part.attrs.keys()) - varying):
            if part.attrs.get(name) != first.attrs.get(name):
                raise JsplitError(f"parts must agree in {name}, and do not")
        for name in ("policy", "checkpoint"):
            if not part.indexes[name].equals(first.indexes[name]):
                raise JsplitError(f"parts must agree in {name}, and do not")
        if part.attrs["first_replica"] != expected:
            raise JsplitError(
                f"parts must continue at replica {expected}, got one that starts at "
                f"{part.attrs['first_replica']}"
            )
        expected += part.sizes["replica"]
    joined = xarray.concat(
        parts, "replica", data_vars="minimal", combine_attrs="override"
    )
    return joined.assign_attrs(num_replicas=joined.sizes["replica"])


def per_replica(result: Dataset, metric: str) -> np.ndarray:
    """Returns the [policy, replica] values of a metric.

    "true_reward" is what the reward would be with the truth in place of confidence:
    accuracy - mu * billed cost, in the unit of the reward. Beside "reward", what the
    network's confidence promises, it shows how far a policy that learns from
    confidence was misled.

    Args:
        result: from `evaluate`.
        metric: one of `metrics_of` but "cost_change", which is a ratio of means.
    """
    of_bills = bills.metrics(result)
    if metric in of_bills:
        bill, variable, quantile = of_bills[metric]
        values = result[variable].sel(bill=bill)
        values = values if quantile is None else values.sel(quantile=quantile)
        return values.transpose("policy", "replica").values
    if metric.endswith("regret"):
        return result[metric].isel(checkpoint=-1).values
    if metric == "true_reward":
        mu = json.loads(result.attrs["costs"])["mu"]
        return result["correct"].values - mu * result["cost"].values
    return result["correct" if metric == "accuracy" else metric].values


def metrics_of(result: Dataset) -> list[str]:
    """Returns the metrics of a result: `METRICS`, then those of its bills.

    A bill b adds b, b_p95 and b_p99 and, if it has a deadline, b_late; the costs
    themselves are the bill "cost".
    """
    return [*METRICS, *bills.metrics(result)]


def streams_of(result: Dataset) -> stats.Streams:
    """Returns the streams of a result's replicas, for its statistics."""
    num_orders = int(result.attrs["orders_per_test_set"])
    return stats.Streams(str(result.attrs["stream"]), num_orders)


def privileged_policies(result: Dataset) -> set[str]:
    """Returns the labels of the policies that see what no real policy can see."""
    return set(json.loads(result.attrs["privileged"]))


def save_result(result: Dataset, path: str | os.PathLike[str]) -> None:
    """Writes a result as one netCDF file, whole or not at all."""
    check_result(result)
    with replacing(path) as temporary:
        result.to_netcdf(temporary, engine="scipy")


def load_result(path: str | os.PathLike[str]) -> Dataset:
    """Returns a result written by `save_result`."""
    import xarray

    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            # Not the path: scipy would map the file, and leave it open if it is bad.
            content = io.BytesIO(file.read())
        result = xarray.load_dataset(content, engine="scipy")
    except OSError as error:
        raise JsplitError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # xarray and scipy raise many kinds for foreign bytes
        reason = checks.shown(str(error), 80)
        raise JsplitError(f"{path} is not a readable result file: {reason}") from None
    if result.attrs.get("format") != FORMAT:
        raise JsplitError(f"{path} was not written by jsplit: it has no {FORMAT} mark")
    return result


def check_result(result: Any) -> None:
    """Raises unless `result` came from `evaluate`."""
    if not hasattr(result, "to_netcdf") or "policy" not in result.coords:
        raise JsplitError(
            f"result must be a Dataset from evaluate, got {type(result).__name__}"
        )


def _protocol_name(protocol: Protocol) -> str:
    for name in ("paper", "released"):
        if protocol == Protocol.named(name):
            return name
    return "custom"
