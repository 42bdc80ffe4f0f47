"""Results as labelled arrays: schema, provenance, files, and the summary table.

Here: the only place that knows xarray. Not here: how intervals are computed (`stats`)
or shown (`report`).
"""

import contextlib
import datetime
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jsplit import checks, stats
from jsplit.costs import Costs
from jsplit.engine.shard import Replicas
from jsplit.policies.base import Policy
from jsplit.trace import Trace
from jsplit.types import JsplitError, Protocol

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
    "pseudo_regret",
    "realised_regret",
)
FORMAT = "jsplit-result"


def build(
    runs: Mapping[str, Replicas],
    checkpoints: np.ndarray,
    horizon: int,
    *,
    trace: Trace,
    costs: Costs,
    policies: Sequence[Policy],
    protocol: Protocol,
    stream: str,
    seed: int,
) -> Dataset:
    """Returns the runs of several policies as one labelled dataset."""
    import xarray

    first = next(iter(runs.values()))
    num_plans = max(run.pulls.shape[1] for run in runs.values())
    mean = ("policy", "replica")
    curve = ("policy", "checkpoint", "replica")

    def stacked(field: str) -> np.ndarray:
        return np.stack([getattr(run, field) for run in runs.values()])

    pulls = np.zeros((len(runs), first.reward.size, num_plans), np.int32)
    for row, run in zip(pulls, runs.values(), strict=True):
        row[:, : run.pulls.shape[1]] = run.pulls
    variables: dict[str, tuple[Any, ...]] = {
        name: (mean, stacked(name) / horizon, {"long_name": long, "units": units})
        for name, long, units in (
            ("reward", "mean reward", "confidence"),
            ("cost", "mean billed cost", costs.unit),
            ("correct", "accuracy", "fraction"),
            ("offloaded", "fraction shipped", "fraction"),
        )
    }
    variables["pulls"] = (
        ("policy", "replica", "plan"),
        pulls,
        {"long_name": "how often each plan was played", "units": "steps"},
    )
    for name, long in (
        ("pseudo_regret", "sum of mean-reward gaps to the best fixed plan"),
        ("realised_regret", "reward of the best fixed plan minus the policy's"),
    ):
        values = stacked(name).swapaxes(1, 2)
        variables[name] = (curve, values, {"long_name": long, "units": "confidence"})
    if first.order is not None:
        step = ("replica", "step")
        variables["order"] = (step, first.order, {"long_name": "sample of each step"})
        variables["arm"] = (
            ("policy", *step),
            stacked("arms"),
            {"long_name": "plan played at each step, from 0"},
        )
    attrs = {
        "format": FORMAT,
        "stream": stream,
        "covers": stats.covers(stream, horizon, trace.num_samples),
        "protocol": _protocol_name(protocol),
        "switches": json.dumps(protocol.switches()),
        "num_replicas": first.reward.size,
        "horizon": horizon,
        "num_samples": trace.num_samples,
        "num_exits": trace.num_exits,
        "seed": seed,
        "dataset": str(trace.meta.get("dataset", "unnamed")),
        "model": str(trace.meta.get("model", "unnamed")),
        "trace_sha256": trace.sha256,
        "cost_unit": costs.unit,
        "costs": json.dumps(
            {
                "compute": costs.compute.tolist(),
                "head": costs.head.tolist(),
                "offload": costs.offload.tolist(),
                "mu": costs.mu,
            }
        ),
        "privileged": ", ".join(p.label for p in policies if p.privileged),
        **provenance(),
    }
    coords = {
        "policy": list(runs),
        "checkpoint": checkpoints.astype(np.int32),
    }
    return xarray.Dataset(variables, coords, attrs)


def provenance() -> dict[str, Any]:
    """Returns versions, devices and the time, as stored with every result."""
    import jsplit

    devices = jax.devices()
    return {
        "jsplit_version": jsplit.__version__,
        "jax_version": jax.__version__,
        "numpy_version": np.__version__,
        "python_version": platform.python_version(),
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "precision": str(jax.dtypes.canonicalize_dtype(float)),
        "prng": str(jax.config.jax_default_prng_impl),  # type: ignore[attr-defined]
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def summarize(
    result: Dataset, baseline: str = "final_exit", *, level: float = 0.95
) -> Dataset:
    """Returns means, intervals and paired differences to a baseline, per policy.

    What the intervals cover depends on the stream of the result, see `stats`: other
    orders of the same test set ("shuffle"), or other test sets ("bootstrap"). Replicas
    are the unit; steps within a replica are never pooled.

    Args:
        result: from `evaluate`.
        baseline: label of the policy that others are compared with.
        level: probability that an interval covers, in (0, 1).

    Returns:
        An `xarray.Dataset` with dims (policy, metric) and variables mean, low, high;
        difference, difference_low, difference_high, correlation (with the baseline, on
        the same streams; NaN where either is constant) and p_value (Holm-adjusted over
        the other policies, per metric). Metrics: accuracy and offloaded (fractions),
        cost, cost_change (percent of the baseline's), reward, pseudo_regret and
        realised_regret at the end of the run.

    Raises:
        JsplitError: if the baseline is not in the result or the level out of range.
    """
    import xarray

    _check_result(result)
    level = checks.number("level", level, 0.0, 1.0)
    labels = [str(label) for label in result.policy.values]
    baseline = checks.choice("baseline", baseline, labels)
    stream = str(result.attrs["stream"])
    shape = (len(labels), len(METRICS))
    names = ("mean", "low", "high", "difference", "difference_low")
    names += ("difference_high", "correlation", "p_value")
    columns = {name: np.full(shape, np.nan) for name in names}
    base = labels.index(baseline)
    for j, metric in enumerate(METRICS):
        if metric == "cost_change":
            cost = _values(result, "cost")
            interval = stats.relative_change(
                cost,
                np.broadcast_to(cost[base], cost.shape),
                level=level,
                stream=stream,
            )
        else:
            values = _values(result, metric)
            interval = stats.mean_interval(values, level=level, stream=stream)
            paired = stats.paired_difference(
                values,
                np.broadcast_to(values[base], values.shape),
                level=level,
                stream=stream,
            )
            p_value = np.where(np.arange(len(labels)) == base, np.nan, paired.p_value)
            columns["difference"][:, j] = paired.mean
            columns["difference_low"][:, j] = paired.low
            columns["difference_high"][:, j] = paired.high
            columns["correlation"][:, j] = paired.correlation
            columns["p_value"][:, j] = stats.holm(p_value)
        columns["mean"][:, j] = interval.mean
        columns["low"][:, j] = interval.low
        columns["high"][:, j] = interval.high
    variables = {
        name: (("policy", "metric"), values) for name, values in columns.items()
    }
    coords = {"policy": labels, "metric": list(METRICS)}
    attrs = {**result.attrs, "baseline": baseline, "level": level}
    return xarray.Dataset(variables, coords, attrs)


def save_result(result: Dataset, path: str | os.PathLike[str]) -> None:
    """Writes a result as one netCDF file, whole or not at all."""
    _check_result(result)
    path = os.fspath(path)
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        result.to_netcdf(temporary, engine="scipy")
        os.replace(temporary, path)
    except OSError as error:
        raise JsplitError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


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


def _check_result(result: Any) -> None:
    if not hasattr(result, "to_netcdf") or "policy" not in result.coords:
        raise JsplitError(
            f"result must be a Dataset from evaluate, got {type(result).__name__}"
        )


def _values(result: Dataset, metric: str) -> np.ndarray:
    """Returns [policy, replica] values of a metric."""
    if metric.endswith("regret"):
        return result[metric].isel(checkpoint=-1).values
    return result["correct" if metric == "accuracy" else metric].values


def _protocol_name(protocol: Protocol) -> str:
    for name in ("paper", "released"):
        if protocol == Protocol.named(name):
            return name
    return "custom"
