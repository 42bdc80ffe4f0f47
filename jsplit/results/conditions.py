"""What every policy is worth under each condition of a scenario.

Here: from the data of a result to the table by condition. Not here: the whole run
(`summary`), what users call (`result`).
"""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import stats
from jsplit.results.curves import borrow_spread
from jsplit.results.metrics import (
    any_regret,
    privileged_policies,
    sample_range,
    streams_of,
    surely_constant,
)

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

_AXES = ("policy", "condition", "replica")


def by_condition(result: Dataset, level: float) -> Dataset:
    """Returns the data of `Result.summarize_conditions`."""
    import xarray

    steps = result["condition_pulls"].sum("plan").transpose(*_AXES).values
    found = _per_step(result, steps, level) | _regrets(result, level)
    variables: dict[str, Any] = {
        name: (("policy", "condition", "metric"), np.stack(columns, -1))
        for name, columns in zip(
            stats.Interval._fields, zip(*found.values(), strict=True), strict=True
        )
    }
    variables["steps"] = "condition", steps[0].mean(-1)
    coords = {
        "policy": result["policy"].values.astype(str),
        "condition": result["condition"].values.astype(str),
        "metric": [*found],
    }
    return xarray.Dataset(variables, coords, {**result.attrs, "level": level})


def _sums(result: Dataset, name: str) -> np.ndarray:
    return result[f"condition_{name}"].transpose(*_AXES).values


def _per_step(
    result: Dataset, steps: np.ndarray, level: float
) -> dict[str, stats.Interval]:
    """Returns means per step of a condition, ratios of sums over replicas."""
    mu = json.loads(result.attrs["costs"])["mu"]
    sums = {
        name: _sums(result, f"{name}_sum")
        for name in ("accuracy", "cost", "offloaded", "reward")
    }
    sums["true_reward"] = sums["accuracy"] - mu * sums["cost"]
    options: Any = {"level": level, "streams": streams_of(result)}
    found = {}
    for name, values in sums.items():
        possible = sample_range(result, name)
        if possible is not None:
            low, high = (np.asarray(part)[:, np.newaxis] for part in possible[:2])
            possible = possible._replace(low=low, high=high)
        found[name] = stats.ratio_interval(values, steps, possible=possible, **options)
    return found


def _regrets(result: Dataset, level: float) -> dict[str, stats.Interval]:
    """Returns the regrets that the steps of a condition add."""
    realised, pseudo = _sums(result, "realised_regret"), _sums(result, "pseudo_regret")
    streams = streams_of(result)
    resampled = streams.resampled
    pseudo = borrow_spread(pseudo, realised) if resampled else pseudo
    found = {}
    for name, values in (("pseudo_regret", pseudo), ("realised_regret", realised)):
        found[name] = stats.mean_interval(
            values,
            level=level,
            streams=streams,
            exact=surely_constant(values, name, np.zeros((), bool)),
            possible=any_regret(result),
        )
    if resampled:
        labels = result["policy"].values.astype(str)
        unknown = np.isin(labels, list(privileged_policies(result)))
        found["pseudo_regret"].low[unknown] = np.nan
        found["pseudo_regret"].high[unknown] = np.nan
    return found
