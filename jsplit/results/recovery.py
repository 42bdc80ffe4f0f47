"""How a policy that learns comes back after a change.

Here: time to recover and the chance of ending with the best plan, from the plays that
`evaluate` counts. Not here: regret (`summary`). Called by users.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import checks, stats
from jsplit.results import dataset
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


def recovery(
    result: Dataset,
    at: int,
    *,
    until: int | None = None,
    share: float = 0.5,
    level: float = 0.95,
) -> Dataset:
    """Returns how long policies take to find the best plan after a change.

    A replica has recovered at the first checkpoint such that, since the checkpoint
    before, at least `share` of its plays had no better plan under the condition of
    their step. Checkpoints bound the resolution: give `evaluate` closer ones for more.
    A policy with a single plan is compared with SplitEE's splits, as in its regret.

    Args:
        result: from `evaluate`, usually of a `Scenario`.
        at: step of the change, counted from 0.
        until: step of the next change; the end of the run by default.
        share: of the plays, in (0, 1].
        level: probability that an interval covers, in (0, 1).

    Returns:
        An `xarray.Dataset` over policies: `recovered`, the share of replicas that did,
        with Wilson's interval `recovered_low` and `recovered_high`; `early`, `half`
        and `late` steps from the change to recovery in 5, 50 and 95 % of the
        replicas, infinite where so many did not recover; `final_best`, the share of
        replicas that play the best plan at least so often in the last stretch, with
        `final_best_low` and `final_best_high`.

    Raises:
        JsplitError: if there are fewer than two checkpoints between `at` and `until`,
            or for resampled test sets, whose replicas are not independent.
    """
    import xarray

    dataset.check_result(result)
    if result.attrs.get("stream") == "bootstrap":
        raise JsplitError(
            "result must be of shuffle or fixed streams: the intervals are simulation "
            "error, got stream 'bootstrap'"
        )
    steps = result["checkpoint"].values
    horizon = int(steps[-1])
    at = checks.integer("at", at, 0, horizon - 1)
    until = checks.integer(
        "until", horizon if until is None else until, at + 1, horizon
    )
    share = checks.number("share", share, 1e-9, 1.0)
    level = checks.number("level", level, 0.0, 1.0)
    steps = np.append(0, steps)
    inside = np.flatnonzero((steps >= at) & (steps <= until))
    if inside.size < 2:
        raise JsplitError(
            f"result must have at least 2 checkpoints from {at} to {until}, got "
            f"{inside.size}; see checkpoints of evaluate"
        )
    played = result["best_played"].transpose("policy", "checkpoint", "replica").values
    played = np.concatenate([np.zeros_like(played[:, :1]), played], axis=1)[:, inside]
    length: np.ndarray = np.diff(steps[inside])
    enough: np.ndarray = np.diff(played, axis=1) >= share * length[:, None]
    time = (steps[inside][1:] - at).astype(float)
    first = enough.argmax(1)  # [policy, replica]
    waited = np.where(enough.any(1), time[first], np.inf)
    columns: dict[str, np.ndarray] = {
        "recovered": enough.any(1).mean(1),
        "half": _quantile(waited, 0.5),
        "early": _quantile(waited, 0.05),
        "late": _quantile(waited, 0.95),
        "final_best": enough[:, -1].mean(1),
    }
    for name, hits in (("recovered", enough.any(1)), ("final_best", enough[:, -1])):
        found = stats.wilson_interval(hits.sum(1), result.sizes["replica"], level=level)
        columns[f"{name}_low"], columns[f"{name}_high"] = found.low, found.high
    return xarray.Dataset(
        {name: ("policy", values) for name, values in columns.items()},
        {"policy": result["policy"].values},
        {**result.attrs, "at": at, "until": until, "share": share, "level": level},
    )


def _quantile(waited: np.ndarray, q: float) -> np.ndarray:
    """Returns the smallest time that a share q of the replicas do not exceed."""
    ordered = np.sort(waited, axis=1)
    rank = max(int(np.ceil(q * waited.shape[1])) - 1, 0)
    return ordered[:, rank]
