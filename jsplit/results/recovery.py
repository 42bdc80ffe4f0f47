"""How a policy that learns comes back after a change.

Here: from the plays of every replica to the data of a `Recovery`. Not here: regret
(`summary`), what users call (`result`).
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from jsplit import stats
from jsplit.results import curves
from jsplit.types import JsplitError

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any


def recover(
    result: Dataset, at: int, until: int, share: float, level: float
) -> Dataset:
    """Returns the data of `Result.recovery`, whose arguments these are, checked."""
    import xarray

    steps = np.append(0, result["checkpoint"].values)
    inside = np.flatnonzero((steps >= at) & (steps <= until))
    if inside.size < 2:
        raise JsplitError(
            f"result must have at least 2 checkpoints from {at} to {until}, got "
            f"{inside.size}; see checkpoints of evaluate"
        )
    played = curves.every_replica(result, "best_played")
    played = np.concatenate([np.zeros_like(played[:, :1]), played], axis=1)[:, inside]
    length: np.ndarray = np.diff(steps[inside])
    enough: np.ndarray = np.diff(played, axis=1) >= share * length[:, None]
    time = (steps[inside][1:] - at).astype(float)
    first = enough.argmax(1)  # [policy, replica]
    waited = np.where(enough.any(1), time[first], np.inf)
    columns: dict[str, np.ndarray] = {
        "recovered": enough.any(1).mean(1),
        "steps_5": _quantile(waited, 0.05),
        "steps_50": _quantile(waited, 0.5),
        "steps_95": _quantile(waited, 0.95),
        "final_best": enough[:, -1].mean(1),
    }
    for name, hits in (("recovered", enough.any(1)), ("final_best", enough[:, -1])):
        found = stats.wilson_interval(hits.sum(1), result.sizes["replica"], level=level)
        columns[f"{name}_low"], columns[f"{name}_high"] = found.low, found.high
    told = {"at": at, "until": until, "share": share, "level": level}
    return xarray.Dataset(
        {name: ("policy", values) for name, values in columns.items()},
        {"policy": result["policy"].values},
        {**result.attrs, **told},
    )


def _quantile(waited: np.ndarray, q: float) -> np.ndarray:
    """Returns the smallest time that a share q of the replicas do not exceed."""
    ordered = np.sort(waited, axis=1)
    rank = max(int(np.ceil(q * waited.shape[1])) - 1, 0)
    return ordered[:, rank]
